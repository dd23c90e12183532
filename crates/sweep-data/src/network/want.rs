//! The valid values under a key: the rule, the remedy, and how a value is parsed.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::value::{flag, number, whole};
use sweep_core::recipe::Padding;

/// Parses a value, if it is valid.
type Read<T> = Box<dyn Fn(&Value) -> Option<T>>;

/// A description of the valid values.
pub(super) struct Want<T> {
    /// The end of the sentence "it must be", such as `a whole number from 1 to 1,024`.
    pub rule: String,
    /// What to write instead, such as `write 3, say`.
    pub remedy: &'static str,
    /// Returns the parsed value, if it is valid.
    pub read: Read<T>,
}

/// An integer in this range.
pub(super) fn count(range: RangeInclusive<u32>, remedy: &'static str) -> Want<u32> {
    Want {
        rule: format!("a whole number from {} to {}", range.start(), range.end()),
        remedy,
        read: Box::new(move |value| whole(value).filter(|count| range.contains(count))),
    }
}

/// A fraction from 0 to below 1.
pub(super) fn share(remedy: &'static str) -> Want<f64> {
    Want {
        rule: "a number from 0 to below 1".into(),
        remedy,
        read: Box::new(|value| number(value).filter(|share| (0.0..1.0).contains(share))),
    }
}

/// A number above 0.
pub(super) fn positive(remedy: &'static str) -> Want<f64> {
    Want {
        rule: "a number above 0".into(),
        remedy,
        read: Box::new(|value| number(value).filter(|number| *number > 0.0)),
    }
}

/// true or false.
pub(super) fn boolean() -> Want<bool> {
    Want { rule: "true or false".into(), remedy: "write true or false", read: Box::new(flag) }
}

/// A number above 0, or null or false for none.
pub(super) fn max_norm() -> Want<Option<f64>> {
    Want {
        rule: "a number above 0, or null for none".into(),
        remedy: "write 3, say",
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
        remedy: "write same to keep the size, valid for no padding",
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
        rule: "pool, stride or none".into(),
        remedy: "write pool for a max-pool of 2, stride to give the convolution before it a stride of 2",
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
