//! Curves that are left out: those of a single epoch, and copies.

use super::{CURVE, listed, note};
use crate::ForeignCurve;
use sweep_core::trial::{EpochMetrics, METRICS};

/// The share of a number within which two are equal, although they were computed in different ways.
const ROUNDING: f64 = 1e-9;
/// The share within which one may have fewer digits.
const NEAR: f64 = 1e-4;

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

/// Drops curves that only repeat a part of another one: a history that is printed after its training. Its numbers may have
/// fewer digits.
pub(super) fn without_copies(curves: &mut Vec<ForeignCurve>, notes: &mut Vec<String>) {
    let units: Vec<[f64; METRICS.len()]> = curves.iter().map(units).collect();
    let of_epoch = |curve: &ForeignCurve, epoch: u32| {
        curve.epochs.binary_search_by_key(&epoch, |metrics| metrics.epoch).ok().map(|at| curve.epochs[at])
    };
    let repeats = |copy: usize, of: usize, one: &EpochMetrics, other: &EpochMetrics| {
        METRICS.iter().enumerate().all(|(at, name)| match (one.get(name), other.get(name)) {
            (Some(one), Some(other)) => {
                let tolerance = units[copy][at].max(units[of][at]).min(NEAR * (1.0 + other.abs()));
                (one - other).abs() <= tolerance.max(ROUNDING * other.abs())
            }
            (one, _) => one.is_none(),
        })
    };
    let is_copy = |at: usize, other: usize| {
        let (copy, of) = (&curves[at], &curves[other]);
        let is_repeated = |one: &EpochMetrics| of_epoch(of, one.epoch).is_some_and(|own| repeats(at, other, one, &own));
        copy.epochs.len() > 2 && copy.epochs.len() <= of.epochs.len() && copy.epochs.iter().all(is_repeated)
    };
    let is_kept: Vec<bool> = (0..curves.len()).map(|at| !(0..at).any(|other| is_copy(at, other))).collect();
    let mut kept = is_kept.iter();
    let copies: Vec<ForeignCurve> = curves.extract_if(.., |_| kept.next() == Some(&false)).collect();
    if copies.is_empty() {
        return;
    }
    let copies: Vec<&str> = copies.iter().map(|copy| copy.name.as_str()).collect();
    note(notes, format!("these were left out, because they repeat another curve: {}", listed(&copies)));
    if let [only] = &mut curves[..] {
        only.name.clear();
    }
}

/// A unit of the last digit with which a curve has each metric.
fn units(curve: &ForeignCurve) -> [f64; METRICS.len()] {
    let digits = |value: f64| format!("{value}").split_once('.').map_or(0, |(_, digits)| digits.len());
    METRICS.map(|name| {
        let most = curve.epochs.iter().filter_map(|epoch| epoch.get(name)).map(digits).max();
        0.1_f64.powi(most.unwrap_or_default() as i32) * (1.0 + ROUNDING)
    })
}
