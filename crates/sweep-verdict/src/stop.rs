//! `stop_on: overfit`: applies the report's finding while the trial still runs.

use super::{Advice, Context, Name, Severity, judge};
use sweep_core::trial::{EpochMetrics, Metric};

/// Number of epochs without improvement of the metric before a trial stops. Accuracy often rises after the loss has
/// turned.
const STILL: u32 = 3;

/// Returns whether a trial stops. Validation loss must have risen beyond its noise, and the sweep's metric must no
/// longer improve. Overfitting must be clear by the rise or by the gap to training.
pub fn overfits(curve: &[EpochMetrics], context: &Context, metric: &Metric) -> bool {
    let (Some(last), Some(best)) = (curve.last(), metric.best(curve)) else { return false };
    last.epoch - best.epoch >= STILL
        && judge(curve, context).iter().any(|finding| {
            finding.name == Name::Overfit
                && finding.severity >= Severity::Clear
                && finding.advice.contains(&Advice::StopEarly)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::trial::Goal;

    /// Returns a curve whose validation loss falls for ten epochs, then rises. Its training loss falls throughout.
    fn curve(epochs: u32, turn: f64) -> Vec<EpochMetrics> {
        let epoch = |epoch: u32| {
            let (x, wobble) = (f64::from(epoch), 0.004 * f64::from(epoch % 3));
            let rise = turn * (x - 10.0).max(0.0);
            EpochMetrics {
                epoch,
                train_eval_loss: Some(2.0 / x + wobble),
                val_loss: Some(0.6 + 1.5 / x.min(10.0) + rise + wobble),
                ..EpochMetrics::default()
            }
        };
        (1..=epochs).map(epoch).collect()
    }

    #[test]
    fn a_turn_ends_a_trial_once_it_is_clear_and_not_before() {
        let metric = Metric { name: "val_loss".into(), goal: Goal::Minimize };
        let first = |turn| (1..=30).find(|epochs| overfits(&curve(*epochs, turn), &Context::default(), &metric));
        let stopped = first(0.02).expect("half as much again at the end is clear");
        assert!((13..20).contains(&stopped), "{stopped}");
        assert_eq!(first(0.0), None, "a plateau is no overfitting");
    }

    #[test]
    fn a_metric_that_still_improves_keeps_a_trial_running() {
        let accuracy = Metric { name: "val_accuracy".into(), goal: Goal::Maximize };
        let mut rising = curve(30, 0.02);
        for epoch in &mut rising {
            epoch.val_accuracy = Some(0.5 + 0.01 * f64::from(epoch.epoch));
        }
        assert!(!overfits(&rising, &Context::default(), &accuracy));
    }
}
