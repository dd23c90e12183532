//! Decides which set a metric is of if its name does not tell, and which metrics of both sets are compared.

use std::collections::{HashMap, HashSet};

use super::curve::{ERRORS, is_once};
use super::{CURVE, Found, Points, Values, note};
use crate::names::{Choice, Target, is_validation, meaning, names_part, quantity, words};
use crate::rows::Place;
use crate::special::RARE;
use sweep_core::trial::METRICS;

/// The factor by which the loss must fall for training accuracy to rise, and by how much an accuracy must have risen for its
/// network to have learned anything.
const FALLS: f64 = 4.0;
const LEARNED: f64 = 0.05;
/// Most epochs whose mean is compared with that of others.
const LONGEST: usize = 10;

/// Compares the losses of both sets by the same error: `test_rmse` with `train_rmse`, although training has another loss, too.
pub(super) fn same_error<'a>(metrics: &mut [Found<'a>; METRICS.len()], values: &'a Values, notes: &mut Vec<String>) {
    let error = |name: &str| words(name).iter().find(|word| ERRORS.contains(&word.as_str())).cloned();
    let (Some((train, losses)), Some((val, _))) = (metrics[0], metrics[4]) else { return };
    let Some(wanted) = error(val).filter(|wanted| error(train).as_ref() != Some(wanted)) else { return };
    let fits = |name: &str, points: &Points| {
        let is_loss = matches!(meaning(name), Some((Target::Metric(0), _)));
        is_loss && error(name).as_ref() == Some(&wanted) && 2 * points.len() >= losses.len()
    };
    let Some((name, points)) = values.iter().find(|(name, points)| fits(name, points)) else {
        return note(notes, format!("{train} and {val} are different quantities, so their values cannot be compared"));
    };
    note(notes, format!("{name} is shown as the training loss, not {train}, because validation has {val}"));
    metrics[0] = Some((name, points));
}

/// An accuracy without a set belongs to validation, if the losses name their sets and no accuracy does, or if it was
/// recorded apart from the loss.
pub(super) fn unsplit_accuracy(
    metrics: &mut [Found; METRICS.len()],
    values: &Values,
    choices: &[Choice],
    notes: &mut Vec<String>,
) {
    let chosen = |at: usize| choices.iter().any(|choice| choice.target == Target::Metric(at));
    if let (Some((accuracy, points)), Some((_, losses)), None, None) = (metrics[1], metrics[0], metrics[4], metrics[5])
        && names_part(accuracy).is_none()
        && !chosen(1)
    {
        match set_of(points, losses, values) {
            Some((true, why)) => {
                metrics[5] = metrics[1].take();
                note(notes, format!("{accuracy} was read as validation accuracy, because {why}"));
            }
            Some((false, _)) => {}
            None => note(
                notes,
                format!("{accuracy} names no set, and was read as training accuracy, because it is beside the loss"),
            ),
        }
        return;
    }
    if let (Some((accuracy, _)), true) = (metrics[1], metrics.iter().flatten().count() == 1)
        && names_part(accuracy).is_none()
        && !chosen(1)
    {
        metrics[5] = metrics[1].take();
        note(notes, format!("{accuracy} was read as validation accuracy, because no loss was recorded beside it"));
        return;
    }
    let (Some((accuracy, _)), Some(_)) = (metrics[1], metrics[4]) else { return };
    let training_is_split = metrics[0].is_none_or(|(name, _)| names_part(name).is_some());
    if training_is_split && names_part(accuracy).is_none() && !chosen(1) && !chosen(5) {
        if metrics[5].is_some() {
            // Hugging Face prints it twice: in a table, and by `evaluate`.
            note(notes, format!("{accuracy} names no set, and was left out because another accuracy does"));
            metrics[1] = None;
            return;
        }
        metrics[5] = metrics[1].take();
        note(notes, format!("{accuracy} was read as validation accuracy, because the losses name their sets"));
    }
}

/// Whether an accuracy that names no set is of validation, and why. `None` if nothing tells.
fn set_of(accuracy: &Points, losses: &Points, values: &Values) -> Option<(bool, &'static str)> {
    if accuracy.len() <= losses.len() && places(accuracy).is_disjoint(&places(losses)) {
        return Some((true, "it was recorded separately from the loss"));
    }
    // The accuracy of training comes with its loss.
    if accuracy.len() >= CURVE && RARE * accuracy.len() <= losses.len() {
        return Some((true, "it was recorded far less often than the loss"));
    }
    let last = share(accuracy.last()?.1);
    let repeats = |name: &str, points: &Points| {
        quantity(name) == Some("accuracy") && is_once(points) && (share(points[0].1) - last).abs() < 1e-6
    };
    let mut sets =
        values.iter().filter(|(name, points)| repeats(name, points)).filter_map(|(name, _)| names_part(name));
    match sets.next().map(is_validation) {
        Some(is_validation) => Some((is_validation, "a line about that set repeats its last value")),
        None => ignores(accuracy, losses).then_some((true, "it does not get better while the loss falls to a quarter")),
    }
}

/// An accuracy as a share.
fn share(value: f64) -> f64 {
    if value > 1.0 { value / 100.0 } else { value }
}

/// Whether an accuracy is at its end no better than where the loss was several times as high, although it got better before:
/// it is not of the data that the loss is of.
fn ignores(accuracy: &Points, losses: &Points) -> bool {
    let losses: HashMap<_, f64> = losses.iter().map(|(place, loss)| (key(place), *loss)).collect();
    let both = accuracy.iter().filter_map(|(place, value)| Some((*losses.get(&key(place))?, 1.0 - share(*value))));
    let (losses, errors): (Vec<f64>, Vec<f64>) = both.unzip();
    let window = (errors.len() / 10).min(LONGEST);
    let mean = |values: &[f64], end: usize| values[end - window..end].iter().sum::<f64>() / window as f64;
    let Some(end) = Some(errors.len()).filter(|_| window > 0) else { return false };
    let (loss, error) = (mean(&losses, end), mean(&errors, end));
    let Some(before) = losses.iter().rposition(|before| *before >= FALLS * loss).filter(|at| *at >= window) else {
        return false;
    };
    let learns = errors.iter().any(|own| errors[0] - own > LEARNED);
    loss > 0.0 && learns && error > 2.0 * LEARNED && error > 0.9 * mean(&errors, before)
}

/// The epochs and steps of values.
pub(super) fn places(points: &Points) -> HashSet<[Option<u64>; 2]> {
    points.iter().map(|(place, _)| key(place)).collect()
}

fn key(place: &Place) -> [Option<u64>; 2] {
    [place.epoch, place.step].map(|at| at.map(f64::to_bits))
}
