//! Splits a printed line into words, numbers and marks. A number ends where a unit begins: in `5ms/step` it has one, and
//! is no metric.

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<'a> {
    /// A name or a part of one: `val_loss`, `Loss/train`, `Acc@1`, `valid_0's`.
    Word(&'a str),
    /// A number, or what Python prints for one that is not finite.
    Number {
        /// Its value, as written.
        value: f64,
        /// Whether a percent sign follows.
        percent: bool,
        /// Whether letters follow, as in `93ms`.
        unit: bool,
        /// Whether it is written with a decimal point or an exponent.
        decimal: bool,
        /// Whether the decimal mark is a comma.
        comma: bool,
    },
    /// Two numbers with a slash: `3/10`, `9844/10000`.
    Fraction(f64, f64),
    /// Anything else, one character. A tab, and several spaces in a row, are `\t`.
    Mark(char),
}

/// The most pieces that a line is split into.
const MOST_TOKENS: usize = 2000;

/// Splits a line.
pub fn scan(line: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next().filter(|_| tokens.len() < MOST_TOKENS) {
        if let Some(after) = wrapped_number(rest).or_else(|| named_again(rest, &tokens)) {
            rest = after;
        } else if first == ' ' || first == '\t' {
            let after = rest.trim_start_matches([' ', '\t']);
            let blank = &rest[..rest.len() - after.len()];
            if blank.len() > 1 || blank.contains('\t') {
                tokens.push(Token::Mark('\t'));
            }
            rest = after;
        } else if let Some((token, length)) = decimal_comma(rest, &tokens, line).or_else(|| number(rest)) {
            tokens.push(token);
            rest = &rest[length..];
        } else if first.is_alphabetic() || first == '_' {
            let word = word(rest);
            tokens.push(match not_finite(word) {
                Some(value) => Token::Number { value, percent: false, unit: false, decimal: true, comma: false },
                None => Token::Word(word.trim_end_matches(['.', '-', '\'', '/', '@'])),
            });
            rest = &rest[word.len()..];
        } else {
            if !matches!(first, '\'' | '"' | '`') {
                tokens.push(Token::Mark(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// What follows `tensor(` or `np.float64(`, which Python prints around a number.
fn wrapped_number(rest: &str) -> Option<&str> {
    ["tensor(", "np.float64(", "np.float32(", "array("].iter().find_map(|start| rest.strip_prefix(start))
}

/// What follows `(accuracy,` behind an equals sign: MXNet for Scala prints a metric's name again beside its value.
fn named_again<'a>(rest: &'a str, before: &[Token]) -> Option<&'a str> {
    let inside = rest.strip_prefix('(').filter(|_| before.last() == Some(&Token::Mark('=')))?;
    let value =
        inside.strip_prefix(word(inside)).filter(|_| inside.starts_with(char::is_alphabetic))?.strip_prefix(',')?;
    number(value).map(|_| value)
}

fn not_finite(word: &str) -> Option<f64> {
    match word.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "infinity" => Some(f64::INFINITY),
        _ => None,
    }
}

/// The word at the start of a text. A minus belongs to it only between letters or digits: `accuracy_top-1`.
fn word(text: &str) -> &str {
    let mut before = ' ';
    let mut end = text.len();
    for (at, letter) in text.char_indices() {
        let next = text[at + letter.len_utf8()..].chars().next().unwrap_or(' ');
        let inner = match letter {
            '-' | '\'' => before.is_alphanumeric() && next.is_alphanumeric(),
            '.' => next.is_alphanumeric(),
            '/' | '@' => next.is_alphanumeric() || next == '_',
            _ => letter.is_alphanumeric() || letter == '_',
        };
        if !inner {
            end = at;
            break;
        }
        before = letter;
    }
    &text[..end]
}

/// A number with a decimal comma after a name: `loss: 0,5312`. Three digits after the comma may be thousands, unless zero
/// stands before it.
fn decimal_comma<'a>(text: &'a str, before: &[Token], line: &str) -> Option<(Token<'a>, usize)> {
    // `gpu_ids='0,1'` is a list.
    let is_quoted = line[..line.len() - text.len()].ends_with(['\'', '"']);
    if is_quoted || !matches!(before, [.., Token::Mark(':' | '=')] | [.., Token::Mark(':' | '='), Token::Mark('\t')]) {
        return None;
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(text.starts_with('-'));
    let whole = sign + digits(&text[sign..]);
    let after = text[whole..].strip_prefix(',')?;
    let fraction = digits(after);
    let is_zero = text[sign..whole].bytes().all(|digit| digit == b'0');
    let end = whole + 1 + fraction;
    let goes_on = text[end..].starts_with(|letter: char| letter.is_alphanumeric())
        || text[end..].strip_prefix([',', '.']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if whole == sign || fraction == 0 || fraction == 3 && !is_zero || goes_on {
        return None;
    }
    let value = text[..end].replace(',', ".").parse().ok()?;
    let percent = text[end..].starts_with('%');
    Some((Token::Number { value, percent, unit: false, decimal: true, comma: true }, end + usize::from(percent)))
}

/// A number or a fraction at the start of a text, and its length.
fn number(text: &str) -> Option<(Token<'_>, usize)> {
    let (value, length, decimal) = float(text)?;
    let rest = &text[length..];
    // `44100/44100`, `[  10/ 5005]`, `950 / 1000`, `3 out of 20`.
    let slash = rest.trim_start_matches(' ');
    let words = slash.strip_prefix("out of ").filter(|_| !decimal && slash.len() < rest.len());
    if let Some(after) = slash.strip_prefix('/').or(words) {
        let second = after.trim_start_matches(' ');
        if let Some((of, of_length, _)) = float(second)
            && !second[of_length..].starts_with(is_unit)
        {
            return Some((Token::Fraction(value, of), text.len() - second.len() + of_length));
        }
    }
    let percent_at = rest.strip_prefix('%').map(|_| 1).or_else(|| rest.starts_with(" %").then_some(2));
    // Decibels are those of a quality: `PSNR: 30.8dB`.
    let decibels = rest.strip_prefix("dB").is_some_and(|after| !after.starts_with(is_unit));
    let unit = rest.starts_with(is_unit) && !decibels || rest.starts_with('/') || is_time(rest);
    let number = Token::Number { value, percent: percent_at.is_some(), unit, decimal, comma: false };
    Some((number, length + percent_at.unwrap_or(2 * usize::from(decibels))))
}

fn is_unit(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

/// Whether a text goes on like a time of day: `:05`.
fn is_time(rest: &str) -> bool {
    rest.strip_prefix(':').is_some_and(|after| after.starts_with(|letter: char| letter.is_ascii_digit()))
}

/// A plain number: its value, its length, and whether it is written as a decimal. Thousands may be separated by commas.
fn float(text: &str) -> Option<(f64, usize, bool)> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(bytes.first() == Some(&b'-'));
    if sign == 1 && ["inf", "Inf", "nan", "Infinity"].iter().any(|word| text[1..].starts_with(word)) {
        let length = 1 + text[1..].bytes().take_while(u8::is_ascii_alphabetic).count();
        return Some((f64::NEG_INFINITY, length, true));
    }
    let mut at = sign + digits(sign);
    let mut decimal = false;
    if at == sign && bytes.get(at) != Some(&b'.') {
        return None;
    }
    if at > sign && at - sign <= 3 {
        while bytes.get(at) == Some(&b',') && digits(at + 1) == 3 {
            at += 4;
        }
    }
    if bytes.get(at) == Some(&b'.') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
        decimal = true;
    } else if at == sign {
        return None;
    }
    // Julia prints `0.5f0` and `1.0f-5`.
    if matches!(bytes.get(at), Some(b'e' | b'E')) || decimal && bytes.get(at) == Some(&b'f') {
        let signed = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits((at + 1 + signed).min(bytes.len()));
        if exponent > 0 {
            at += 1 + signed + exponent;
            decimal = true;
        }
    }
    // `1.2.3` is a version.
    if decimal && bytes.get(at) == Some(&b'.') && digits(at + 1) > 0 {
        return None;
    }
    let value = text[..at].replace(',', "").replace('f', "e").parse().ok()?;
    Some((value, at, decimal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<f64> {
        let value = |token: &Token| match token {
            Token::Number { value, unit: false, .. } => Some(*value),
            Token::Fraction(a, b) => Some(a / b),
            _ => None,
        };
        scan(text).iter().filter_map(value).collect()
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expected) in [
            ("3.07... next", &[3.07][..]),
            ("0.5.", &[0.5]),
            ("1,234.5 and 1, 2", &[1234.5, 1.0, 2.0]),
            ("80.3% 61 %", &[80.3, 61.0]),
            ("9844/10000 (98%)", &[0.9844, 98.0]),
            ("5ms/step 2s 1e-3 -inf", &[1e-3, f64::NEG_INFINITY]),
            ("tensor(0.25, device='cuda:0')", &[0.25, 0.0]),
            ("version 1.2.3", &[2.3]),
            ("(loss = 0.25f0, rate = 1.5f-3)", &[0.25, 1.5e-3]),
            ("é1 .5 + - .", &[0.5]),
        ] {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }

    #[test]
    fn words_keep_what_joins_them() {
        let words = |text| -> Vec<_> {
            scan(text).into_iter().filter_map(|token| if let Token::Word(w) = token { Some(w) } else { None }).collect()
        };
        assert_eq!(
            words("Acc@1 valid_0's l2: a-b c - d Loss/val x."),
            ["Acc@1", "valid_0's", "l2", "a-b", "c", "d", "Loss/val", "x"]
        );
    }
}
