//! The valid values under a key: the rule, the remedy, and how a value is parsed.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::fault::Example;
use super::value::{flag, number, whole};
use sweep_core::describe::thousands;
use sweep_core::recipe::Padding;

/// Parses a value, if it is valid.
type Read<T> = Box<dyn Fn(&Value) -> Option<T>>;

/// A description of the valid values.
pub(super) struct Want<T> {
    /// The end of the sentence "it must be", such as `an integer from 1 to 1,024`.
    pub rule: String,
    /// What to write instead.
    pub remedy: Remedy,
    /// Returns the parsed value, if it is valid.
    pub read: Read<T>,
}

/// What to write instead of an invalid value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Remedy {
    /// A valid value.
    Example(Example),
    /// A sentence.
    Text(&'static str),
}

impl Remedy {
    /// Returns the valid value, if there is one.
    pub fn example(self) -> Option<Example> {
        match self {
            Remedy::Example(example) => Some(example),
            Remedy::Text(_) => None,
        }
    }

    /// Returns the text where the layer itself is written.
    pub fn text(self) -> String {
        match self {
            Remedy::Example(example) => example.of_layer(),
            Remedy::Text(text) => text.to_owned(),
        }
    }
}

/// Returns a valid value of a key without a short form.
pub(super) fn value(value: &'static str) -> Remedy {
    Remedy::Example(Example { layer: None, value, more: "" })
}

/// Returns a valid value of the layer's short form.
pub(super) fn layer(layer: &'static str, value: &'static str, more: &'static str) -> Remedy {
    Remedy::Example(Example { layer: Some(layer), value, more })
}

/// An integer in this range.
pub(super) fn count(range: RangeInclusive<u32>, remedy: Remedy) -> Want<u32> {
    Want {
        rule: format!("an integer from {} to {}", range.start(), thousands((*range.end()).into())),
        remedy,
        read: Box::new(move |value| whole(value).filter(|count| range.contains(count))),
    }
}

/// A fraction from 0 to below 1.
pub(super) fn share(remedy: Remedy) -> Want<f64> {
    Want {
        rule: "a number of at least 0 and below 1".into(),
        remedy,
        read: Box::new(|value| number(value).filter(|share| (0.0..1.0).contains(share))),
    }
}

/// A number above 0.
pub(super) fn positive(remedy: Remedy) -> Want<f64> {
    Want {
        rule: "a number above 0".into(),
        remedy,
        read: Box::new(|value| number(value).filter(|number| *number > 0.0)),
    }
}

/// true or false.
pub(super) fn boolean() -> Want<bool> {
    Want { rule: "true or false".into(), remedy: Remedy::Text("write true or false"), read: Box::new(flag) }
}

/// A number above 0, or null or false for none.
pub(super) fn max_norm() -> Want<Option<f64>> {
    Want {
        rule: "a number above 0, or null".into(),
        remedy: value("3"),
        read: Box::new(|value| match value {
            Value::Null => Some(None),
            value if flag(value) == Some(false) => Some(None),
            value => number(value).filter(|norm| *norm > 0.0).map(Some),
        }),
    }
}

/// `same` or `valid`.
pub(super) fn padding() -> Want<Padding> {
    Want {
        rule: "same or valid".into(),
        remedy: Remedy::Text("write same to keep the size, or valid for no padding"),
        read: Box::new(|value| match value.as_str() {
            Some("same") => Some(Padding::Same),
            Some("valid") => Some(Padding::Valid),
            _ => None,
        }),
    }
}

/// The way in which the sides of an image are halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By max-pooling.
    Pool,
    /// By the stride of the preceding convolution.
    Stride,
    /// Not at all.
    None,
}

/// `pool`, `stride` or `none`.
pub(super) fn way() -> Want<Way> {
    Want {
        rule: "pool, stride, or none".into(),
        remedy: Remedy::Text(
            "write pool for max pooling by 2, or stride to give the preceding convolution a stride of 2",
        ),
        read: Box::new(|value| match value {
            Value::String(text) => match text.as_str() {
                "pool" => Some(Way::Pool),
                "stride" => Some(Way::Stride),
                "none" => Some(Way::None),
                _ => None,
            },
            Value::Null | Value::Bool(false) => Some(Way::None),
            _ => None,
        }),
    }
}
