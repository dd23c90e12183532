//! A setting as the statistics see it: a few levels, and which of them each observation has.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::words;
use sweep_core::trial::Settings;

/// Numbers with more values than this are put into bins, and so are all that were drawn from a range.
const MOST_VALUES: usize = 8;
/// Bins of about as many observations each: at most so many,
const BINS: usize = 6;
/// and of so many observations or more.
const FILLED: usize = 4;
/// Words with more values than this say nothing in a chart.
const MOST_WORDS: usize = 12;
/// The level of points that do not have the setting.
const ABSENT: &str = "not set";

/// A setting that varied.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// The setting's name.
    pub name: String,
    /// At least two; numbers ascending, words in the order in which they came.
    pub levels: Vec<String>,
    /// Whether the levels are numbers.
    pub ordered: bool,
    /// Whether a level stands for one value rather than a range of them.
    pub exact: bool,
    /// The level of each observation.
    pub of: Vec<usize>,
}

impl Factor {
    /// `None` where the setting did not vary, or has too many words. `drawn` are numbers from a range, not from a list.
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
        // A level of the list that no observation has is none.
        let used: BTreeSet<usize> = of.iter().copied().collect();
        of.iter_mut().for_each(|level| *level = used.range(..*level).count());
        levels = levels.into_iter().enumerate().filter(|(at, _)| used.contains(at)).map(|(_, level)| level).collect();
        (levels.len() > 1).then(|| Factor { name: name.to_owned(), levels, ordered, exact, of })
    }

    /// Whether a level stands for points that do not have the setting.
    pub fn is_absent(&self, level: usize) -> bool {
        self.levels[level] == ABSENT
    }

    /// The same of some of the observations, by their numbers.
    pub fn only(&self, kept: &[usize]) -> Factor {
        Factor { of: kept.iter().map(|at| self.of[*at]).collect(), ..self.clone() }
    }

    /// The level of a value, where levels are exact.
    pub fn level(&self, value: &Value) -> Option<usize> {
        let text = words::setting(value);
        self.levels.iter().position(|level| *level == text).filter(|_| self.exact)
    }
}

/// Three digits: `0.00123`, `1.5e-6`, `128`.
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
