//! What a method that learns from results knows of a sweep.

use std::collections::HashMap;

use super::learner::{Known, Value};
use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::pareto;
use sweep_core::trial::{Metric, Settings, fingerprint};

/// A configuration, the values of each metric in each of its trials that count, and whether one of the trials failed.
struct Tried<'a> {
    settings: &'a Settings,
    rows: Vec<Vec<Option<f64>>>,
    has_failed: bool,
}

/// Returns the imported configurations, then those begun, in order. Each of the latter has the mean value of its trials
/// among the first `seen`, where those have a value. With several metrics, the value is its place in the order of the
/// Pareto fronts.
pub fn known(history: &History, seen: u64, metric: &Metric, tradeoffs: &[Metric]) -> Vec<Known> {
    let metrics: Vec<&Metric> = std::iter::once(metric).chain(tradeoffs).collect();
    let has_failed = |trial: &TrialRecord| {
        trial.id.0 <= seen && matches!(&trial.status, Status::Ended(outcome) if outcome.error().is_some())
    };
    let values = |trial: &TrialRecord| match &trial.status {
        Status::Ended(outcome) if outcome.error().is_some() => None,
        Status::Running => None,
        _ if trial.id.0 > seen => None,
        // A waiting trial has a value too.
        Status::Ended(_) | Status::Waiting => {
            let best = metric.best(&trial.curve)?;
            let value = |one: &&Metric| Some(pareto::loss(pareto::value(trial, one, best, metric)?, one.goal));
            Some(metrics.iter().map(value).collect::<Vec<Option<f64>>>())
        }
    };
    let mut points: Vec<Tried> = Vec::new();
    let mut found: HashMap<u64, usize> = HashMap::new();
    for trial in &history.trials[history.apart()..] {
        let at = *found.entry(fingerprint(&trial.settings)).or_insert(points.len());
        if at == points.len() {
            points.push(Tried { settings: &trial.settings, rows: Vec::new(), has_failed: false });
        }
        points[at].rows.extend(values(trial));
        points[at].has_failed |= has_failed(trial);
    }
    let mean = |of: usize, rows: &[Vec<Option<f64>>]| {
        let values: Vec<f64> = rows.iter().filter_map(|row| row[of]).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    // What no trial reports cannot be traded off.
    let measured: Vec<usize> =
        (0..metrics.len()).filter(|of| points.iter().any(|point| mean(*of, &point.rows).is_some())).collect();
    let means = |rows: &[Vec<Option<f64>>]| measured.iter().map(|of| mean(*of, rows)).collect::<Option<Vec<f64>>>();
    let mut all: Vec<Known> = Vec::with_capacity(points.len());
    let mut valued = Vec::new();
    for Tried { settings, rows, has_failed } in &points {
        let own = means(rows).filter(|own| !own.is_empty());
        let without = if *has_failed { Value::Failed } else { Value::Unknown };
        let value = own.as_ref().map_or(without, |own| Value::Measured(own[0]));
        all.push(Known { settings: (*settings).clone(), value });
        valued.extend(own.map(|own| (all.len() - 1, own)));
    }
    if measured.len() > 1 {
        let losses: Vec<Vec<f64>> = valued.iter().map(|(_, own)| own.clone()).collect();
        for (place, at) in pareto::order(&losses).into_iter().enumerate() {
            all[valued[at].0].value = Value::Measured(place as f64);
        }
    }
    // An import has values of one metric only, so it is no part of a trade-off. The newest come last.
    let imported = history.imported(&metric.name).filter(|_| measured.len() < 2);
    let value = |known: &sweep_core::history::Known| Value::Measured(pareto::loss(known.value, metric.goal));
    imported.map(|known| Known { settings: known.settings.clone(), value: value(known) }).chain(all).collect()
}
