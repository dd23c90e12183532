//! `stop_on: overfit`: the finding of the report, while the trial still runs.

use super::{Advice, Context, Name, Severity, judge};
use sweep_core::trial::{EpochMetrics, Metric};

/// The metric must not have improved for so many epochs: accuracy often rises after the loss has turned.
const STILL: u32 = 3;

/// Whether a trial stops: validation loss has turned up beyond its noise, overfitting is clear by that or by the gap to
/// training, and the sweep's metric no longer improves.
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

    /// Validation loss falls for ten epochs, then rises; training loss falls all the time.
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
