//! Estimates the remaining time of a sweep.

use std::collections::HashSet;

use sweep_core::history::{History, TrialRecord};
use sweep_spec::Spec;

/// The remaining time in seconds: the epochs still to be trained, times the mean duration of an epoch, divided by the
/// number of slots. It is `None` before any measurement, or if the search has no end. `planned` is the planned number
/// of epochs of a trial.
pub fn seconds_left(
    history: &History,
    total: Option<u64>,
    planned: impl Fn(&TrialRecord) -> Option<u32>,
) -> Option<f64> {
    let well = |trial: &&TrialRecord| trial.ended_well();
    let ended: Vec<&TrialRecord> = history.trials.iter().filter(well).collect();
    let seconds = |trials: &[&TrialRecord]| {
        mean(trials.iter().flat_map(|trial| trial.curve.iter().filter_map(|epoch| epoch.seconds)))
    };
    // Programs rarely say how long an epoch took, so all of a trial's time is shared out.
    let shared = || mean(ended.iter().map(|trial| trial.seconds / trial.curve.len().max(1) as f64));
    let epoch = seconds(&ended).or_else(shared).or_else(|| seconds(&history.trials.iter().collect::<Vec<_>>()))?;
    let length = mean(ended.iter().map(|trial| trial.curve.len().max(1) as f64))
        .or_else(|| history.trials.iter().find_map(&planned).map(f64::from))?;
    let started = history.trials.len() as u64;
    let begun = history.trials.iter().filter(|trial| trial.outcome().is_none());
    let lengths = begun.map(|trial| (length - trial.curve.len() as f64).max(0.0));
    let fresh = total?.saturating_sub(started);
    let (count, epochs) = lengths.fold((fresh, fresh as f64 * length), |(count, sum), more| (count + 1, sum + more));
    // Of the slots on a shared GPU, only those in use count.
    let used = || history.trials.iter().map(|trial| &trial.slot).collect::<HashSet<_>>().len();
    let slots = if history.shapes.is_empty() { history.slots.len() } else { used() };
    let slots = (slots as u64).clamp(1, count.max(1));
    Some(epochs * epoch / slots as f64)
}

/// Parameters of programs that say how many epochs a trial has.
const EPOCHS: [&str; 6] = ["epochs", "num_epochs", "n_epochs", "max_epochs", "num_train_epochs", "nepochs"];

/// The planned number of epochs of a trial: from the sweep file, or as reported by the program. `None` if it is
/// unknown.
pub fn planned_epochs(spec: &Spec, trial: &TrialRecord) -> Option<u32> {
    if spec.program().is_none() {
        return spec.recipe(&trial.settings).ok().map(|recipe| recipe.training.epochs);
    }
    let whole = |name: &&str| u32::try_from(trial.settings.get(*name)?.as_u64()?).ok();
    trial.planned.or_else(|| EPOCHS.iter().find_map(whole)).filter(|planned| *planned >= trial.epochs())
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::history::Entry;

    #[test]
    fn the_time_left_is_known_for_programs_that_do_not_time_their_epochs() {
        let mut entries = sweep_sample::entries();
        for entry in &mut entries {
            if let Entry::Epoch { metrics, .. } = entry {
                metrics.seconds = None;
            }
        }
        let history = sweep_sample::apply(&entries);
        // Four trials ended well, after 60 s each; ten more take that on two slots.
        assert_eq!(seconds_left(&history, Some(16), |_| None).map(f64::round), Some(307.0));
        assert_eq!(seconds_left(&sweep_sample::apply(&sweep_sample::beginning("new")), Some(16), |_| None), None);
    }
}
