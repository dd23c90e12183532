//! What may stand under a key: the rule, what to write instead, and how it is read.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::value::{flag, number, whole};
use sweep_core::recipe::Padding;

/// Makes what is wanted of a value, if it can be made of it.
type Read<T> = Box<dyn Fn(&Value) -> Option<T>>;

/// What a value should be.
pub(super) struct Want<T> {
    /// Completes "it must be": `a whole number from 1 to 1,024`.
    pub rule: String,
    /// `write 3, say`.
    pub remedy: &'static str,
    /// The value, if it is one.
    pub read: Read<T>,
}

/// A whole number in that range.
pub(super) fn count(range: RangeInclusive<u32>, remedy: &'static str) -> Want<u32> {
    Want {
        rule: format!("a whole number from {} to {}", range.start(), range.end()),
        remedy,
        read: Box::new(move |value| whole(value).filter(|count| range.contains(count))),
    }
}

/// A share from 0 to below 1.
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

/// A number above 0; null or false for none.
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

/// How a picture's sides are halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By a max-pool.
    Pool,
    /// By the stride of the convolution before.
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
