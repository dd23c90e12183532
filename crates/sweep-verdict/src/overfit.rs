//! Overfit: validation loss rises beyond its own noise while training continues to improve, or training accuracy ends
//! far above validation accuracy. Where no validation loss was measured, another validation metric falls.

use super::decline::Decline;
use super::finding::Unit;
use super::finding::number;
use super::series::Series;
use super::view::{View, unit, word};
use super::{Advice, Finding, Name, Severity, low_ceiling};

/// Minimum rise from the lowest level to the end, in standard errors of the difference. It is above two, because the
/// lowest of many levels is low by chance.
const TURN_SIGMAS: f64 = 3.5;
/// Minimum rise as a share of the lowest level. A smaller rise is not worth fixing.
const TURN: f64 = 0.015;
/// Minimum number of epochs after the best one. A curve that is lowest at the end has not risen since.
const SINCE: usize = 3;
/// Two epochs are enough if the loss rose in both, and by this share of its lowest level.
const STEEP: (usize, f64) = (2, 0.10);
/// Numbers of epochs that are enough if the loss rose in each of them, with the share of its lowest level by which it
/// rose, …
const STEADY: [(usize, f64); 2] = [(2, 0.05), (3, 0.03)];
/// … while the training loss fell by this share.
const LEARNED: f64 = 0.10;
/// Minimum rise as a share of the first validation loss, for rises that are told from noise only by their course.
const MATTERS: f64 = 0.02;
/// Number of epochs after the best one that must all be above it by this share, and share by which the level has risen at
/// the end, for a rise that noise hides.
const LASTING: (usize, f64, f64) = (4, 0.08, 0.12);
/// A slow rise in noise: Kendall's rank correlation of epoch and loss after the best epoch, in standard deviations, …
const SLOW_SIGMAS: f64 = 3.0;
/// … over at least this many epochs, …
const SLOW_SINCE: usize = 10;
/// … by this share of the lowest level.
const SLOW: f64 = 0.03;
/// Maximum number of values that are compared with each other.
const COMPARED: usize = 200;
/// Rise, as a share of the lowest loss, from which on the finding is clear, and severe.
const TURN_SCALE: [f64; 2] = [0.05, 0.5];
/// Fall of another validation metric, as a share of its best level, from which on the finding is clear, and severe.
const DECLINE_SCALE: [f64; 2] = [0.10, 0.30];
/// Minimum gap of training above validation accuracy at the end. Networks that generalize well show a few percent.
const GAP: f64 = 0.10;
/// Smaller gaps count if validation has this many times the errors of training.
const SMALL_GAPS: [(f64, f64, f64); 3] = [(0.06, 2.5, GAP_SIGMAS), (0.08, 2.0, GAP_SIGMAS), (0.09, 2.0, 0.0)];
/// Standard errors by which it must exceed them.
const GAP_SIGMAS: f64 = 2.0;
/// Gaps from which on the finding is clear, and severe.
const GAP_SCALE: [f64; 2] = [0.15, 0.3];
/// Minimum ratio of validation to training loss if there are no accuracies, …
const LOSS_RATIO: f64 = 1.3;
/// … and minimum difference between them, as a share of the first validation loss. Below that, both are nearly gone.
const LOSS_DIFFERENCE: f64 = 0.09;
/// A ratio and a difference that are enough, whatever the first loss was.
const LOSS_APART: (f64, f64) = (2.0, 0.2);
/// Validation has not followed training if it ends at this share of its first value or above, while training ends at the
/// second share of its own second value or below, with the third ratio between them, …
const LEFT_BEHIND: [f64; 3] = [0.95, 0.9, 1.15];
/// … after this many epochs.
const LEFT_BEHIND_AFTER: usize = 8;
/// A first loss counts up to this many times the last one, because a regression may begin anywhere.
const LARGEST_START: f64 = 100.0;
/// Validation accuracy from which on a gap of the losses alone means little.
const RIGHT: f64 = 0.95;

/// Judges by the rise of the validation loss and by the gap at the end.
pub fn find(view: &View) -> Option<Finding> {
    let turn = view.val_loss.as_ref().and_then(|val| Turn::new(val, view.train_loss.as_ref()));
    let decline = Decline::new(view);
    let gap = view
        .accuracy_gap()
        .filter(|gap| *gap >= GAP || more_errors(view, *gap))
        .filter(|gap| *gap >= 3.0 * gap_error(view));
    let by_turn = turn.as_ref().map(|turn| Severity::scale(turn.rise, TURN_SCALE));
    let by_turn = by_turn.or_else(|| decline.as_ref().map(|decline| Severity::scale(decline.share, DECLINE_SCALE)));
    let by_gap = gap.map(|gap| Severity::scale(gap, GAP_SCALE)).or_else(|| loss_gap(view).map(|_| Severity::Mild));
    // Where both show it, it is clear.
    let both = by_turn.and(by_gap).map(|_| Severity::Clear);
    let severity = by_turn.max(by_gap).max(both)?;

    let mut says = Vec::new();
    if let (Some(turn), Some(val)) = (&turn, &view.val_loss) {
        let beside = match &view.train_loss {
            Some(train) => {
                format!(", while training loss went from {} to {}", about(train.at(turn.onset)), about(train.end()))
            }
            None => "; training loss was not measured".into(),
        };
        says.push(format!(
            "The network overfits after epoch {}: validation loss was lowest there ({}) and has risen to about \
             {}{beside}.",
            turn.onset,
            Unit::Loss.text(val.values[val.best()]),
            about(val.end())
        ));
    }
    says.extend(decline.as_ref().map(Decline::sentence));
    if let (Some(gap), Some(train), Some(val)) = (gap, &view.train_accuracy, &view.val_accuracy) {
        let gap_text = if says.is_empty() {
            "The network fits the training data far better than new data: training accuracy"
        } else {
            "Training accuracy"
        };
        says.push(format!(
            "{gap_text} ends about {} points above validation accuracy ({} and {}).{}",
            number(gap * 100.0, 0),
            Unit::Accuracy.about(train.end()),
            Unit::Accuracy.about(val.end()),
            view.caveat()
        ));
    }
    if let (true, Some((train, val))) = (says.is_empty(), loss_gap(view)) {
        says.push(format!(
            "The network fits the training data far better than new data: validation loss ends at about {}, training \
             loss at about {}.{}",
            about(val),
            about(train),
            view.caveat()
        ));
    }

    let onset = turn.as_ref().map(|turn| turn.onset).or(decline.as_ref().map(|decline| decline.onset));
    let wasted = onset.map(|onset| f64::from(view.last - onset));
    let opening = gap.and_then(|_| opening(view));
    let mut finding = Finding::new(Name::Overfit, severity, says.join(" "))
        .starting_after(onset)
        .evidence("epochs trained since", Unit::Epoch, wasted)
        .evidence("last epoch with a gap below 10 points", Unit::Epoch, opening.map(f64::from));
    if let (Some(turn), Some(val)) = (&turn, &view.val_loss) {
        finding = finding
            .evidence("lowest validation loss", Unit::Loss, val.values[val.best()])
            .evidence("validation loss at the end", Unit::Loss, val.end())
            .evidence("rise relative to the lowest", Unit::Number, turn.rise)
            .evidence("noise of the validation loss (standard deviation)", Unit::Loss, val.noise);
    }
    if let Some(Decline { val, share, .. }) = &decline {
        finding = finding
            .evidence(format!("best validation {}", word(val)), unit(val), val.values[val.best()])
            .evidence(format!("validation {} at the end", word(val)), unit(val), val.end())
            .evidence("fall relative to the best", Unit::Number, *share);
    }
    finding = finding.evidence("training minus validation accuracy at the end", Unit::Accuracy, view.accuracy_gap());
    if let (Some(train), Some(onset)) = (view.train_loss.as_ref().or(view.train_accuracy.as_ref()), onset) {
        finding = finding
            .evidence(format!("training {} at the onset", word(train)), unit(train), train.at(onset))
            .evidence(format!("training {} at the end", word(train)), unit(train), train.end());
    }
    // Where training is poor and stays so, more regularization would lower what is already low.
    let augment = Advice::Augment(view.context.mirror);
    let remedies: &[Advice] =
        match low_ceiling::find(view).is_some_and(|one| one.advice.contains(&Advice::NoMoreDropout)) {
            true => &[Advice::NoMoreDropout, augment],
            false => &[augment, Advice::BatchNorm, Advice::MoreRegularization],
        };
    let stop = onset.is_some().then_some(Advice::StopEarly);
    let more = view.context.fewer_pictures.then_some(Advice::MorePictures);
    Some(finding.advice(stop).advice(more).advice(remedies.iter().copied()))
}

/// A validation loss that rises again.
#[derive(Debug)]
struct Turn {
    /// Last epoch before the rise.
    onset: u32,
    /// Rise from the lowest level to the end, as a share of the lowest level.
    rise: f64,
}

impl Turn {
    fn new(val: &Series, train: Option<&Series>) -> Option<Turn> {
        let (lowest, end) = (val.best_level(), val.end());
        let rise = end - lowest;
        let beyond_noise = rise >= TURN_SIGMAS * val.level_error() * std::f64::consts::SQRT_2;
        let best = val.best();
        let onset = val.epochs[best];
        // A loss close to 0 cannot fall further. If the training loss rises too, it is not overfitting.
        let train_goes_on = train.is_none_or(|train| {
            let (then, now) = (train.at(onset), train.end());
            then - now >= train.level_error() || (now - then <= 0.01 * end && now < 0.1 * end)
        });
        let turn = Turn { onset, rise: rise / lowest.abs().max(f64::MIN_POSITIVE) };
        let after = &val.values[best..];
        let since = after.len() - 1;
        let learned = train.map_or(0.0, |train| 1.0 - train.end() / train.at(onset).abs().max(f64::MIN_POSITIVE));
        let each = after.windows(2).all(|pair| pair[1] > pair[0]);
        let steep = each && since >= STEEP.0 && turn.rise >= STEEP.1;
        // The noise of a few values is only assumed, so their rise must be steady.
        let fast =
            (since >= SINCE && (each || val.measured_noise().is_some()) || steep) && beyond_noise && turn.rise >= TURN;
        let matters = rise >= MATTERS * val.values[0].abs();
        let steady =
            each && STEADY.iter().any(|(epochs, rise)| since >= *epochs && turn.rise >= *rise) && learned >= LEARNED;
        let lowest_later = after[1..].iter().copied().fold(f64::INFINITY, f64::min);
        let lasting =
            since >= LASTING.0 && turn.rise >= LASTING.2 && lowest_later - after[0] >= LASTING.1 * after[0].abs();
        let slow = || since >= SLOW_SINCE && turn.rise >= SLOW && rises(&after[1..]) >= SLOW_SIGMAS;
        (train_goes_on && (fast || matters && (steady || lasting) || slow())).then_some(turn)
    }
}

/// Returns Kendall's rank correlation of the values with their order, in its standard deviations under no trend.
fn rises(values: &[f64]) -> f64 {
    let values: Vec<f64> = values.iter().copied().step_by(values.len().div_ceil(COMPARED).max(1)).collect();
    let sign = |a: f64, b: f64| (b > a) as i64 - (b < a) as i64;
    let pairs = (0..values.len()).flat_map(|at| values[at + 1..].iter().map(move |later| (at, *later)));
    let sum: i64 = pairs.map(|(at, later)| sign(values[at], later)).sum();
    let n = values.len() as f64;
    sum as f64 / (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt().max(1.0)
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

/// Returns whether validation makes many times the errors of training, although the gap is small.
fn more_errors(view: &View, gap: f64) -> bool {
    let error = view.train_accuracy.as_ref().map(|train| 1.0 - train.end());
    let clear = |(least, times, sigmas): &(f64, f64, f64)| {
        gap >= least + sigmas * gap_error(view) && error.is_some_and(|error| error + gap >= times * error)
    };
    SMALL_GAPS.iter().any(clear)
}

/// Returns the last epoch before which the accuracies were close together.
fn opening(view: &View) -> Option<u32> {
    let (train, val) = (view.train_accuracy.as_ref()?, view.val_accuracy.as_ref()?);
    let close = |epoch: &&u32| train.at(**epoch) - val.at(**epoch) < GAP;
    val.epochs.iter().rev().find(close).copied()
}

/// Returns the final training and validation loss, if there are no accuracies and the losses are far apart.
fn loss_gap(view: &View) -> Option<(f64, f64)> {
    let (train, val) = (view.train_loss.as_ref()?, view.val_loss.as_ref()?);
    let (low, high) = (train.end(), val.end());
    let by_start = LOSS_DIFFERENCE * val.values[0].abs().min(LARGEST_START * high.abs());
    let least = if high >= LOSS_APART.0 * low { by_start.min(LOSS_APART.1) } else { by_start };
    let apart = low > 0.0 && high >= LOSS_RATIO * low && high - low >= least.max(4.0 * val.level_error());
    let apart = apart || left_behind(train, val);
    let right = view.val_accuracy.as_ref().is_some_and(|val| val.end() >= RIGHT);
    (view.accuracy_gap().is_none() && apart && !right).then_some((low, high))
}

fn gap_error(view: &View) -> f64 {
    let error = |series: &Option<Series>| series.as_ref().map_or(0.0, Series::level_error);
    error(&view.train_accuracy).hypot(error(&view.val_accuracy))
}

fn about(value: f64) -> String {
    Unit::Loss.about(value)
}
