//! A parameter as a statistical factor: a few levels, and the level of each observation.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::words;
use sweep_core::trial::Settings;

/// Numbers with more distinct values than this are binned, as are all numbers drawn from a range.
const MOST_VALUES: usize = 8;
/// Maximum number of bins. All bins have about the same number of observations.
const BINS: usize = 6;
/// Minimum number of observations per bin.
const FILLED: usize = 4;
/// Parameters with text values are left out if they have more distinct values than this, because a chart cannot show
/// them.
const MOST_WORDS: usize = 12;
/// Name of the level for configurations without the parameter.
const ABSENT: &str = "not set";

/// A parameter that varied.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// The parameter's name.
    pub name: String,
    /// At least two levels. Numbers are in ascending order, text values in order of appearance.
    pub levels: Vec<String>,
    /// Whether the levels are numbers.
    pub ordered: bool,
    /// Whether each level is one value rather than a range of values.
    pub exact: bool,
    /// The index of each observation's level.
    pub of: Vec<usize>,
}

impl Factor {
    /// Creates the factor. Returns `None` if the parameter did not vary or has too many text values. `drawn` means that
    /// its numbers were drawn from a range rather than a list.
    pub fn new(name: &str, observations: &[&Settings], drawn: bool) -> Option<Factor> {
        let values: Vec<Option<&Value>> = observations.iter().map(|settings| settings.get(name)).collect();
        let present = || values.iter().flatten().copied();
        let ordered = present().next().is_some() && present().all(Value::is_number);
        let mut distinct: Vec<&Value> = Vec::new();
        for value in present() {
            if distinct.len() <= MOST_WORDS && !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        if !ordered && distinct.len() > MOST_WORDS {
            return None;
        }
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let exact = !ordered || distinct.len() <= if drawn { 1 } else { MOST_VALUES };
        let (mut levels, mut of): (Vec<String>, Vec<usize>);
        if exact {
            if ordered {
                distinct.sort_by(|a, b| number(a).total_cmp(&number(b)));
            }
            levels = distinct.iter().map(|value| words::setting(value)).collect();
            let find = |value: &Value| distinct.iter().position(|one| *one == value).unwrap_or(distinct.len());
            of = values.iter().map(|value| value.map_or(distinct.len(), find)).collect();
        } else {
            let mut sorted: Vec<f64> = present().map(number).collect();
            sorted.sort_by(f64::total_cmp);
            let bins = (sorted.len() / FILLED).clamp(2, BINS);
            let mut starts: Vec<f64> = (0..bins).map(|bin| sorted[bin * sorted.len() / bins]).collect();
            starts.dedup();
            let bin = |value: &Value| starts.partition_point(|start| *start <= number(value)).saturating_sub(1);
            let ends = starts.iter().skip(1).copied().chain(sorted.last().copied());
            levels = starts.iter().zip(ends).map(|(from, to)| format!("{} – {}", short(*from), short(to))).collect();
            of = values.iter().map(|value| value.map_or(starts.len(), bin)).collect();
        }
        if of.contains(&levels.len()) {
            levels.push(ABSENT.into());
        }
        // A listed level without observations is removed.
        let used: BTreeSet<usize> = of.iter().copied().collect();
        of.iter_mut().for_each(|level| *level = used.range(..*level).count());
        levels = levels.into_iter().enumerate().filter(|(at, _)| used.contains(at)).map(|(_, level)| level).collect();
        (levels.len() > 1).then(|| Factor { name: name.to_owned(), levels, ordered, exact, of })
    }

    /// Whether the parameter has more text values than can be compared.
    pub fn has_too_many(name: &str, observations: &[&Settings]) -> bool {
        let values = || observations.iter().filter_map(|settings| settings.get(name));
        let mut distinct: Vec<&Value> = Vec::new();
        for value in values() {
            if distinct.len() <= MOST_WORDS && !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        distinct.len() > MOST_WORDS && !values().all(Value::is_number)
    }

    /// Whether a level represents configurations without the parameter.
    pub fn is_absent(&self, level: usize) -> bool {
        self.levels[level] == ABSENT
    }

    /// The same factor for a subset of the observations, given by index.
    pub fn only(&self, kept: &[usize]) -> Factor {
        Factor { of: kept.iter().map(|at| self.of[*at]).collect(), ..self.clone() }
    }

    /// The level of a value, if levels are exact.
    pub fn level(&self, value: &Value) -> Option<usize> {
        let text = words::setting(value);
        self.levels.iter().position(|level| *level == text).filter(|_| self.exact)
    }
}

/// Formats a number with three digits: `0.00123`, `1.5e-6`, `128`.
fn short(value: f64) -> String {
    let digits = 2 - value.abs().max(1e-300).log10().floor() as i32;
    match value.abs() {
        0.0 => "0".into(),
        1e-4..1e6 => {
            let text = format!("{value:.*}", digits.clamp(0, 9) as usize);
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
        }
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn factor(values: &[Value]) -> Option<Factor> {
        let settings: Vec<Settings> = values
            .iter()
            .map(|value| match value {
                Value::Null => Settings::new(),
                value => json!({"a": value}).as_object().expect("an object").clone(),
            })
            .collect();
        Factor::new("a", &settings.iter().collect::<Vec<_>>(), false)
    }

    #[test]
    fn numbers_are_in_order_and_an_absent_setting_is_a_level() {
        let factor = factor(&[json!(128), json!(32), Value::Null, json!(128)]).expect("it varies");
        assert_eq!((factor.levels.join(","), factor.of), ("32,128,not set".into(), vec![1, 0, 2, 1]));
    }

    #[test]
    fn many_numbers_are_put_into_bins_of_about_the_same_size() {
        let values: Vec<Value> = (1..=600).map(|n| json!(10_f64.powf(-1.0 - f64::from(n) / 200.0))).collect();
        let factor = factor(&values).expect("it varies");
        let counts: Vec<usize> = (0..6).map(|bin| factor.of.iter().filter(|level| **level == bin).count()).collect();
        assert_eq!(counts, [100; 6]);
        assert!(!factor.exact && factor.levels[0].contains(" – "), "{:?}", factor.levels);
    }

    #[test]
    fn a_few_numbers_from_a_range_are_few_bins() {
        let settings: Vec<Settings> =
            [0.1, 0.4, 0.2, 0.6, 0.3, 0.5, 0.7, 0.8].map(|a| [("a".into(), json!(a))].into_iter().collect()).into();
        let factor = Factor::new("a", &settings.iter().collect::<Vec<_>>(), true).expect("it varies");
        assert_eq!((factor.levels.join(","), factor.of), ("0.1 – 0.5,0.5 – 0.8".into(), vec![0, 0, 0, 1, 0, 1, 1, 1]));
    }

    #[test]
    fn what_does_not_vary_is_none() {
        assert_eq!(factor(&[json!("adam"), json!("adam")]), None);
        assert_eq!(factor(&[Value::Null, Value::Null]), None);
        assert_eq!(factor(&(0..40).map(|n| json!(format!("w{n}"))).collect::<Vec<_>>()), None);
    }
}
