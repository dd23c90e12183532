//! What may stand in one place of the file, and how it is read: YAML's value in, a checked JSON value out.

use serde_json::{Value as Json, json};
use serde_yaml::Value as Yaml;

use super::nearest::nearest;

/// What may stand somewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A whole number, both ends included.
    Whole {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A number above 0.
    Positive,
    /// A number from 0.
    NotNegative,
    /// A number from 0 to below 1.
    Share,
    /// `true` or `false`, and YAML 1.1's other words for them.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text that is not empty.
    Text,
    /// A share above 0 and below 1, or `test`.
    Validation,
    /// A table of settings of its own, or `null` for without.
    Table,
    /// That, or `null` for without.
    Optional(&'static Kind),
    /// Not in this version: only these values, which change nothing. `null` is written `null`.
    Neutral(&'static [&'static str]),
}

/// Why a value cannot stand there.
#[derive(Debug, Clone, PartialEq)]
pub struct Complaint {
    /// After the key: `must be a number above 0, not -1`.
    pub rule: String,
    /// What may be written, where the rule does not say it.
    pub remedy: Option<String>,
}

impl Kind {
    /// A whole number from `least` that fits 32 bits.
    pub const fn whole(least: u64) -> Kind {
        Kind::Whole { least, most: u32::MAX as u64 }
    }

    /// Reads a value: text that is a number is one where a number is wanted, `yes` is true where a boolean is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn accept(self, value: &Yaml) -> Result<Json, Complaint> {
        let found = match self {
            Kind::Whole { least, most } => whole(value).filter(|n| (least..=most).contains(n)).map(Json::from),
            Kind::Positive => number(value).filter(|&x| x > 0.0).map(Json::from),
            Kind::NotNegative => number(value).filter(|&x| x >= 0.0).map(Json::from),
            Kind::Share => number(value).filter(|x| (0.0..1.0).contains(x)).map(Json::from),
            Kind::Boolean => boolean(value).map(Json::from),
            Kind::Choice(words) => value.as_str().filter(|word| words.contains(word)).map(Json::from),
            Kind::Text => value.as_str().filter(|text| !text.trim().is_empty()).map(Json::from),
            Kind::Validation => match value.as_str() {
                Some("test") => Some(json!("test")),
                _ => number(value).filter(|&x| x > 0.0 && x < 1.0).map(Json::from),
            },
            Kind::Table => value.is_null().then_some(Json::Null),
            Kind::Optional(_) if value.is_null() => Some(Json::Null),
            Kind::Optional(kind) => {
                return kind.accept(value).map_err(|complaint| Complaint {
                    rule: complaint.rule.replacen("must be ", "must be null or ", 1),
                    ..complaint
                });
            }
            Kind::Neutral(words) => {
                let neutral = |word: &str| match number(value) {
                    Some(x) => word.parse() == Ok(x),
                    None => value.as_str() == Some(word) || (value.is_null() && word == "null"),
                };
                words.iter().any(|word| neutral(word)).then_some(Json::Null)
            }
        };
        found.ok_or_else(|| self.complaint(value))
    }

    /// Whether only whole numbers may stand there.
    pub fn is_whole(self) -> bool {
        match self {
            Kind::Whole { .. } => true,
            Kind::Optional(kind) => kind.is_whole(),
            _ => false,
        }
    }

    fn complaint(self, value: &Yaml) -> Complaint {
        let mut remedy = None;
        let rule = match self {
            Kind::Whole { least, most } if whole(value).is_some_and(|n| n > most) || least > u64::from(u32::MAX) => {
                format!("must be a whole number of at most {most}")
            }
            Kind::Whole { least, .. } => format!("must be a whole number from {least}"),
            Kind::Positive => "must be a number above 0".to_owned(),
            Kind::NotNegative => "must be a number from 0".to_owned(),
            Kind::Share => "must be a number from 0 to below 1".to_owned(),
            Kind::Boolean => "must be true or false".to_owned(),
            Kind::Choice(words) => {
                remedy = nearest(value.as_str().unwrap_or(""), words.iter().copied())
                    .map(|word| format!("did you mean `{word}`?"));
                format!("must be {}", either(words))
            }
            Kind::Text => "must be text".to_owned(),
            Kind::Validation => "must be a share above 0 and below 1, or `test`".to_owned(),
            Kind::Table => "must be a table, or null".to_owned(),
            Kind::Neutral(words) => {
                remedy = Some(format!("leave it out, or write {}", either(words)));
                format!("can only be {} in this version", either(words))
            }
            Kind::Optional(_) => unreachable!("`accept` asks the kind within"),
        };
        Complaint { rule: format!("{rule}, not {}", show(value)), remedy }
    }
}

/// `adam, sgd or rmsprop`.
fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The number that a value is, or that its text spells, as in `"1e-4"`. Finite.
pub fn number(value: &Yaml) -> Option<f64> {
    let number = match value {
        Yaml::Number(number) => number.as_f64(),
        Yaml::String(text) if text.starts_with(|char: char| char.is_ascii_digit() || "+-.".contains(char)) => {
            text.parse().ok()
        }
        _ => None,
    };
    number.filter(|x| x.is_finite())
}

/// The whole number that a value is or spells; `1e3` and `1000.0` are 1000.
pub fn whole(value: &Yaml) -> Option<u64> {
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    // Up to 2^53 a float is exactly the number that was written.
    number(value).filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x)).map(|x| x as u64)
}

/// The boolean that a value is, or that a YAML 1.1 reader takes its text for.
pub fn boolean(value: &Yaml) -> Option<bool> {
    match value {
        Yaml::Bool(boolean) => Some(*boolean),
        Yaml::String(text) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => Some(true),
            "no" | "off" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The value as it could have been written, on one short line.
pub fn show(value: &Yaml) -> String {
    let text = match value {
        Yaml::String(text) if text.is_empty() => "empty text".to_owned(),
        Yaml::String(text) => format!("`{}`", text.escape_debug().to_string().replace("\\'", "'")),
        Yaml::Sequence(items) if items.is_empty() => "an empty list".to_owned(),
        Yaml::Mapping(items) if items.is_empty() => "an empty table".to_owned(),
        Yaml::Sequence(_) => "a list".to_owned(),
        Yaml::Mapping(_) => "a table".to_owned(),
        Yaml::Tagged(tagged) => format!("a value tagged {}", tagged.tag),
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(boolean) => boolean.to_string(),
        Yaml::Null => "null".to_owned(),
    };
    if text.chars().count() > 60 { format!("{}…", text.chars().take(57).collect::<String>()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(kind: Kind, text: &str) -> Result<Json, String> {
        kind.accept(&serde_yaml::from_str(text).unwrap()).map_err(|complaint| complaint.rule)
    }

    #[test]
    fn numbers_may_be_spelt_as_text_where_numbers_are_wanted() {
        assert_eq!(accept(Kind::Positive, "1e-4"), Ok(json!(1e-4)));
        assert_eq!(accept(Kind::Positive, "'1e-4'"), Ok(json!(1e-4)));
        assert_eq!(accept(Kind::whole(1), "1e3"), Ok(json!(1000)));
        assert_eq!(accept(Kind::Positive, ".inf"), Err("must be a number above 0, not .inf".to_owned()));
        assert_eq!(accept(Kind::Positive, "nan"), Err("must be a number above 0, not `nan`".to_owned()));
    }

    #[test]
    fn a_whole_number_beyond_its_range_is_refused_with_the_range() {
        assert_eq!(accept(Kind::whole(1), "0"), Err("must be a whole number from 1, not 0".to_owned()));
        assert_eq!(accept(Kind::whole(1), "2.5"), Err("must be a whole number from 1, not 2.5".to_owned()));
        let most = accept(Kind::whole(1), "5000000000");
        assert_eq!(most, Err("must be a whole number of at most 4294967295, not 5000000000".to_owned()));
    }

    #[test]
    fn yaml_1_1_words_are_booleans_where_booleans_are_wanted() {
        assert_eq!(accept(Kind::Boolean, "off"), Ok(json!(false)));
        assert_eq!(accept(Kind::Boolean, "Yes"), Ok(json!(true)));
        assert_eq!(accept(Kind::Boolean, "1"), Err("must be true or false, not 1".to_owned()));
    }

    #[test]
    fn what_is_not_built_may_be_left_out_or_neutral() {
        let kind = Kind::Neutral(&["0", "null"]);
        assert_eq!(accept(kind, "0.0"), Ok(Json::Null));
        assert_eq!(accept(kind, "null"), Ok(Json::Null));
        assert!(accept(kind, "0.1").unwrap_err().contains("in this version"));
        assert_eq!(accept(Kind::Neutral(&["constant"]), "constant"), Ok(Json::Null));
    }
}
