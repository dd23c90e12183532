//! What the trials without a meaningful result have in common: the one value, or the one side of a threshold, that most
//! of them share and few others have. Pure.

use serde_json::Value;

use super::words;
use sweep_core::trial::Settings;

/// Minimum number of trials on either side.
const LEAST: usize = 3;
/// Minimum share of the lost trials on that side, …
const MOST_LOST: f64 = 0.75;
/// … and maximum share of the others.
const FEW_OTHERS: f64 = 0.15;

/// A condition on one parameter.
#[derive(Debug, Clone, PartialEq)]
enum Side {
    Above(f64),
    Below(f64),
    Is(Value),
}

/// Returns a sentence on what separates the lost trials from the others, if one parameter does.
pub fn separating(what: &str, names: &[String], lost: &[&Settings], others: &[&Settings]) -> Option<String> {
    if lost.len() < LEAST || others.len() < LEAST {
        return None;
    }
    let found = names.iter().flat_map(|name| sides(name, lost, others).into_iter().map(move |side| (name, side)));
    let counted = found.map(|(name, side)| {
        let on = |all: &[&Settings]| all.iter().filter(|one| side.holds(one.get(name))).count();
        let (bad, good) = (on(lost), on(others));
        (name, side, bad, good)
    });
    let share = |some: usize, all: usize| some as f64 / all as f64;
    let clear = counted
        .filter(|(_, _, bad, good)| share(*bad, lost.len()) >= MOST_LOST && share(*good, others.len()) <= FEW_OTHERS);
    let apart = |bad: usize, good: usize| share(bad, lost.len()) - share(good, others.len());
    let (name, side, bad, good) = clear.max_by(|a, b| apart(a.2, a.3).total_cmp(&apart(b.2, b.3)))?;
    Some(format!(
        "What {} that {what} have in common: {} in {}, and in {} of the {} others.",
        words::trials(lost.len()),
        side.sentence(name),
        if bad == lost.len() { "all".to_owned() } else { words::count(bad as u64) },
        if good == 0 { "none".to_owned() } else { words::count(good as u64) },
        words::count(others.len() as u64),
    ))
}

/// The conditions on a parameter that could separate the trials.
fn sides(name: &str, lost: &[&Settings], others: &[&Settings]) -> Vec<Side> {
    let value = |one: &&Settings| one.get(name).cloned();
    let numbers = |all: &[&Settings]| all.iter().map(|one| one.get(name)?.as_f64()).collect::<Option<Vec<f64>>>();
    let Some((bad, good)) = numbers(lost).zip(numbers(others)) else {
        let mut values: Vec<Value> = Vec::new();
        for value in lost.iter().filter_map(value) {
            if values.len() < 100 && !values.contains(&value) {
                values.push(value);
            }
        }
        return values.into_iter().map(Side::Is).collect();
    };
    // A threshold is a value of one of the others, so that the sentence names a value that was tried and worked.
    let mut sorted = good.clone();
    sorted.sort_by(f64::total_cmp);
    let spare = (FEW_OTHERS * sorted.len() as f64) as usize;
    let thresholds = |at: usize| [Side::Above(sorted[sorted.len() - 1 - at]), Side::Below(sorted[at])];
    let useful = |side: &Side| bad.iter().any(|value| side.holds(Some(&Value::from(*value))));
    (0..=spare.min(20)).flat_map(thresholds).filter(useful).collect()
}

impl Side {
    fn holds(&self, value: Option<&Value>) -> bool {
        let number = || value.and_then(Value::as_f64);
        match self {
            Side::Above(limit) => number().is_some_and(|value| value > *limit),
            Side::Below(limit) => number().is_some_and(|value| value < *limit),
            Side::Is(own) => value == Some(own),
        }
    }

    fn sentence(&self, name: &str) -> String {
        let name = words::clean(name);
        match self {
            Side::Above(limit) => format!("{name} > {}", words::setting(&Value::from(*limit))),
            Side::Below(limit) => format!("{name} < {}", words::setting(&Value::from(*limit))),
            Side::Is(value) => format!("{name} = {}", words::brief(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(lost: &[Value], others: &[Value]) -> Option<String> {
        let settings =
            |all: &[Value]| all.iter().map(|one| sweep_sample::settings(one.clone())).collect::<Vec<Settings>>();
        let (lost, others) = (settings(lost), settings(others));
        let names = ["lr", "optimizer"].map(str::to_owned);
        separating(
            "failed, diverged or learned nothing",
            &names,
            &lost.iter().collect::<Vec<_>>(),
            &others.iter().collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_threshold_or_a_value_that_separates_the_lost_trials_is_named() {
        let trial = |lr: f64, optimizer: &str| json!({"lr": lr, "optimizer": optimizer});
        let good: Vec<Value> = [0.01, 0.03, 0.1, 0.3].map(|lr| trial(lr, "sgd")).to_vec();
        let high: Vec<Value> = [0.5, 0.9, 0.7].map(|lr| trial(lr, "sgd")).to_vec();
        let expected = "What 3 trials that failed, diverged or learned nothing have in common: lr > 0.3 in all, and in none \
                        of the 4 others.";
        assert_eq!(said(&high, &good).as_deref(), Some(expected));
        let adam: Vec<Value> = [0.02, 0.03, 0.2].map(|lr| trial(lr, "adam")).to_vec();
        assert!(said(&adam, &good).is_some_and(|said| said.contains("optimizer = adam in all")));
        let mixed: Vec<Value> = [0.01, 0.05, 0.2].map(|lr| trial(lr, "sgd")).to_vec();
        assert_eq!(said(&mixed, &good), None);
        assert_eq!(said(&high[..2], &good), None, "two trials prove nothing");
    }
}
