//! Unstable: the curve swings from epoch to epoch far more than usual.

use super::finding::{Unit, number};
use super::series::Series;
use super::view::{View, word};
use super::{Advice, Finding, Name, Severity};

/// Noise limit for validation accuracy. Published curves mostly move by 0.002 to 0.01 from epoch to epoch. Curves on a
/// few thousand images move by 0.02 at suitable learning rates.
const VALIDATION_ACCURACY: f64 = 0.025;
/// Noise limit for validation loss, as a share of its level, if no accuracy was measured. It is usually 0.01 to 0.06.
const VALIDATION_LOSS: f64 = 0.10;
/// Noise limit for training loss. It moves by 0.01 to 0.06 at suitable learning rates, and by 0.2 or more at others.
const TRAINING_LOSS: f64 = 0.08;
/// Multiples of these limits from which on the finding is clear, and severe.
const SCALE: [f64; 2] = [2.0, 6.0];
/// Minimum number of values needed to measure their noise.
const LEAST_EPOCHS: usize = 8;
/// A loss below this share of its first value is measured against that share, because small numbers move by large
/// shares. A network that memorizes its images swings between 0.03 and 0.1.
const FLOOR: f64 = 0.3;

/// Share of the limit for validation below which it is calm.
const CALM: f64 = 0.5;
/// Noise below this multiple of the last digit printed is rounding.
const ROUNDED: f64 = 2.0;
/// Minimum share of steps back in the later half of the epochs. The bends of a short, steep curve are not noise.
const STEPS_BACK: f64 = 0.25;

/// Judges by the noise of each series.
pub fn find(view: &View) -> Option<Finding> {
    // A training loss below the validation loss is measured against that.
    let beside = view.val_loss.as_ref().map_or(0.0, |val| val.end().abs());
    let over = |series: &Option<Series>, bound: f64| {
        let series = series.as_ref().filter(|series| swings(series) && series.noise > ROUNDED * series.resolution())?;
        let level = series.end().abs().max(FLOOR * series.values[0].abs()).max(beside);
        Some(series.noise / (bound * level.max(f64::MIN_POSITIVE)))
    };
    let accuracy = view.val_accuracy.as_ref().filter(|series| swings(series));
    // Some scripts print the loss of a few batches of an epoch. If validation is calm, training is.
    let is_calm = view.val_loss.as_ref().is_some_and(calm);
    let is_told = !is_calm && !view.is_all_right() && !view.context.single_batches;
    let training = over(&view.trained_loss, TRAINING_LOSS).filter(|times| *times >= 1.0 && is_told);
    let validation = accuracy.map(|series| series.noise / VALIDATION_ACCURACY);
    // An accuracy that does not swing is calm, whatever the loss does.
    let by_loss = || over(&view.val_loss, VALIDATION_LOSS).filter(|_| view.val_accuracy.is_none());
    let validation = validation.or_else(by_loss).filter(|times| *times >= 1.0);
    let severity = Severity::scale(training.into_iter().chain(validation).reduce(f64::max)?, SCALE);
    let by_training = training.is_some_and(|times| validation.is_none_or(|other| times >= other));
    let about = |what: &str, series: &Series, noise: String| {
        let level = series.unit.text(series.end());
        format!("{what} oscillates from epoch to epoch around {level} (standard deviation {noise})")
    };
    let loss = |what: &str, series: &Series| about(what, series, Unit::Loss.about(series.noise));
    let points = |noise: f64| format!("{} points", number(noise * 100.0, 1));
    let what = match (&view.trained_loss, &view.val_loss, accuracy) {
        (Some(train), _, _) if by_training => loss("training loss", train),
        (_, _, Some(accuracy)) => about(&format!("validation {}", word(accuracy)), accuracy, points(accuracy.noise)),
        (_, Some(val), None) => loss("validation loss", val),
        _ => return None,
    };
    let headline = match (by_training, training) {
        (true, _) => format!("Training is unstable: {what}. The learning rate is too high, or the batch is too small."),
        (false, Some(_)) => format!(
            "Validation is unstable: {what}. Training oscillates, too, so the learning rate is probably too high, or the \
             batch too small."
        ),
        (false, None) => format!(
            "Validation is unstable: {what}. Training is stable or was not measured, so the validation set may be small, \
             or the learning rate too high for the running statistics of batch normalization."
        ),
    };
    Some(
        Finding::new(Name::Unstable, severity, headline)
            .evidence(
                "noise of the training loss (standard deviation)",
                Unit::Loss,
                view.trained_loss.as_ref().map(|series| series.noise),
            )
            .evidence(
                "noise of the validation loss (standard deviation)",
                Unit::Loss,
                view.val_loss.as_ref().map(|series| series.noise),
            )
            .evidence(
                "noise of the validation accuracy (standard deviation)",
                Unit::Accuracy,
                accuracy.map(|series| series.noise),
            )
            .advice([Advice::LowerLearningRate, Advice::LargerBatch])
            .advice((!by_training).then_some(Advice::LargerValidation)),
    )
}

/// Whether a validation loss is long enough to tell, and moves little from epoch to epoch.
fn calm(loss: &Series) -> bool {
    let level = loss.end().abs().max(FLOOR * loss.values[0].abs());
    loss.len() >= LEAST_EPOCHS && loss.noise <= CALM * VALIDATION_LOSS * level
}

/// Returns whether the curve is long enough to measure its noise, and goes back and forth at all.
fn swings(series: &Series) -> bool {
    series.len() >= LEAST_EPOCHS && series.steps_back() >= STEPS_BACK
}

#[cfg(test)]
mod tests {
    use crate::{Context, Name, judge};
    use sweep_core::trial::EpochMetrics;

    #[test]
    fn the_noise_of_single_batches_is_not_that_of_training() {
        let loss = |epoch: u32| 1.0 + 0.3 * (f64::from((epoch * 7) % 5) - 2.0) - 0.005 * f64::from(epoch);
        let curve: Vec<EpochMetrics> = (1..=50)
            .map(|epoch| EpochMetrics { epoch, train_loss: Some(loss(epoch)), ..EpochMetrics::default() })
            .collect();
        let unstable = |single_batches| {
            let context = Context { single_batches, ..Context::default() };
            judge(&curve, &context).iter().any(|finding| finding.name == Name::Unstable)
        };
        assert!(unstable(false) && !unstable(true));
    }
}
