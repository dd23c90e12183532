//! The history as statistics and charts use it: every number is small enough that sums, squares and differences of many
//! stay finite. Tables keep the numbers as they were measured. Pure.

use std::borrow::Cow;

use sweep_core::history::{History, TrialRecord};

/// The largest magnitude of a metric, and the inverse of the smallest that is not 0.
const LARGEST: f64 = 1e100;

/// The largest magnitude of a time or a duration: 30,000 years in seconds.
const LONGEST: f64 = 1e12;

/// The history with bounded numbers.
pub fn history(history: &History) -> Cow<'_, History> {
    let is_bounded = |trial: &TrialRecord| matches!(self::trial(trial), Cow::Borrowed(_));
    if history.trials.iter().all(is_bounded) && time(history.began_at) == history.began_at {
        return Cow::Borrowed(history);
    }
    Cow::Owned(history.clone().altered(|history| {
        history.began_at = time(history.began_at);
        history.trials.iter_mut().for_each(bound);
    }))
}

/// The same for one trial.
pub fn trial(trial: &TrialRecord) -> Cow<'_, TrialRecord> {
    let mut bounded = trial.clone();
    bound(&mut bounded);
    if bounded == *trial { Cow::Borrowed(trial) } else { Cow::Owned(bounded) }
}

fn bound(trial: &mut TrialRecord) {
    for epoch in &mut trial.curve {
        let metrics = [
            &mut epoch.learning_rate,
            &mut epoch.train_loss,
            &mut epoch.train_accuracy,
            &mut epoch.train_eval_loss,
            &mut epoch.train_eval_accuracy,
            &mut epoch.val_loss,
            &mut epoch.val_accuracy,
            &mut epoch.objective,
            &mut epoch.pictures_per_second,
        ];
        metrics.into_iter().flatten().for_each(|value| *value = metric(*value));
        epoch.seconds = epoch.seconds.map(time);
    }
    for (_, value) in trial.others.values_mut().flatten() {
        *value = metric(*value);
    }
    for at in [&mut trial.started_at, &mut trial.first_started_at, &mut trial.seconds] {
        *at = time(*at);
    }
    trial.ended_at = trial.ended_at.map(time);
    trial.joules = trial.joules.map(metric);
}

fn metric(value: f64) -> f64 {
    if value.abs() < 1.0 / LARGEST { 0.0 } else { value.clamp(-LARGEST, LARGEST) }
}

fn time(seconds: f64) -> f64 {
    seconds.clamp(-LONGEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_sample as sample;

    #[test]
    fn ordinary_numbers_stay_and_extreme_ones_are_bounded() {
        assert!(matches!(history(&sample::history()), Cow::Borrowed(_)));
        let sweep = sample::history().altered(|sweep| {
            sweep.trials[0].curve[0].val_loss = Some(-1.797e308);
            sweep.trials[0].curve[1].val_loss = Some(5e-324);
            sweep.trials[0].others.insert("score".into(), vec![(1, 3e305)]);
            sweep.trials[1].started_at = -1e300;
        });
        let bounded = history(&sweep);
        assert_eq!(bounded.trials[0].curve[0].val_loss, Some(-1e100));
        assert_eq!(bounded.trials[0].curve[1].val_loss, Some(0.0));
        assert_eq!(bounded.trials[0].others["score"], [(1, 1e100)]);
        assert_eq!(bounded.trials[1].started_at, -1e12);
        assert_eq!(bounded.trials[2..], sweep.trials[2..]);
    }
}
