//! Good fit: no rule found a problem. If no metric was measured both in training and in validation, that is all that can
//! be said.

use super::finding::{Unit, number, percent};
use super::series::Series;
use super::stuck::creeps;
use super::turn::Turn;
use super::view::{View, word};
use super::{Advice, Finding, Name, Severity};
use sweep_core::trial::Goal;

/// A gap between the accuracies below this is not worth a number.
const CLOSE: f64 = 0.03;

/// A gap from which on it is overfitting.
const FAR: f64 = 0.10;

/// Losses that differ by this share are not called close.
const CLOSE_LOSS: f64 = 0.1;
/// Losses with this ratio do not show a good fit.
const APART: f64 = 1.3;

/// A difference below this share of the first validation loss is no overfitting, whatever the ratio.
const NEARLY_GONE: f64 = 0.09;
/// A loss that falls by less than this share of its first value has hardly moved, if there are this many values.
const HARDLY: f64 = 0.03;
const LEAST_VALUES: usize = 5;
/// The same from the second value on, if there are this many, and if the loss is still this share of its first value: a loss
/// that settles at once, as that of a model that gives the same answer to everything.
const SETTLED: (f64, usize, f64) = (0.01, 8, 0.1);
/// An accuracy that gains this much shows that something was learned.
const LEARNED: f64 = 0.03;
/// An accuracy from which on nothing is wrong with a loss that does not move.
const HIGH: f64 = 0.9;
/// An accuracy below this is no good fit, with any number of classes.
const LOW: f64 = 0.1;
/// Nor is a score below this, whatever it measures.
const LITTLE: f64 = 0.05;
/// Accuracy from which on a loss that moves means little.
const RIGHT: f64 = 0.95;
/// A validation loss that ends above its best by this share of it is no good fit, whatever its noise, …
const ABOVE_BEST: f64 = 0.15;
/// … nor is a score that ends below its best by this share.
const BELOW_BEST: f64 = 0.10;
/// Noise as a share of the best from which on such a loss only swings.
const NOISY: f64 = 0.10;

/// Returns what speaks against a good fit, although no rule found a problem.
pub fn objection(view: &View) -> Option<Finding> {
    validation_unmoved(view).or_else(|| far_from_best(view)).or_else(|| poor(view))
}

/// Neither the training loss nor another moves, and no accuracy does.
pub fn unmoved(view: &View) -> Option<Finding> {
    let losses = || view.train_loss.iter().chain(&view.val_loss);
    let settled = |loss: &Series| {
        let (share, least, left) = SETTLED;
        loss.len() >= least
            && loss.values[1] - loss.best_level() < share * loss.values[1].abs()
            && loss.best_level() > left * loss.values[0]
    };
    let hardly = |loss: &Series| loss.values[0] - loss.best_level() < HARDLY * loss.values[0].abs() || settled(loss);
    let still = |loss: &Series| hardly(loss) && !loss.got_better() || loss.wanders();
    let loss = view.train_loss.as_ref().filter(|loss| loss.len() >= LEAST_VALUES && !view.is_resumed())?;
    if !losses().all(still) || view.train_accuracy.iter().chain(&view.val_accuracy).any(moves) {
        return None;
    }
    let headline = format!(
        "Training hardly gets better{}: its loss {}. Either everything was learned in the first epoch, or nothing is.",
        if loss.is_better_than(0) { " after the first epoch" } else { "" },
        course(loss)
    );
    Some(
        Finding::new(Name::Underfit, Severity::Mild, headline)
            .evidence("first loss", Unit::Loss, loss.values[0])
            .evidence("best loss", Unit::Loss, loss.values[loss.best_value()])
            .advice([Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity, Advice::DefaultAdam])
            .advice(creeps(loss).then_some(Advice::HigherLearningRate)),
    )
}

/// Says where a loss began, how far it came, and where it ended.
fn course(loss: &Series) -> String {
    let [first, best, end] = [loss.values[0], loss.values[loss.best_value()], loss.last_shown()];
    let text = |value| Unit::Loss.text(value);
    format!("was {} in the first epoch, {} at best, and {} at the end", text(first), text(best), text(end))
}

/// Validation loss never moves, although training does, and no accuracy shows that all is well.
fn validation_unmoved(view: &View) -> Option<Finding> {
    let val = view.val_loss.as_ref().filter(|val| val.len() >= LEAST_VALUES && val.values[0] > 0.0)?;
    if view.is_resumed() {
        return None;
    }
    let (first, best) = (val.values[0], val.best_level());
    let accuracies = || view.train_accuracy.iter().chain(&view.val_accuracy);
    if first - best >= HARDLY * first || accuracies().any(|accuracy| moves(accuracy) || accuracy.end() >= HIGH) {
        return None;
    }
    let headline = format!(
        "Validation loss hardly gets better: it {}. Either all that generalizes was learned in the first epoch, or nothing \
         was.",
        course(val)
    );
    Some(
        Finding::new(Name::Plateau, Severity::Mild, headline)
            .evidence("first validation loss", Unit::Loss, first)
            .evidence("lowest validation loss", Unit::Loss, val.values[val.best_value()])
            .advice([Advice::CheckData, Advice::CheckTask, Advice::DefaultAdam]),
    )
}

/// Whether an accuracy rises, or is nearly perfect.
fn moves(accuracy: &Series) -> bool {
    accuracy.best_level() - accuracy.values[0] >= LEARNED || accuracy.end() > 1.0 - LEARNED
}

/// Training ends poor, but not so flat that `underfit` is sure. Or validation has nearly nothing right, with any number of
/// classes.
fn poor(view: &View) -> Option<Finding> {
    let Some(poor) = view.poor_training(view.last) else {
        let low = if view.val_share().is_some() { LOW } else { LITTLE };
        let val = view.val_accuracy.as_ref().filter(|val| val.len() > 1 && val.end() < low)?;
        let headline =
            format!("Validation has learned little so far: its {} ends at {}.", word(val), percent(val.last_shown()));
        return Some(
            Finding::new(Name::Underfit, Severity::Mild, headline)
                .evidence(format!("validation {} at the end", word(val)), Unit::Accuracy, val.last_shown())
                .advice([Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity]),
        );
    };
    let what = poor.what();
    let headline = format!("Training has learned little so far: {what} ends at {}.", poor.unit.text(poor.value));
    Some(
        Finding::new(Name::Underfit, Severity::Mild, headline)
            .evidence(format!("{what} at the end"), poor.unit, poor.value)
            .advice([Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity, Advice::HigherLearningRate]),
    )
}

/// Validation ends far from its best, within noise or not.
fn far_from_best(view: &View) -> Option<Finding> {
    let is_right = |val: &Series| val.end() >= RIGHT;
    let val = view.val_loss.as_ref().or(view.watched()).filter(|val| val.len() >= LEAST_VALUES)?;
    if view.val_accuracy.as_ref().is_some_and(is_right) {
        return None;
    }
    let (best, end) = (val.best_level(), val.end());
    let least = if val.goal == Goal::Minimize { ABOVE_BEST } else { BELOW_BEST };
    if best <= 0.0 || val.gain(best, end) < least * best {
        return None;
    }
    if let Some(turn) = Turn::unproven(view).filter(|turn| val.noise < NOISY * best && turn.is_overfitting()) {
        let headline = format!("{} Noise may explain a part of that.", turn.sentence());
        let finding = turn.evidence(Finding::new(Name::Overfit, Severity::Mild, headline));
        return Some(finding.starting_after(Some(turn.onset)).advice([Advice::StopEarly, Advice::MoreRegularization]));
    }
    let at = val.best_value();
    let headline = format!(
        "Validation {} ends at about {}, and was {} at best (epoch {}). It is too noisy to tell whether it gets worse.",
        word(val),
        val.unit.about(end),
        val.unit.text(val.values[at]),
        val.epochs[at]
    );
    Some(
        Finding::new(Name::Unstable, Severity::Mild, headline)
            .evidence(format!("best validation {}", word(val)), val.unit, val.values[at])
            .evidence(format!("validation {} at the end", word(val)), val.unit, end)
            .advice([Advice::LowerLearningRate, Advice::LargerBatch, Advice::LargerValidation]),
    )
}

/// Whether two losses end close together, or both far below their start.
fn are_close((train, val): (&Series, &Series)) -> bool {
    let apart = val.end() - train.end();
    apart <= (APART - 1.0) * train.end().abs() || apart <= NEARLY_GONE * val.values[0].abs()
}

/// Whether training is not far ahead of validation: there is no room, or the probability of the right class, which the
/// training loss tells, is not much higher.
fn fits_alike(view: &View) -> bool {
    if view.train_loss.is_some() && view.val_accuracy.as_ref().is_some_and(|val| val.end() > 1.0 - FAR) {
        return true;
    }
    let loss = view.train_loss.as_ref().filter(|loss| loss.len() >= LEAST_VALUES);
    let ends = loss.zip(view.val_share()).map(|(loss, val)| (loss.end(), val.end()));
    ends.is_some_and(|(loss, val)| loss >= 0.0 && (-loss).exp() - val < FAR)
}

/// Returns the finding that is used if there are only notes.
pub fn finding(view: &View) -> Finding {
    let losses = || view.train_loss.iter().chain(&view.val_loss);
    if view.watched().is_none_or(|watched| watched.unit == Unit::Loss) && losses().any(|loss| loss.end() == 0.0) {
        let headline = "No problem was found so far, but the fit is not known: a loss ends at 0, so it was rounded to nothing. \
                        Print more digits, or another metric.";
        return Finding::new(Name::NoProblem, Severity::Note, headline);
    }
    let both = view.train_accuracy.as_ref().zip(view.val_accuracy.as_ref());
    let losses = view.train_loss.as_ref().zip(view.val_loss.as_ref());
    let close = match (both, losses) {
        (Some((train, val)), _) => {
            let word = word(val);
            let [train, val] = [train, val].map(Series::last_shown);
            let gap = train - val;
            let points = number(gap.abs() * 100.0, 0);
            let [train, val] = [train, val].map(|value| Unit::Accuracy.text(value));
            match gap {
                _ if gap < -CLOSE => {
                    format!("Validation {word} ends {points} points above training {word} ({val} and {train})")
                }
                _ if gap < CLOSE => format!("Training and validation {word} end close together ({train} and {val})"),
                _ => format!(
                    "Training and validation {word} end {points} points apart, which is normal ({train} and {val})"
                ),
            }
        }
        (None, Some((train, val))) => {
            let [train, val] = [train, val].map(Series::last_shown);
            let apart = match val {
                _ if val < train => "Validation loss ends below training loss",
                _ if val - train > CLOSE_LOSS * train.abs() => "Validation loss ends above training loss",
                _ => "Training and validation loss end close together",
            };
            let [train, val] = [train, val].map(|value| Unit::Loss.text(value));
            format!("{apart} (training {train}, validation {val})")
        }
        (None, None) if view.train_loss.is_some() || view.train_accuracy.is_some() => {
            "Training and validation were not measured by the same metric, so their gap is unknown".to_owned()
        }
        (None, None) => "Training was not measured, so only validation was judged".to_owned(),
    };
    let (name, found) = match both.is_some() || losses.is_some_and(are_close) || fits_alike(view) {
        true => (Name::GoodFit, "No problem was found."),
        false => (Name::NoProblem, "No problem was found so far, but the fit is not known."),
    };
    let headline =
        format!("{found} {close}, and validation does not get worse by more than its noise.{}", view.caveat());
    let end = |series: &Option<super::series::Series>| series.as_ref().map(|series| series.last_shown());
    Finding::new(name, Severity::Note, headline)
        .evidence("training accuracy at the end", Unit::Accuracy, end(&view.train_accuracy))
        .evidence("validation accuracy at the end", Unit::Accuracy, end(&view.val_accuracy))
        .evidence("validation loss at the end", Unit::Loss, end(&view.val_loss))
        .advice([Advice::Repeat])
}
