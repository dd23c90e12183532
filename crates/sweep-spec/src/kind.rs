//! The kinds of value in the file and how they are read: a YAML value goes in, a checked JSON value comes out.

use std::fmt;

use serde_json::{Value as Json, json};
use serde_yaml::Value as Yaml;

use super::value::{boolean, number, show, whole};
use sweep_core::nearest::nearest;

/// The values that are valid in one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// An integer, both ends included.
    Whole {
        /// Minimum value.
        least: u64,
        /// Maximum value.
        most: u64,
    },
    /// A number above 0.
    Positive,
    /// A number of at least 0.
    NotNegative,
    /// A number from 0 to below 1.
    Share,
    /// `true` or `false`, and their synonyms in YAML 1.1.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text that is not empty.
    Text,
    /// A share above 0 and below 1, or `test`.
    Validation,
    /// A table of further settings, or `null` to turn the group off.
    Table,
    /// A value of the inner kind, or `null` to turn the setting off.
    Optional(&'static Kind),
    /// A number of at least 1.
    AtLeastOne,
    /// An angle from 0 to 180, in degrees.
    Degrees,
    /// An integer number of steps, or a share of all steps above 0 and below 1.
    Warmup,
}

/// Why a value is invalid in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Complaint {
    /// The rule, worded to follow the key: `must be a number above 0`.
    pub rule: String,
    /// The invalid value, as it could have been written.
    pub value: String,
    /// What to write instead, unless the rule says it.
    pub remedy: Option<String>,
}

impl fmt::Display for Complaint {
    /// Writes `must be a number above 0, not -1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, not {}", self.rule, self.value)
    }
}

impl Kind {
    /// Returns the kind of an integer from `least` that fits 32 bits.
    pub const fn whole(least: u64) -> Kind {
        Kind::Whole { least, most: u32::MAX as u64 }
    }

    /// Reads a value. Text that spells a number is accepted as a number, and `yes` is accepted as true.
    ///
    /// # Errors
    /// The problem with the value.
    pub fn accept(self, value: &Yaml) -> Result<Json, Complaint> {
        let found = match self {
            Kind::Whole { least, most } => whole(value).filter(|n| (least..=most).contains(n)).map(Json::from),
            Kind::Positive => number(value).filter(|&x| x > 0.0).map(Json::from),
            Kind::NotNegative => number(value).filter(|&x| x >= 0.0).map(Json::from),
            Kind::Share => number(value).filter(|x| (0.0..1.0).contains(x)).map(Json::from),
            Kind::Boolean => boolean(value).map(Json::from),
            Kind::Choice(words) => value.as_str().filter(|word| words.contains(word)).map(Json::from),
            Kind::Text => match value {
                Yaml::String(text) => Some(text.as_str().into()).filter(|_| !text.trim().is_empty()),
                // `name: 2026` is meant as text.
                Yaml::Number(number) => Some(number.to_string().into()),
                _ => None,
            },
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
            Kind::AtLeastOne => number(value).filter(|&x| x >= 1.0).map(Json::from),
            Kind::Degrees => number(value).filter(|x| (0.0..=180.0).contains(x)).map(Json::from),
            Kind::Warmup => match whole(value) {
                Some(steps) => Some(steps.into()),
                None => number(value).filter(|&x| x > 0.0 && x < 1.0).map(Json::from),
            },
        };
        found.ok_or_else(|| self.complaint(value))
    }

    /// Returns whether only integers are valid.
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
            Kind::AtLeastOne => "must be a number from 1".to_owned(),
            Kind::Degrees => "must be a number from 0 to 180".to_owned(),
            Kind::Warmup => "must be a whole number of steps, or a share of them above 0 and below 1".to_owned(),
            Kind::Optional(_) => unreachable!("`accept` asks the kind within"),
        };
        Complaint { rule, value: show(value), remedy }
    }
}

/// Formats `adam, sgd or rmsprop`.
pub fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(kind: Kind, text: &str) -> Result<Json, String> {
        kind.accept(&serde_yaml::from_str(text).unwrap()).map_err(|complaint| complaint.to_string())
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
    fn a_warmup_is_steps_or_a_share_of_them() {
        assert_eq!(accept(Kind::Warmup, "1"), Ok(json!(1)));
        assert_eq!(accept(Kind::Warmup, "0.05"), Ok(json!(0.05)));
        assert!(accept(Kind::Warmup, "1.5").is_err() && accept(Kind::Warmup, "-0.1").is_err());
    }
}
