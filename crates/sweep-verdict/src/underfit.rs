//! Underfit: training itself ends with a poor and flat curve, and validation is not far behind it.

use super::finding::Unit;
use super::stuck::creeps;
use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// A gap of at least this size is reported as overfitting instead.
const LARGEST_GAP: f64 = 0.10;
/// Training is flat if it gained less than this over the last third of the epochs: for accuracy,
const FLAT_ACCURACY: f64 = 0.01;
/// and for loss, as a share of the loss.
const FLAT_LOSS: f64 = 0.02;

/// A loss that fell by this share over the last third still falls, whatever the accuracy does.
const FALLS: f64 = 0.05;

/// Judges by training at the last epoch.
pub fn find(view: &View) -> Option<Finding> {
    let poor = view.poor_training(view.last)?;
    if view.accuracy_gap().is_some_and(|gap| gap >= LARGEST_GAP) || !flat(view) {
        return None;
    }
    let what = poor.what();
    let severity = Severity::scale(1.0 - view.skill(poor), [0.4, 0.6]);
    let headline = format!(
        "The network underfits: {what} ends at {} (epoch {}), and training has hardly improved over the last third of the \
         epochs.",
        poor.unit.text(poor.value),
        view.last
    );
    Some(
        Finding::new(Name::Underfit, severity, headline)
            .evidence(format!("{what} at the end"), poor.unit, poor.value)
            .evidence("training minus validation accuracy", Unit::Accuracy, view.accuracy_gap())
            .advice([Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity, Advice::DefaultAdam])
            .advice(view.train_loss.as_ref().is_some_and(creeps).then_some(Advice::HigherLearningRate))
            .advice([Advice::LessRegularization, Advice::LargerNetwork, Advice::BatchNorm]),
    )
}

/// Returns whether training has stopped improving. A curve too short for a trend has not.
fn flat(view: &View) -> bool {
    let over_last_third = |series: &super::series::Series| series.trend().map(|trend| trend.gain * trend.span);
    let falls =
        |loss: &super::series::Series| over_last_third(loss).is_some_and(|gain| gain >= FALLS * loss.end().abs());
    match (&view.train_accuracy, &view.train_loss) {
        // A loss moves before an accuracy does.
        (Some(_), Some(loss)) if falls(loss) => false,
        (Some(accuracy), _) => over_last_third(accuracy).is_some_and(|gain| gain < FLAT_ACCURACY),
        (None, Some(loss)) => over_last_third(loss).is_some_and(|gain| gain < FLAT_LOSS * loss.end().abs()),
        (None, None) => false,
    }
}
