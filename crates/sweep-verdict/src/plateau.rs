//! Plateau: validation has been flat for at least the last third of the epochs.

use super::finding::Unit;
use super::still_improving;
use super::view::{View, unit, word};
use super::{Advice, Finding, Name, Severity, low_ceiling, overfit, underfit};

/// Minimum length of a plateau in epochs,
const LEAST_EPOCHS: u32 = 8;
/// and as a share of all epochs.
const LEAST_SHARE: f64 = 1.0 / 3.0;
/// Maximum distance of the smooth curve from its end for it to be flat, in addition to noise: for accuracy,
const BAND_ACCURACY: f64 = 0.01;
/// and for loss, as a share of the loss.
const BAND_LOSS: f64 = 0.02;

/// Judges by the stretch before the end in which the smooth curve stays within the band.
pub fn find(view: &View) -> Option<Finding> {
    let series = view.watched()?;
    let end = series.end();
    let band = match unit(series) {
        Unit::Accuracy => BAND_ACCURACY,
        _ => BAND_LOSS * end.abs(),
    };
    if series.level_error() > band {
        // The curve is so noisy that it hides any trend.
        return None;
    }
    let band = band.max(2.0 * series.level_error());
    let inside = series.smooth.iter().rev().take_while(|value| (*value - end).abs() <= band).count();
    let since = *series.epochs.get(series.len() - inside)?;
    let length = (view.last - since).saturating_add(1);
    let long = length >= LEAST_EPOCHS && f64::from(length) >= LEAST_SHARE * f64::from(view.last);
    // A few distant points, or a forecast of more improvement, are not a plateau.
    if !long || inside < 5 || still_improving::find(view).is_some() {
        return None;
    }
    // A smaller learning rate may lead out of a plateau, unless something else is its cause, or nothing is left to gain.
    let alone = !view.is_all_right()
        && underfit::find(view).is_none()
        && overfit::find(view).is_none()
        && low_ceiling::find(view).is_none();
    let headline = format!(
        "Validation {} no longer changes: it has stayed near {} for the last {length} epochs (since epoch {since}).",
        word(series),
        unit(series).text(end),
    );
    Some(
        Finding::new(Name::Plateau, Severity::Note, headline)
            .evidence("flat since epoch", Unit::Epoch, f64::from(since))
            .evidence(format!("validation {} of the plateau", word(series)), unit(series), end)
            .evidence("tolerance", unit(series), band)
            .advice(alone.then_some(Advice::LowerLate)),
    )
}
