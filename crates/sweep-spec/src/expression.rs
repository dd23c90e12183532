//! The expression language of `when` and `exclude`: `optimizer == "sgd" and not batch_size in [64, 128]`. It is parsed
//! into a [`Condition`].

use serde_json::Value;

use sweep_core::nearest::nearest;
use sweep_core::space::{Comparison, Condition, Operand};

/// Maximum nesting depth of parentheses. A realistic condition never needs more.
const DEEPEST: u32 = 32;

/// A problem with an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Index of the first affected character, from 0.
    pub at: usize,
    /// Number of affected characters.
    pub width: usize,
    /// The rule that is broken.
    pub rule: String,
    /// What to write instead.
    pub remedy: String,
}

/// Parses an expression. `names` are the parameters that it can refer to.
///
/// # Errors
/// The first problem with the expression.
pub fn condition(text: &str, names: &[&str]) -> Result<Condition, Fault> {
    let tokens = tokens(text)?;
    let mut reading = Reading { tokens: &tokens, at: 0, depth: 0, end: text.chars().count(), names };
    let condition = reading.any()?;
    match reading.tokens.get(reading.at) {
        None => Ok(condition),
        Some(token) => {
            let remedy = "join conditions with `and` or `or`, and put text in quotes";
            Err(token.fault(format!("has unexpected {} after a complete condition", token.text), remedy))
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Name,
    Literal(Value),
    Sign(&'static str),
}

#[derive(Debug, Clone)]
struct Token {
    word: Word,
    text: String,
    at: usize,
}

impl Token {
    fn fault(&self, rule: String, remedy: impl Into<String>) -> Fault {
        Fault { at: self.at, width: self.text.chars().count(), rule, remedy: remedy.into() }
    }
}

const SIGNS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "=", "&"];

/// Keywords of the language, which take precedence over parameters with the same name.
const KEYWORDS: [&str; 4] = ["and", "or", "not", "in"];

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(&char) = chars.get(at) {
        if char.is_whitespace() {
            at += 1;
            continue;
        }
        let run = |is_in: &dyn Fn(char) -> bool| chars[at..].iter().take_while(|char| is_in(**char)).count();
        let rest: String = chars[at..].iter().take(2).collect();
        let (length, word) = if char == '"' || char == '\'' {
            let inside = chars[at + 1..].iter().take_while(|other| **other != char).count();
            if at + 1 + inside == chars.len() {
                let rule = "has an unclosed quote".to_owned();
                return Err(Fault { at, width: inside + 1, rule, remedy: format!("end the text with {char}") });
            }
            (inside + 2, Word::Literal(chars[at + 1..at + 1 + inside].iter().collect::<String>().into()))
        } else if char.is_ascii_alphabetic() || char == '_' {
            let length = run(&|char| char.is_ascii_alphanumeric() || "_.-".contains(char));
            let word: String = chars[at..at + length].iter().collect();
            let word = match word.as_str() {
                "true" | "True" => Word::Literal(true.into()),
                "false" | "False" => Word::Literal(false.into()),
                "null" | "None" => Word::Literal(Value::Null),
                other => KEYWORDS.iter().find(|known| **known == other).map_or(Word::Name, |known| Word::Sign(known)),
            };
            (length, word)
        } else if char.is_ascii_digit() || "+-.".contains(char) {
            let length = run(&|char| char.is_ascii_alphanumeric() || "+-._".contains(char));
            let spelt: String = chars[at..at + length].iter().collect();
            let whole = spelt.parse::<i64>().ok().map(Value::from);
            let number = spelt.parse::<f64>().ok().filter(|x| x.is_finite()).map(Value::from);
            let Some(number) = whole.or(number) else {
                let rule = format!("has {spelt}, which is not a number");
                return Err(Fault { at, width: length, rule, remedy: "if it is text, put it in quotes".to_owned() });
            };
            (length, Word::Literal(number))
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (sign.len(), Word::Sign(sign))
        } else {
            let remedy = "write comparisons such as `batch_size <= 256`, joined with `and`, `or`, and `not`".to_owned();
            return Err(Fault { at, width: 1, rule: format!("has the unexpected character {char}"), remedy });
        };
        tokens.push(Token { word, text: chars[at..at + length].iter().collect(), at });
        at += length;
    }
    Ok(tokens)
}

struct Reading<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
    /// Number of characters of the whole expression.
    end: usize,
    names: &'a [&'a str],
}

impl<'a> Reading<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    /// Consumes the operator if it is next.
    fn take(&mut self, sign: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|token| token.word == Word::Sign(sign_of(sign)));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str, remedy: &str) -> Result<(), Fault> {
        if self.take(sign) {
            return Ok(());
        }
        Err(match self.tokens.get(self.at) {
            Some(token) => token.fault(format!("has no {sign} before {}", token.text), remedy),
            None => self.ended(&format!("has no {sign}"), remedy),
        })
    }

    fn ended(&self, rule: &str, remedy: &str) -> Fault {
        Fault { at: self.end, width: 1, rule: format!("{rule} at its end"), remedy: remedy.to_owned() }
    }

    fn any(&mut self) -> Result<Condition, Fault> {
        let mut parts = vec![self.all()?];
        while self.take("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Result<Condition, Fault> {
        let mut parts = vec![self.one()?];
        while self.take("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self) -> Result<Condition, Fault> {
        self.depth += 1;
        if let Some(token) = self.tokens.get(self.at).filter(|_| self.depth > DEEPEST) {
            return Err(token.fault(format!("is nested deeper than {DEEPEST} brackets"), "write a simpler condition"));
        }
        let found = if self.take("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let inside = self.any()?;
            self.expect(")", "close the bracket")?;
            inside
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn comparison(&mut self) -> Result<Condition, Fault> {
        let start = self.at;
        let left = self.operand()?;
        let opposite = self.tokens.get(self.at + 1).is_some_and(|token| token.word == Word::Sign("in"));
        let opposite = opposite && self.take("not");
        if self.take("in") {
            let list = self.list()?;
            let equal = |value| Condition::Compare(left.clone(), Comparison::Equal, Operand::Literal(value));
            let any = Condition::Any(list.into_iter().map(equal).collect());
            return Ok(if opposite { Condition::Not(Box::new(any)) } else { any });
        }
        use Comparison::{AtLeast, AtMost, Equal, Less, More, Unequal};
        for comparison in [Equal, Unequal, Less, AtMost, More, AtLeast] {
            if self.take(comparison.sign()) {
                let right = self.operand()?;
                if left.name().is_none() && right.name().is_none() {
                    let rule = "compares two fixed values".to_owned();
                    return Err(self.tokens[start].fault(rule, "put the name of a parameter on one side"));
                }
                return Ok(Condition::Compare(left, comparison, right));
            }
        }
        if let Some(token) = self.tokens.get(self.at).filter(|token| matches!(token.word, Word::Sign("=" | "&"))) {
            let meant = if token.text == "=" { "==" } else { "and" };
            return Err(token
                .fault(format!("has {}, which is not a comparison operator", token.text), format!("write `{meant}`")));
        }
        // A parameter alone means that its value is true.
        match left {
            Operand::Name(name) => Ok(Condition::equal(&name, true.into())),
            Operand::Literal(_) => {
                let remedy = "compare it with a parameter, for example `batch_size == 64`";
                Err(self.tokens[start]
                    .fault(format!("has the value {} without a comparison", self.tokens[start].text), remedy))
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, Fault> {
        let remedy = "write a list, for example `in [64, 128]`";
        self.expect("[", remedy)?;
        let mut values = Vec::new();
        loop {
            let token = self.next().ok_or_else(|| self.ended("has no value", remedy))?;
            match &token.word {
                Word::Literal(value) => values.push(value.clone()),
                Word::Name => {
                    return Err(token.fault(format!("lists {}, which is not a value", token.text), quoted(token)));
                }
                Word::Sign(_) => {
                    return Err(token.fault(format!("has {} where a value is expected", token.text), remedy));
                }
            }
            if !self.take(",") {
                self.expect("]", "close the list with ], or separate values with commas")?;
                return Ok(values);
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, Fault> {
        let remedy = "write a comparison, for example `batch_size <= 256`";
        let token = self.next().ok_or_else(|| self.ended("has no parameter or value", remedy))?;
        match &token.word {
            Word::Literal(value) => Ok(Operand::Literal(value.clone())),
            Word::Sign(_) => {
                Err(token.fault(format!("has {} where a parameter or a value is expected", token.text), remedy))
            }
            Word::Name if self.names.contains(&token.text.as_str()) => Ok(Operand::Name(token.text.clone())),
            Word::Name => {
                let remedy = match nearest(&token.text, self.names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if self.at > 1 => quoted(token),
                    None => format!("the parameters are {}", self.names.join(", ")),
                };
                Err(token.fault(format!("refers to {}, which is not a parameter", token.text), remedy))
            }
        }
    }
}

fn quoted(token: &Token) -> String {
    format!("to mean the text itself, write \"{}\" in quotes", token.text)
}

fn sign_of(sign: &str) -> &'static str {
    SIGNS.iter().chain(&KEYWORDS).find(|known| **known == sign).expect("only signs of the language are asked for")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 4] = ["optimizer", "batch_size", "batch_norm", "early_stopping.patience"];

    fn read(text: &str) -> String {
        match condition(text, &NAMES) {
            Ok(condition) => condition.to_string(),
            Err(fault) => format!("{}+{}: {}; {}", fault.at, fault.width, fault.rule, fault.remedy),
        }
    }

    #[test]
    fn and_binds_closer_than_or_and_not_closest() {
        assert_eq!(
            read("batch_norm or not batch_norm and batch_size >= 1e2"),
            "batch_norm == true or (not (batch_norm == true) and batch_size >= 100.0)"
        );
        assert_eq!(
            read("(batch_norm or 3<batch_size) and early_stopping.patience != null"),
            "(batch_norm == true or 3 < batch_size) and early_stopping.patience != null"
        );
    }

    #[test]
    fn a_list_is_any_of_its_values() {
        assert_eq!(read("optimizer in [\"sgd\", 'adam']"), "optimizer == \"sgd\" or optimizer == \"adam\"");
        assert_eq!(read("optimizer not in ['sgd']"), "not (optimizer == \"sgd\")");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert_eq!(
            read("optimiser == 1"),
            "0+9: refers to optimiser, which is not a parameter; did you mean `optimizer`?"
        );
        let quotes = "13+3: refers to sgd, which is not a parameter; to mean the text itself, write \"sgd\" in quotes";
        assert_eq!(read("optimizer == sgd"), quotes);
        assert_eq!(read("optimizer = 'sgd'"), "10+1: has =, which is not a comparison operator; write `==`");
        assert_eq!(read("(batch_norm"), "11+1: has no ) at its end; close the bracket");
        assert_eq!(
            read("batch_size <"),
            "12+1: has no parameter or value at its end; write a comparison, for example `batch_size <= 256`"
        );
        assert_eq!(read("1 == 2"), "0+1: compares two fixed values; put the name of a parameter on one side");
        assert_eq!(read("optimizer == 'sgd"), "13+4: has an unclosed quote; end the text with '");
        assert!(read("batch_size > 1 2").starts_with("15+1: has unexpected 2"));
        assert!(read("").starts_with("0+1: has no parameter"));
        assert!(read(&"(".repeat(100)).contains("deeper than 32"));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[ a-z0-9_.'\"()\\[\\]<>=!,é-]{0,60}") {
            let _ = condition(&text, &NAMES);
        }

        #[test]
        fn what_is_shown_is_read_as_the_same(
            left in 0..4_usize, right in -5..5_i64, sign in 0..6_usize, other in 0..4_usize, not: bool, or: bool
        ) {
            let sign = ["==", "!=", "<", "<=", ">", ">="][sign];
            let not = if not { "not " } else { "" };
            let join = if or { "or" } else { "and" };
            let text = format!("{not}{} {sign} {right} {join} {} == 'x'", NAMES[left], NAMES[other]);
            let first = condition(&text, &NAMES).unwrap();
            prop_assert_eq!(condition(&first.to_string(), &NAMES), Ok(first));
        }
    }
}
