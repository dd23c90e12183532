//! Trials of a program that measured exactly the same: the script does not read its seed, or not its parameters.

use std::collections::{BTreeMap, BTreeSet};

use super::format;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{EpochMetrics, Outcome};

/// Minimum number of different values in a curve. Trials with fewer may be equal by chance.
const LEAST_VALUES: usize = 3;

/// What the program seems to ignore, because the curves of trials are identical.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Identical {
    /// Whether all repeats of all repeated configurations are equal.
    pub repeats: bool,
    /// Parameters that change nothing, or all of them.
    pub parameters: Vec<String>,
}

impl Identical {
    /// Compares the finished trials.
    pub fn new(history: &History) -> Identical {
        let finished = |trial: &&TrialRecord| matches!(trial.outcome(), Some(Outcome::Finished)) && tells(trial);
        let trials: Vec<&TrialRecord> = history.trials.iter().filter(finished).collect();
        let names: BTreeSet<&String> = trials.iter().flat_map(|trial| trial.settings.keys()).collect();
        let parameters = names.into_iter().filter(|name| changes_nothing(&trials, Some(name)));
        let mut parameters: Vec<String> = parameters.cloned().collect();
        let all_equal = trials.len() > 2 && trials.windows(2).all(|pair| are_equal(pair[0], pair[1]));
        if all_equal && trials.windows(2).any(|pair| pair[0].settings != pair[1].settings) {
            parameters = vec!["all".to_owned()];
        }
        Identical { repeats: changes_nothing(&trials, None), parameters }
    }

    /// Returns what to check, in one or two sentences.
    pub fn sentence(&self) -> Option<String> {
        let repeats = self.repeats.then(|| {
            "Repeats of the same configuration measured exactly the same values, so they show nothing about chance. \
             Does the script \
             use its seed (`SWEEP_SEED` or `${seed}`)?"
                .to_owned()
        });
        let names = self.parameters.iter().map(|name| format::clean(name)).collect::<Vec<_>>().join(", ");
        let parameters = match &self.parameters[..] {
            [] => None,
            [all] if all == "all" => {
                Some("All trials measured exactly the same values. Does the script read its parameters?".to_owned())
            }
            _ => Some(format!(
                "Trials that differ only in {names} measured exactly the same values. Does the script read each of \
                 these parameters under this name, and with the right type?"
            )),
        };
        let said: Vec<String> = repeats.into_iter().chain(parameters).collect();
        (!said.is_empty()).then(|| said.join(" "))
    }
}

/// Whether trials that differ in nothing but this parameter (or only in their seeds) are equal, and there are any.
fn changes_nothing(trials: &[&TrialRecord], name: Option<&str>) -> bool {
    let mut alike: BTreeMap<String, Vec<&TrialRecord>> = BTreeMap::new();
    for trial in trials {
        let mut settings = trial.settings.clone();
        if let Some(name) = name {
            settings.remove(name);
        }
        let key = serde_json::to_string(&settings).expect("settings are JSON");
        alike.entry(key).or_default().push(trial);
    }
    let differ = |group: &&Vec<&TrialRecord>| match name {
        Some(name) => group.windows(2).any(|pair| pair[0].settings.get(name) != pair[1].settings.get(name)),
        None => group.len() > 1,
    };
    let groups: Vec<&Vec<&TrialRecord>> = alike.values().filter(differ).collect();
    !groups.is_empty() && groups.iter().all(|group| group.windows(2).all(|pair| are_equal(pair[0], pair[1])))
}

fn are_equal(one: &TrialRecord, other: &TrialRecord) -> bool {
    let timeless = |epoch: &EpochMetrics| EpochMetrics { seconds: None, pictures_per_second: None, ..*epoch };
    one.curve.len() == other.curve.len()
        && one.curve.iter().zip(&other.curve).all(|(one, other)| timeless(one) == timeless(other))
}

/// Whether the curve has enough different values to distinguish trials.
fn tells(trial: &TrialRecord) -> bool {
    let values = |epoch: &EpochMetrics| {
        [epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy, epoch.objective]
    };
    let all: BTreeSet<u64> = trial.curve.iter().flat_map(values).flatten().map(f64::to_bits).collect();
    all.len() >= LEAST_VALUES
}
