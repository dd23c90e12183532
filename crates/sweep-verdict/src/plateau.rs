//! Plateau: validation has been flat for at least the last third of the epochs.

use super::finding::Unit;
use super::series::{Series, median, median_error};
use super::still_improving;
use super::view::{View, word};
use super::{Advice, Finding, Name, Severity, low_ceiling, overfit, underfit};

/// Minimum length of a plateau in epochs,
const LEAST_EPOCHS: u32 = 8;
/// of values,
const LEAST_VALUES: usize = 5;
/// and as a share of the epochs from the first value on.
const LEAST_SHARE: f64 = 1.0 / 3.0;
/// Maximum distance of the smooth curve from its end for it to be flat, in addition to noise: for accuracy (and as a share
/// of a low one),
const BAND_ACCURACY: (f64, f64) = (0.01, 0.05);
/// and for loss, as a share of the loss.
const BAND_LOSS: f64 = 0.02;
/// Maximum change of the level from the first third of the stretch to the last one, as a share of that distance. A curve that
/// moves slowly from one edge of the band to its end is not flat.
const DRIFT: f64 = 0.5;
/// Number of steps in which a stretch that is not flat is shortened.
const STEPS: usize = 20;

/// Judges by the stretch before the end in which the smooth curve stays within the band.
pub fn find(view: &View) -> Option<Finding> {
    let series = view.watched()?;
    let end = series.end();
    let band = match series.unit {
        Unit::Accuracy => BAND_ACCURACY.0.min(BAND_ACCURACY.1 * end.abs()),
        _ => BAND_LOSS * end.abs(),
    };
    if series.level_error() > band {
        // The curve is so noisy that it hides any trend.
        return None;
    }
    let band = band.max(2.0 * series.level_error());
    let inside = series.smooth.iter().rev().take_while(|value| (*value - end).abs() <= band).count();
    let mut starts = (series.len() - inside..series.len()).step_by(inside.div_ceil(STEPS).max(1));
    let start = starts.find(|start| is_flat(series, *start, band))?;
    let since = series.epochs[start];
    let length = (view.last - since).saturating_add(1);
    let all = view.last - series.epochs[0].min(view.last) + 1;
    let long = length >= LEAST_EPOCHS && f64::from(length) >= LEAST_SHARE * f64::from(all);
    // A few distant points, or a forecast of more improvement, are not a plateau.
    if !long || series.len() - start < LEAST_VALUES || still_improving::find(view).is_some() {
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
        series.unit.text(end),
    );
    Some(
        Finding::new(Name::Plateau, Severity::Note, headline)
            .evidence("flat since epoch", Unit::Epoch, f64::from(since))
            .evidence(format!("validation {} of the plateau", word(series)), series.unit, end)
            .evidence("tolerance", series.unit, band)
            .advice(alone.then_some(Advice::LowerLate)),
    )
}

/// Returns whether the level of the values from this one on does not move by much, except for noise.
fn is_flat(series: &Series, start: usize, band: f64) -> bool {
    let values = &series.values[start..];
    let third = values.len().div_ceil(3);
    let level = |values: &[f64]| median(&mut values.to_vec());
    let moved = (level(&values[values.len() - third..]) - level(&values[..third])).abs();
    moved <= (DRIFT * band).max(2.0 * std::f64::consts::SQRT_2 * median_error(series.noise, third))
}
