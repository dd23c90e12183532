//! The kinds of value in the file and how they are read: a YAML value goes in, a checked JSON value comes out.

use std::fmt;

use serde_json::{Value as Json, json};
use serde_yaml::Value as Yaml;

use super::value::{boolean, number, show, whole};
use sweep_core::describe::thousands;
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
    /// A share above 0 and below 1, a number of images, `val`, or `test`.
    Validation,
    /// A share above 0 and below 1, or a number of images.
    HeldOut,
    /// `none`, `dataset`, or a list of means and a list of deviations.
    Normalize,
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
    /// The problem.
    pub what: What,
    /// What to write instead, unless the rule says it.
    pub remedy: Option<String>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The value, or that of a key in its table, is not one of the valid values.
    Invalid {
        /// The key in the value's table; `None` if the value itself is invalid.
        key: Option<String>,
        /// The invalid value, as it could have been written.
        value: String,
        /// The rule, worded to follow `must be`: `a number above 0`.
        rule: String,
    },
    /// The value is a table with the wrong keys. The text follows the path of the value.
    Keys(String),
}

impl fmt::Display for Complaint {
    /// Writes `is -1, but must be a number above 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Invalid { key: None, value, rule } => write!(f, "is {value}, but must be {rule}"),
            What::Invalid { key: Some(key), value, rule } => write!(f, "`{key}` is {value}, but must be {rule}"),
            What::Keys(text) => f.write_str(text),
        }
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
                Some(word @ ("val" | "test")) => Some(json!(word)),
                _ => return Kind::HeldOut.accept(value).map_err(|_| self.complaint(value)),
            },
            Kind::HeldOut => match whole(value) {
                Some(count) => Some(count).filter(|count| *count > 0).map(Json::from),
                None => number(value).filter(|&x| x > 0.0 && x < 1.0).map(Json::from),
            },
            Kind::Normalize => match (value, value.as_str()) {
                (_, Some(word @ ("none" | "dataset"))) => Some(json!(word)),
                (Yaml::Null, _) => Some(json!("none")),
                _ => means_and_deviations(value),
            },
            Kind::Table => value.is_null().then_some(Json::Null),
            Kind::Optional(_) if value.is_null() => Some(Json::Null),
            Kind::Optional(kind) => {
                return kind.accept(value).map_err(|complaint| complaint.or_null());
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
                format!("an integer of at most {}", thousands(most))
            }
            Kind::Whole { least, .. } => format!("an integer of at least {least}"),
            Kind::Positive => "a number above 0".to_owned(),
            Kind::NotNegative => "a number of at least 0".to_owned(),
            Kind::Share => "a number of at least 0 and below 1".to_owned(),
            Kind::Boolean => "true or false".to_owned(),
            Kind::Choice(words) => {
                remedy = nearest(value.as_str().unwrap_or(""), words.iter().copied())
                    .map(|word| format!("did you mean `{word}`?"));
                either(words)
            }
            Kind::Text => "a string that is not empty".to_owned(),
            Kind::Validation => "a fraction above 0 and below 1, a number of images, `val`, or `test`".to_owned(),
            Kind::HeldOut => "a fraction above 0 and below 1, or a number of images".to_owned(),
            Kind::Normalize => {
                "none, dataset, or [means, deviations] with a number above 0 as each deviation".to_owned()
            }
            Kind::Table => "a table or null".to_owned(),
            Kind::AtLeastOne => "a number of at least 1".to_owned(),
            Kind::Degrees => "a number from 0 to 180".to_owned(),
            Kind::Warmup => "an integer number of steps, or a fraction of all steps above 0 and below 1".to_owned(),
            Kind::Optional(_) => unreachable!("`accept` asks the kind within"),
        };
        Complaint { what: What::Invalid { key: None, value: show(value), rule }, remedy }
    }
}

impl Complaint {
    /// Adds `null` to the values that the rule allows.
    fn or_null(mut self) -> Complaint {
        if let What::Invalid { rule, .. } = &mut self.what {
            *rule = format!("null or {rule}");
        }
        self
    }
}

/// Reads `[[0.5, 0.5, 0.5], [0.2, 0.2, 0.2]]`: as many means as deviations, at least one of each.
fn means_and_deviations(value: &Yaml) -> Option<Json> {
    let numbers = |value: &Yaml| value.as_sequence()?.iter().map(number).collect::<Option<Vec<f64>>>();
    let [means, deviations] = value.as_sequence()?.as_slice() else { return None };
    let (means, deviations) = (numbers(means)?, numbers(deviations)?);
    let fits = !means.is_empty() && means.len() == deviations.len() && deviations.iter().all(|&one| one > 0.0);
    fits.then(|| json!([means, deviations]))
}

/// Formats `adam, sgd, or rmsprop`.
pub fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [one, other] => format!("{one} or {other}"),
        [first @ .., last] => format!("{}, or {last}", first.join(", ")),
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
        assert_eq!(accept(Kind::Positive, ".inf"), Err("is .inf, but must be a number above 0".to_owned()));
        assert_eq!(accept(Kind::Positive, "nan"), Err("is `nan`, but must be a number above 0".to_owned()));
    }

    #[test]
    fn a_whole_number_beyond_its_range_is_refused_with_the_range() {
        assert_eq!(accept(Kind::whole(1), "0"), Err("is 0, but must be an integer of at least 1".to_owned()));
        assert_eq!(accept(Kind::whole(1), "2.5"), Err("is 2.5, but must be an integer of at least 1".to_owned()));
        let most = accept(Kind::whole(1), "5000000000");
        assert_eq!(most, Err("is 5000000000, but must be an integer of at most 4,294,967,295".to_owned()));
    }

    #[test]
    fn yaml_1_1_words_are_booleans_where_booleans_are_wanted() {
        assert_eq!(accept(Kind::Boolean, "off"), Ok(json!(false)));
        assert_eq!(accept(Kind::Boolean, "Yes"), Ok(json!(true)));
        assert_eq!(accept(Kind::Boolean, "1"), Err("is 1, but must be true or false".to_owned()));
    }

    #[test]
    fn a_warmup_is_steps_or_a_share_of_them() {
        assert_eq!(accept(Kind::Warmup, "1"), Ok(json!(1)));
        assert_eq!(accept(Kind::Warmup, "0.05"), Ok(json!(0.05)));
        assert!(accept(Kind::Warmup, "1.5").is_err() && accept(Kind::Warmup, "-0.1").is_err());
    }
}
