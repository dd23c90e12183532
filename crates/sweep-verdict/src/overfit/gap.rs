//! Gap: training ends far better than validation.

use super::super::finding::{Severity, Unit, number};
use super::super::series::Series;
use super::super::view::{View, word};

/// Minimum gap of training above validation accuracy at the end. Networks that generalize well show a few percent.
const GAP: f64 = 0.10;
/// Smaller gaps count if validation has this many times the errors of training.
const SMALL_GAPS: [(f64, f64); 2] = [(0.06, 2.5), (0.08, 2.0)];
/// An accuracy gap of this size counts if training went on alone, …
const WENT_ON_GAP: f64 = 0.05;
/// … so that validation loss ends at this many times the training loss. Over the later half, training loss fell below this
/// share of its level, and validation loss by less than that one.
const WENT_ON: (f64, f64, f64) = (1.5, 0.75, 0.02);
/// Standard errors by which a trend that counts exceeds zero.
const SURELY: f64 = 2.0;
/// Standard errors by which a gap must exceed the limit, and number of them that a smaller gap must be.
const GAP_SIGMAS: [f64; 2] = [2.0, 5.0];
/// Gaps from which on the finding is clear, and severe.
const SCALE: [f64; 2] = [0.15, 0.3];
/// Minimum ratio of validation to training loss if there are no accuracies, …
const LOSS_RATIO: f64 = 1.3;
/// … and minimum difference between them, as a share of the first validation loss. Below that, both are nearly gone.
const LOSS_DIFFERENCE: f64 = 0.09;
/// A ratio and a difference that are enough, whatever the first loss was.
const LOSS_APART: (f64, f64) = (2.0, 0.2);
/// Below that ratio, a validation loss still follows training if its best is more recent than this many epochs, and if it
/// fell by this share in the last third.
const FOLLOWS: (usize, f64) = (2, 0.02);
/// A ratio from which on the finding is clear.
const FAR: f64 = 4.0;
/// Validation has not followed training if it ends at this share of its first value or above, while training ends at the
/// second share of its own second value or below, with the third ratio between them, …
const LEFT_BEHIND: [f64; 3] = [0.95, 0.9, 1.15];
/// … after this many epochs.
const LEFT_BEHIND_AFTER: usize = 8;
/// A first loss this many times the second one is that of outputs that mean nothing. The second one then counts as the first.
const NO_START: f64 = 3.0;
/// A first loss counts up to this many times the last one, because a regression may begin anywhere.
const LARGEST_START: f64 = 100.0;
/// Validation accuracy from which on a gap of the losses alone means little.
const RIGHT: f64 = 0.95;

/// How far training ends from validation.
#[derive(Debug, Clone, Copy)]
pub enum Gap {
    /// Training accuracy minus validation accuracy.
    Accuracy(f64),
    /// The final losses, if there are no accuracies.
    Losses { train: f64, val: f64 },
}

impl Gap {
    pub fn new(view: &View) -> Option<Gap> {
        let is_large = |gap: &f64| {
            let error = gap_error(view);
            let is_small = || more_errors(view, *gap - error) || *gap - error >= WENT_ON_GAP && went_on_alone(view);
            *gap >= GAP + GAP_SIGMAS[0] * error || *gap >= GAP_SIGMAS[1] * error && is_small()
        };
        let of_accuracy = view.accuracy_gap().filter(is_large).map(Gap::Accuracy);
        of_accuracy.or_else(|| of_losses(view))
    }

    pub fn severity(self) -> Severity {
        match self {
            Gap::Accuracy(gap) => Severity::scale(gap, SCALE),
            Gap::Losses { train, val } if val >= FAR * train => Severity::Clear,
            Gap::Losses { .. } => Severity::Mild,
        }
    }

    /// Says how far apart they are. `alone` is whether nothing else was said about the fit: the losses are only named then.
    pub fn sentence(self, view: &View, alone: bool) -> Option<String> {
        let caveat = view.caveat();
        let is_far = match self {
            Gap::Accuracy(gap) => gap >= GAP,
            Gap::Losses { train, val } => val >= LOSS_APART.0 * train,
        };
        let fits =
            format!("The network fits the training data {}better than new data:", if is_far { "far " } else { "" });
        match self {
            Gap::Accuracy(gap) => {
                let (train, val) = (view.train_accuracy.as_ref()?, view.val_accuracy.as_ref()?);
                let (word, subject) = (word(val), if alone { fits + " training" } else { "Training".to_owned() });
                Some(format!(
                    "{subject} {word} ends about {} points above validation {word} ({} and {}).{caveat}",
                    number(gap * 100.0, 0),
                    Unit::Accuracy.about(train.end()),
                    Unit::Accuracy.about(val.end()),
                ))
            }
            Gap::Losses { train, val } => alone.then(|| {
                format!(
                    "{fits} validation loss ends at about {}, training loss at about {}.{caveat}",
                    Unit::Loss.about(val),
                    Unit::Loss.about(train),
                )
            }),
        }
    }

    /// Returns the last epoch before which the accuracies were close together.
    pub fn opening(self, view: &View) -> Option<u32> {
        let Gap::Accuracy(GAP..) = self else { return None };
        let (train, val) = (view.train_accuracy.as_ref()?, view.val_accuracy.as_ref()?);
        let close = |epoch: &&u32| train.at(**epoch) - val.at(**epoch) < GAP;
        val.epochs.iter().rev().find(close).copied()
    }
}

/// Returns whether validation makes many times the errors of training, although the gap is small.
fn more_errors(view: &View, gap: f64) -> bool {
    let error = view.train_accuracy.as_ref().map(|train| 1.0 - train.end());
    let clear = |(least, times): &(f64, f64)| gap >= *least && error.is_some_and(|error| error + gap >= times * error);
    SMALL_GAPS.iter().any(clear)
}

/// Returns whether training improved much over the later half of the epochs, and validation did not.
fn went_on_alone(view: &View) -> bool {
    let (times, fell, stays) = WENT_ON;
    let middle = view.curve[view.curve.len() / 2].epoch;
    view.train_loss.as_ref().zip(view.val_loss.as_ref()).is_some_and(|(train, val)| {
        let stays = val.trend_of_half().is_some_and(|trend| !trend.improves(SURELY, stays * val.end().abs()));
        stays && train.end() <= fell * train.at(middle) && val.end() >= times * train.end()
    })
}

/// Returns the final losses if they are far apart and there are no accuracies.
fn of_losses(view: &View) -> Option<Gap> {
    let (train, val) = (view.train_loss.as_ref()?, view.val_loss.as_ref()?);
    let (low, high) = (train.end(), val.end());
    let second = val.values.get(1).unwrap_or(&val.values[0]).abs();
    let start = if val.values[0].abs() > NO_START * second { second } else { val.values[0].abs() };
    let by_start = LOSS_DIFFERENCE * start.min(LARGEST_START * high.abs());
    let least = if high >= LOSS_APART.0 * low { by_start.min(LOSS_APART.1) } else { by_start };
    // A validation loss that ends at its best has not stopped following training.
    let falls = val.trend().is_some_and(|trend| trend.gain * trend.span >= FOLLOWS.1 * high);
    let follows = high < LOSS_APART.0 * low && val.len() - 1 - val.best() < FOLLOWS.0 && falls;
    let apart = low > 0.0 && !follows && high >= LOSS_RATIO * low && high - low >= least.max(4.0 * val.level_error());
    let apart = apart || !view.is_resumed() && left_behind(train, val);
    let right = view.val_accuracy.as_ref().is_some_and(|val| val.end() >= RIGHT);
    (view.accuracy_gap().is_none() && apart && !right).then_some(Gap::Losses { train: low, val: high })
}

/// Returns whether validation has not followed while training went on.
fn left_behind(train: &Series, val: &Series) -> bool {
    let [stays, goes_on, above] = LEFT_BEHIND;
    let (Some(second), high) = (train.values.get(1), val.end()) else { return false };
    let (low, first) = (train.end(), val.values[0]);
    val.len() >= LEFT_BEHIND_AFTER
        && low > 0.0
        && high >= stays * first
        && low <= goes_on * second
        && high >= above * low
}

fn gap_error(view: &View) -> f64 {
    let error = |series: &Option<Series>| series.as_ref().map_or(0.0, Series::level_error);
    error(&view.train_accuracy).hypot(error(&view.val_accuracy))
}
