//! The curves of some trials.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::TrialId;
use sweep_report::charts;
use sweep_report::spread::short;

/// Maximum number of points of a curve among others. A screen shows no more.
const POINTS: usize = 150;

/// Maximum number of curves that are sent at once.
const MOST: usize = 300;

/// The curves of a metric, by trial: epochs and values.
pub fn curves(history: &History, metric: &str, ids: &[u64]) -> Value {
    let trials = ids.iter().take(MOST).filter_map(|id| history.trial(TrialId(*id)));
    let curves: BTreeMap<u64, Value> =
        trials.map(|trial| (trial.id.0, curve(&charts::points(trial, metric), POINTS))).collect();
    json!(curves)
}

/// All that was measured of a trial, by metric. Training and validation have the names of the sweep's tables.
pub fn all(trial: &TrialRecord, names: &[String]) -> serde_json::Map<String, Value> {
    /// Maximum number of points of a curve that has the screen for itself.
    const ALONE: usize = 2000;
    let curves = names.iter().map(|name| (name.clone(), charts::points(trial, name)));
    curves.filter(|(_, points)| !points.is_empty()).map(|(name, points)| (name, curve(&points, ALONE))).collect()
}

/// Evenly chosen points, including the first and the last.
fn curve(points: &[(u32, f64)], most: usize) -> Value {
    let count = points.len().min(most);
    let chosen = (0..count).map(|at| points[at * (points.len() - 1) / (count - 1).max(1)]);
    let (epochs, values): (Vec<u32>, Vec<f64>) = chosen.map(|(epoch, value)| (epoch, short(value))).unzip();
    json!([epochs, values])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_ends() {
        let points: Vec<(u32, f64)> = (1..=1000).map(|epoch| (epoch, f64::from(epoch))).collect();
        let thinned = curve(&points, 150);
        let epochs = thinned[0].as_array().expect("epochs");
        assert_eq!((epochs.len(), &epochs[0], &epochs[149]), (150, &json!(1), &json!(1000)));
        assert_eq!(curve(&[], 150), json!([[], []]));
        assert_eq!(curve(&points[..1], 150), json!([[1], [1.0]]));
    }
}
