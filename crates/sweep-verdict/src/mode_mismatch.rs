//! Mode mismatch: on the same training images, the network is far worse in evaluation mode than during training.
//! Dropout and augmentation can only make the training metrics look worse. Validation then measures this problem, not
//! the fit.

use super::finding::Unit;
use super::series::Series;
use super::view::View;
use super::{Advice, Finding, Name, Severity};
use sweep_core::trial::Goal;

/// Minimum difference by which the final training accuracy exceeds its evaluation. It is usually lower than its
/// evaluation.
const GAP: f64 = 0.10;
/// Difference from which on the finding is severe.
const SEVERE: f64 = 0.3;
/// Alternatively, the minimum ratio of the evaluated loss to the training loss. The classes are then still correct, but
/// hardly ahead of the others.
const TIMES: f64 = 3.0;
/// Minimum difference of the two losses in that case: a fifth of ln(10).
const ABOVE: f64 = 0.5;
/// Minimum number of epochs. In the first epochs, running statistics have not caught up yet.
const LEAST_EPOCHS: usize = 8;

/// Judges by both training accuracies at the end.
pub fn find(view: &View) -> Option<Finding> {
    let series = |name: &str, goal| {
        let points = view.curve.iter().filter_map(|epoch| Some((epoch.epoch, epoch.get(name)?)));
        Series::new(goal, points).filter(|series| series.len() >= LEAST_EPOCHS)
    };
    let of = |name: &str| series(name, Goal::Maximize);
    let (training, evaluated) = (of("train_accuracy")?, of("train_eval_accuracy")?);
    let gap = training.end() - evaluated.end();
    let losses = series("train_loss", Goal::Minimize).zip(series("train_eval_loss", Goal::Minimize));
    let lags = losses.is_some_and(|(training, evaluated)| {
        evaluated.end() > TIMES * training.end() && evaluated.end() > training.end() + ABOVE
    });
    if gap < 3.0 * training.level_error().hypot(evaluated.level_error()) || gap < GAP && !lags {
        return None;
    }
    let headline = format!(
        "The network behaves differently in evaluation mode: it classifies {} of the training data correctly during \
         training, but only {} in evaluation mode. The usual cause is the running statistics of batch normalization, \
         which lag behind if an epoch has few steps. Validation metrics have the same problem, so they do not show \
         how well the network fits.",
        Unit::Accuracy.text(training.end()),
        Unit::Accuracy.text(evaluated.end())
    );
    Some(
        Finding::new(Name::ModeMismatch, Severity::scale(gap, [GAP, SEVERE]), headline)
            .evidence("accuracy on training data during training", Unit::Accuracy, training.end())
            .evidence("accuracy on training data in evaluation mode", Unit::Accuracy, evaluated.end())
            .advice([Advice::FasterStatistics, Advice::LowerLearningRate]),
    )
}
