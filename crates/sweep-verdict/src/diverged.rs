//! Diverged: the loss or the weights became non-finite, or training undid what it had learned.

use super::finding::Unit;
use super::series::LARGEST;
use super::view::View;
use super::{Advice, Divergence, Finding, Name, Severity};
use sweep_core::trial::METRICS;

/// Minimum ratio of the final to the best training loss for a network that undid what it had learned …
const EXPLOSION: f64 = 2.0;
/// … provided that the final loss is also no better than this share of the first one.
const BACK_TO_START: f64 = 0.9;

/// Maximum ratio of the best to the first training loss for a network that had learned something. If it had not,
/// `worsening` reports the rise.
const LEARNED: f64 = 0.8;

/// Shares of ln(classes), used if the number of classes is known. A loss that was below the first and ends above the
/// second has fallen back to guessing.
const GUESSING: [f64; 2] = [0.8, 0.97];

/// A loss below this is no cross-entropy. One that is computed from probabilities instead of their logarithms is above −1.
const BELOW_ZERO: f64 = -10.0;
/// Multiple of its start below zero from which on any loss has no floor. That of a density model falls below zero, too.
const NO_FLOOR: f64 = 1e4;

/// Returns where the curve diverged, and what diverged.
pub fn find(view: &View) -> Option<Finding> {
    let advice = [Advice::CheckTask, Advice::LowerLearningRate, Advice::ClipGradients];
    if let Some(divergence) = view.context.divergence.clone().or_else(|| not_finite(view)) {
        let Divergence { epoch, step, what } = divergence;
        let place = step.map_or(String::new(), |step| format!(", step {step}"));
        let headline = format!("Training diverged in epoch {epoch}{place}: {what}.");
        return Some(
            Finding::new(Name::Diverged, Severity::Severe, headline)
                .evidence("epoch", Unit::Epoch, f64::from(epoch))
                .evidence("step", Unit::Epoch, step.map(|step| step as f64))
                .advice(advice),
        );
    }
    if let Some(finding) = below_zero(view) {
        return Some(finding);
    }
    let loss = view.train_loss.as_ref()?;
    let (start, best, end) = (loss.values[0], loss.best_level(), loss.end());
    let guess = view.context.classes.filter(|classes| *classes > 1).map(|classes| f64::from(classes).ln());
    let guesses = guess.is_some_and(|guess| best < GUESSING[0] * guess && end > GUESSING[1] * guess);
    let exploded = best <= LEARNED * start && end >= EXPLOSION * best && end >= BACK_TO_START * start;
    // If validation does not follow, a term was added to the training loss.
    if best <= 0.0 || !(exploded || guesses) || end - best < 6.0 * loss.noise || view.validation_holds() {
        return None;
    }
    let at = loss.epochs[loss.best()];
    let headline = format!(
        "Training undid what it had learned: its loss fell to {} by epoch {at}, but ends at {}, close to its start or \
         to the loss of guessing.",
        Unit::Loss.text(best),
        Unit::Loss.text(end)
    );
    Some(
        Finding::new(Name::Diverged, Severity::Severe, headline)
            .evidence("epoch of the lowest training loss", Unit::Epoch, f64::from(at))
            .evidence("lowest training loss", Unit::Loss, best)
            .evidence("training loss at the end", Unit::Loss, end)
            .advice(advice),
    )
}

/// The loss of a classification, beside which accuracy is measured, falls far below zero, as no cross-entropy can. Or any
/// loss falls without end.
fn below_zero(view: &View) -> Option<Finding> {
    let has_accuracy = view.train_share().is_some() || view.val_share().is_some() || view.unusable.is_some();
    let loss = view.train_loss.as_ref().or(view.val_loss.as_ref())?;
    let is_endless = loss.end() < -NO_FLOOR * loss.values[0].abs().max(1.0);
    if !(has_accuracy || is_endless) || loss.end() > BELOW_ZERO || loss.end() >= loss.values[0] {
        return None;
    }
    let why = match is_endless {
        true => "no loss that is worth minimizing does that. A term probably has the wrong sign, or is an adversary's.",
        false => {
            "a cross-entropy cannot be negative. The labels are probably not between 0 and 1, or the loss expects another \
             output."
        }
    };
    let headline = format!("Training has no floor: its loss fell to {}, and {why}", Unit::Loss.text(loss.end()));
    Some(
        Finding::new(Name::Diverged, Severity::Severe, headline)
            .evidence("training loss at the end", Unit::Loss, loss.end())
            .advice([Advice::CheckTask, Advice::CheckData]),
    )
}

fn not_finite(view: &View) -> Option<Divergence> {
    view.curve.iter().find_map(|epoch| {
        let (name, value) = METRICS.iter().find_map(|name| {
            let value = epoch.get(name)?;
            (value.is_nan() || value.abs() > LARGEST).then_some((name, value))
        })?;
        Some(Divergence { epoch: epoch.epoch, step: None, what: format!("{name} is {value:e}") })
    })
}
