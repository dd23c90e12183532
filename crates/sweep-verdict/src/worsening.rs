//! Worsening: training itself gets worse. Its loss rises from the start, rises again after it had fallen, or explodes
//! and comes back. Neither underfitting nor a good fit describes such a curve: steps that are too large do.

use super::finding::{Unit, significant};
use super::series::{Series, median};
use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// Minimum number of values. In fewer than five, the loss must rise each time, and to this multiple of the first one: the
/// first epochs of a warm-up can look like less.
const LEAST_VALUES: usize = 3;
const FEW: (usize, f64) = (5, 1.5);
/// In fewer values, the noise is unknown, and the last one alone may be it.
const FEW_FOR_NOISE: usize = 8;
/// Minimum rise above the lowest level, as a share of it …
const RISE: f64 = 0.10;
/// … and in standard deviations of one value …
const SIGMAS: f64 = 6.0;
/// … and as a share of what training had gained before. A loss near zero moves by large factors, but loses little.
const LOST: f64 = 0.30;
/// A loss that rose in each of this many last epochs, to this multiple of its lowest level, is getting worse if it lost this
/// share.
const STEADILY: (usize, f64, f64) = (4, 2.0, 0.10);
/// Shares of the gain from which on the finding is clear, and severe. A loss above its start has lost all of it.
const LOST_SCALE: [f64; 2] = [0.5, 1.0];
/// Share of the rise below which a loss at the end is coming back, unless it is still above this multiple of its start.
const COMES_BACK: (f64, f64) = (0.5, 2.0);
/// A value this many times as large as all before it, and as the end, is an explosion.
const EXPLODED: f64 = 100.0;
/// The same in the last epoch, relative to the level of the later half, if validation explodes, too.
const EXPLODES: f64 = 10.0;
/// Share of its first value that the training loss must reach if validation loss was not measured.
const NEAR_START: f64 = 0.3;

/// Judges by the training loss as measured during training. In evaluation mode, it also contains other problems.
pub fn find(view: &View) -> Option<Finding> {
    let loss = view.trained_loss.as_ref().filter(|loss| loss.len() >= LEAST_VALUES)?;
    let rises = || rise(loss).filter(|_| !view.validation_holds());
    let finding = spike(loss).or_else(|| explosion(loss, view.val_loss.as_ref())).or_else(rises)?;
    Some(finding.advice([Advice::LowerLearningRate, Advice::ClipGradients]))
}

fn rise(loss: &Series) -> Option<Finding> {
    let (start, (best, end)) = (loss.values[0], low_and_end(loss));
    let (gained, lost) = (start - best, end - best);
    let share = if gained > 0.0 { lost / gained } else { f64::INFINITY };
    let at = loss.epochs[loss.best()];
    // The noise is that until the best epoch, because a sudden rise is no noise.
    let before = loss.epochs.iter().copied().zip(loss.values.iter().copied()).take(loss.best() + 1);
    let noise = Series::new(loss.goal, before).map_or(loss.noise, |before| before.noise.min(loss.noise));
    let is_large = share >= LOST && still_rising(loss) || rises_steadily(loss) && share >= STEADILY.2;
    if lost < RISE * best.abs() || lost < SIGMAS * noise || !is_large || only_a_warm_up(loss) {
        return None;
    }
    let text = |value| Unit::Loss.text(value);
    let headline = match gained > RISE * start.abs() {
        true => format!(
            "Training gets worse: its loss fell from {} to {} by epoch {at}, and rose again to {}.",
            text(start),
            text(loss.values[loss.best()]),
            text(end)
        ),
        false => format!("Training gets worse: its loss rose from {} to {}.", text(best), text(end)),
    };
    Some(
        Finding::new(Name::Worsening, Severity::scale(share, LOST_SCALE), headline)
            .evidence("epoch of the lowest training loss", Unit::Epoch, f64::from(at))
            .evidence("lowest training loss", Unit::Loss, best)
            .evidence("training loss at the end", Unit::Loss, end),
    )
}

/// Returns the lowest level and that at the end. If the last two epochs both rose, these are single values, because the
/// median hides a rise that has just begun.
fn low_and_end(loss: &Series) -> (f64, f64) {
    let last = &loss.values[loss.len() - 3..];
    match last.windows(2).all(|pair| pair[1] > pair[0]) {
        true => (loss.values[loss.best()], last[2]),
        false => (loss.best_level(), loss.end()),
    }
}

/// Whether the loss rose in each of the last epochs, to a multiple of its lowest level.
fn rises_steadily(loss: &Series) -> bool {
    let (epochs, times, _) = STEADILY;
    let last = &loss.values[loss.len().saturating_sub(epochs + 1)..];
    loss.len() > epochs && last.windows(2).all(|pair| pair[1] > pair[0]) && loss.end() >= times * loss.best_level()
}

/// Whether there are so few values that a rise may be that of the first steps, that of the last one alone, or noise.
fn only_a_warm_up(loss: &Series) -> bool {
    let (few, times) = FEW;
    let rises = loss.values.windows(2).all(|pair| pair[1] > pair[0]);
    let returns = || loss.values[loss.best()..].windows(2).any(|pair| pair[1] < pair[0]);
    let is_noise = loss.len() < FEW_FOR_NOISE && (loss.best() + 2 == loss.len() || returns());
    (loss.len() < few || is_noise) && !(rises && loss.end() >= times * loss.values[0])
}

/// Whether most of the later values are above the one before. A loss that jumped once and falls again, as after a
/// restart of the learning rate, gets better.
fn still_rising(loss: &Series) -> bool {
    let after = &loss.smooth[loss.best().min(loss.len() - 2)..];
    let rises = after.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let peak = after.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let end = after[after.len() - 1];
    let comes_back = end - loss.best_level() < COMES_BACK.0 * (peak - loss.best_level())
        && end < COMES_BACK.1 * loss.values[0].abs();
    2 * rises >= after.len() - 1 && !comes_back
}

/// An explosion in the last epoch, of training and of validation. A training loss that is near zero moves by large factors, so
/// alone it must be near its start again.
fn explosion(loss: &Series, val: Option<&Series>) -> Option<Finding> {
    let exploded = |series: &Series| {
        let level = median(&mut series.values[series.len() / 2..].to_vec());
        series.len() >= FEW_FOR_NOISE && level > 0.0 && series.values[series.len() - 1] > EXPLODES * level
    };
    let last = |series: &Series| significant(series.values[series.len() - 1], 4);
    let is_back = loss.values[loss.len() - 1] >= NEAR_START * loss.values[0].abs();
    let beside = val.map_or(String::new(), |val| format!(", and validation loss is {}", last(val)));
    let level = Unit::Loss.about(median(&mut loss.values[loss.len() / 2..].to_vec()));
    let headline = format!(
        "Training exploded at the end: its loss was about {level}, and is {} in the last epoch{beside}. What the network had \
         learned is lost, unless another stage of training began.",
        last(loss),
    );
    (exploded(loss) && val.map_or(is_back, exploded)).then(|| {
        Finding::new(Name::Worsening, Severity::Severe, headline)
            .evidence("lowest training loss", Unit::Loss, loss.best_level())
            .evidence("training loss in the last epoch", Unit::Loss, loss.values[loss.len() - 1])
            .evidence("validation loss in the last epoch", Unit::Loss, val.map(|val| val.values[val.len() - 1]))
    })
}

/// An explosion from which training came back, so that its end shows nothing of it.
fn spike(loss: &Series) -> Option<Finding> {
    let mut before = f64::NEG_INFINITY;
    let end = loss.end().abs().max(f64::MIN_POSITIVE);
    for (at, value) in loss.values.iter().enumerate() {
        if at > 0 && *value > EXPLODED * before.abs().max(end) {
            let headline = format!(
                "Training loss exploded and fell again: it jumped to {} in epoch {} (highest before: {}). What the \
                 network had learned until then is lost.",
                significant(*value, 4),
                loss.epochs[at],
                significant(before, 4)
            );
            return Some(
                Finding::new(Name::Worsening, Severity::Severe, headline)
                    .evidence("epoch of the highest training loss", Unit::Epoch, f64::from(loss.epochs[at]))
                    .evidence("highest training loss", Unit::Loss, *value)
                    .evidence("training loss at the end", Unit::Loss, loss.end()),
            );
        }
        before = before.max(*value);
    }
    None
}
