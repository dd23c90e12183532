//! Curves that are left out, those of a single epoch and copies, and the names of the others.

use super::{CURVE, listed, note};
use crate::ForeignCurve;
use sweep_core::trial::{EpochMetrics, METRICS};

/// Number of equal values with more than two decimals from which on a curve of two epochs is a copy of another one.
const TELLING: usize = 3;

/// Drops curves of one epoch beside longer ones: another cell of a notebook, or the end of a log, has a test after training.
pub(super) fn without_tests(curves: &mut Vec<ForeignCurve>, notes: &mut Vec<String>) {
    let is_test = ForeignCurve::is_single;
    if curves.iter().any(|curve| curve.epochs.len() >= CURVE - 1) && curves.iter().any(is_test) {
        let left: Vec<&str> = curves.iter().filter(|curve| is_test(curve)).map(|curve| curve.name.as_str()).collect();
        notes.push(format!("these were left out, because a single value is not a curve: {}", listed(&left)));
        curves.retain(|curve| !is_test(curve));
        if let [only] = &mut curves[..] {
            only.name.clear();
        }
    }
}

/// Drops curves that only repeat a part of another one: a history that is printed after its training.
pub(super) fn without_copies(curves: &mut Vec<ForeignCurve>, notes: &mut Vec<String>) {
    let close = |one: f64, other: f64, digit: f64| (one - other).abs() <= (1e-4 * (1.0 + other.abs())).min(digit);
    let repeats = |one: &EpochMetrics, other: &EpochMetrics, digits: &[f64]| {
        let values =
            METRICS.iter().zip(digits).filter_map(|(name, digit)| Some((one.get(name)?, other.get(name), digit)));
        values.into_iter().all(|(one, other, digit)| other.is_some_and(|other| close(one, other, *digit)))
    };
    let of_epoch = |curve: &ForeignCurve, epoch: u32| {
        curve.epochs.binary_search_by_key(&epoch, |metrics| metrics.epoch).ok().map(|at| curve.epochs[at])
    };
    let is_telling = |value: f64| (100.0 * value - (100.0 * value).round()).abs() > 1e-6;
    let values = |curve: &ForeignCurve| -> usize {
        let of_epoch = |one: &EpochMetrics| METRICS.iter().filter(|name| one.get(name).is_some_and(is_telling)).count();
        curve.epochs.iter().map(of_epoch).sum()
    };
    let is_copy = |copy: &ForeignCurve, of: &ForeignCurve| {
        let digits: Vec<f64> = METRICS.iter().map(|name| last_digit(copy, name).max(last_digit(of, name))).collect();
        (copy.epochs.len() > 2 || copy.epochs.len() == 2 && values(copy) >= TELLING)
            && copy.epochs.len() <= of.epochs.len()
            && copy.epochs.iter().any(|one| METRICS.iter().any(|name| one.get(name).is_some()))
            && copy.epochs.iter().all(|one| of_epoch(of, one.epoch).is_some_and(|other| repeats(one, &other, &digits)))
    };
    let mut copies = Vec::new();
    for at in (1..curves.len()).rev() {
        if curves[..at].iter().any(|of| is_copy(&curves[at], of)) {
            copies.push(curves.remove(at).name);
        }
    }
    if !copies.is_empty() {
        let copies: Vec<&str> = copies.iter().rev().map(String::as_str).collect();
        note(notes, format!("these were left out, because they repeat another curve: {}", listed(&copies)));
        if let [only] = &mut curves[..] {
            only.name.clear();
        }
    }
}

/// One in the last decimal place of a metric's values. The values of a curve and of its copy may be rounded differently.
fn last_digit(curve: &ForeignCurve, metric: &str) -> f64 {
    let values = curve.epochs.iter().filter_map(|one| one.get(metric));
    let decimals = |value: f64| value.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
    10_f64.powi(-(values.map(decimals).max().unwrap_or_default() as i32))
}

/// Takes the number of the training from the name of a curve that is the only one of its part: `cell 3, fit 2`.
pub(super) fn without_lone_numbers(curves: &mut [ForeignCurve]) {
    let part = |curve: &ForeignCurve| curve.name.rsplit_once(", fit ").map(|(part, _)| part.to_owned());
    let is_of = |curve: &ForeignCurve, part: &str| {
        curve.name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(", "))
    };
    for at in 0..curves.len() {
        if let Some(part) = part(&curves[at])
            && curves.iter().filter(|curve| is_of(curve, &part)).count() == 1
        {
            curves[at].name = part;
        }
    }
}
