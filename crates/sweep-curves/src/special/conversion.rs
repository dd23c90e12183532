//! Quantities that are computed from others: the loss of a perplexity, the accuracy of an error rate.

use std::borrow::Cow;

use super::{has, least};
use crate::gather::{Points, Values, note};
use crate::names::{self, Target, meaning, names_part};
use sweep_core::trial::METRICS;

/// Words for the share of wrong answers.
const ERROR_RATES: [&str; 7] = ["wer", "cer", "error", "merror", "err", "error1", "err1"];
/// Those that count wrong words or letters, which may be more than there are.
const COUNTED_ERRORS: [&str; 2] = ["wer", "cer"];

/// A quantity that is computed from another one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Conversion {
    /// The loss is the logarithm of the perplexity.
    Logarithm,
    /// The accuracy is what an error rate lacks to one.
    Complement,
}

/// The metric that a name stands for after a conversion.
pub fn stands_for(name: &str) -> Option<(Target, u32)> {
    converted(name).map(|(_, target)| target)
}

fn converted(name: &str) -> Option<(Conversion, (Target, u32))> {
    let words = names::words(name);
    let is = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let (conversion, from, to): (_, &[&str], _) = match () {
        () if is(&["ppl", "perplexity"]) => (Conversion::Logarithm, &["ppl", "perplexity"], "loss"),
        () if is(&ERROR_RATES) => (Conversion::Complement, &ERROR_RATES, "accuracy"),
        () => return None,
    };
    let words = words.iter().filter(|word| *word != "rate" && *word != "classification");
    let words = words.map(|word| if from.contains(&word.as_str()) { to } else { word.as_str() });
    Some((conversion, meaning(&words.collect::<Vec<_>>().join(" "))?))
}

pub(super) fn conversions(values: &mut Cow<Values>, is_free: &impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    let mut found: Vec<_> = values
        .keys()
        .filter(|name| is_free(name))
        .filter_map(|name| match converted(name)? {
            (conversion, (Target::Metric(at), far)) => Some((name.clone(), conversion, METRICS[at], far)),
            _ => None,
        })
        .collect();
    // Wrong words tell more than wrong letters, and the validation set more than a third one.
    found.sort_by_key(|(name, .., far)| (names::words(name).iter().any(|word| word == "cer"), *far));
    for (name, conversion, metric, _) in found {
        if has(values, metric) || values[&name].len() < least(values) {
            continue;
        }
        let points = &values[&name];
        let finite = || points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let (least, most) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let words = names::words(&name);
        let is_rate = words.iter().any(|word| word == "rate" || word == "merror");
        let is_counted = words.iter().any(|word| COUNTED_ERRORS.contains(&word.as_str()));
        let in_percent = 2 * finite().filter(|value| *value > 1.5).count() > finite().count();
        let convert: &dyn Fn(f64) -> f64 = match conversion {
            Conversion::Logarithm if least >= 1.0 => &f64::ln,
            Conversion::Complement if least >= 0.0 && most <= 1.0 => &|error| 1.0 - error,
            Conversion::Complement if is_counted && least >= 0.0 && in_percent => {
                &|error| 1.0 - (error / 100.0).min(1.0)
            }
            Conversion::Complement if is_counted && least >= 0.0 => &|error| 1.0 - error.min(1.0),
            Conversion::Complement if is_rate && least >= 0.0 && most <= 100.0 => &|error| 1.0 - error / 100.0,
            _ => continue,
        };
        let points: Points = points.iter().map(|(place, value)| (*place, convert(*value))).collect();
        let part = if names_part(&name).is_some() { metric } else { metric.split('_').next_back().unwrap_or(metric) };
        note(
            notes,
            match conversion {
                Conversion::Logarithm => format!("{name} is shown as its logarithm, the loss"),
                Conversion::Complement => format!("{name} is an error, shown as accuracy (1 − error)"),
            },
        );
        values.to_mut().remove(&name);
        values.to_mut().insert(part.to_owned(), points);
    }
}
