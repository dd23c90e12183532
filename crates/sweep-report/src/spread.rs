//! How the curves of many trials are spread, for charts that cannot draw all of them. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use sweep_core::history::History;
use sweep_core::trial::{EpochMetrics, METRICS};
use sweep_spec::Spec;

/// From this number of curves on, charts show how they are spread instead of drawing all of them.
pub const MANY: usize = 200;

/// Number of epochs at which the spread is computed.
const BINS: usize = 100;

/// The quantiles of the spread.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The spread of the curves of each metric. Empty if there are few.
pub fn bands(spec: &Spec, history: &History) -> BTreeMap<String, Value> {
    if history.trials.iter().filter(|trial| !trial.curve.is_empty()).count() <= MANY {
        return BTreeMap::new();
    }
    let own = Some(spec.metric.name.as_str()).filter(|name| !METRICS.contains(name));
    METRICS.into_iter().chain(own).filter_map(|name| Some((name.to_owned(), band(history, name)?))).collect()
}

/// The quantiles of a metric over all trials that have reached an epoch, at evenly chosen epochs.
fn band(history: &History, name: &str) -> Option<Value> {
    let last = history.trials.iter().map(|trial| trial.epochs()).max()?;
    let bins = BINS.min(last as usize).max(1);
    let epochs: Vec<u32> =
        (0..bins).map(|at| 1 + (at as u64 * u64::from(last - 1) / (bins as u64 - 1).max(1)) as u32).collect();
    let mut values = vec![Vec::new(); bins];
    for trial in &history.trials {
        for (&epoch, values) in epochs.iter().zip(&mut values) {
            values.extend(at(&trial.curve, epoch).and_then(|epoch| epoch.get(name)));
        }
    }
    if values.iter().all(Vec::is_empty) {
        return None;
    }
    let mut lines = vec![Vec::with_capacity(bins); QUANTILES.len()];
    for values in &mut values {
        values.sort_by(f64::total_cmp);
        for (line, share) in lines.iter_mut().zip(QUANTILES) {
            line.push(values.get((share * (values.len().max(1) - 1) as f64).round() as usize).copied().map(short));
        }
    }
    let over = history.trials.iter().filter(|trial| !trial.curve.is_empty()).count();
    Some(json!({"epochs": epochs, "quantiles": lines, "trials": over}))
}

/// The metrics of an epoch. Programs may leave out epochs.
fn at(curve: &[EpochMetrics], epoch: u32) -> Option<&EpochMetrics> {
    let guess = curve.get(epoch as usize - 1).filter(|found| found.epoch == epoch);
    guess.or_else(|| curve.binary_search_by_key(&epoch, |one| one.epoch).ok().map(|at| &curve[at]))
}

/// A number with the digits that a chart shows.
pub fn short(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_many_curves_is_in_order_and_few_have_none() {
        let (spec, many) = (sweep_sample::spec(), sweep_sample::many(300));
        assert!(bands(&spec, &sweep_sample::history()).is_empty());
        let band = &bands(&spec, &many)["val_loss"];
        let value = |line: usize, at: usize| band["quantiles"][line][at].as_f64().expect("a number");
        for at in 0..30 {
            assert!((1..5).all(|line| value(line - 1, at) <= value(line, at)), "{band}");
        }
    }
}
