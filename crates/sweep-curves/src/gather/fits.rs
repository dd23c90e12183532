//! The names of the training runs of a log.

use std::collections::BTreeMap;

use super::{CURVE, Points, Values};
use crate::{names, special};

/// Runs without those that measured nothing, such as the settings above the first epoch, and numbered one after another. If
/// none measured anything, all are kept.
pub(super) fn measured(runs: Vec<(String, Values)>) -> Vec<(String, Values)> {
    if !runs.iter().any(|(_, values)| measures(values)) {
        return runs;
    }
    let kept = runs.into_iter().filter(|(_, values)| measures(values));
    let mut numbers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    kept.map(|(name, values)| {
        let (fit, run) = name.split_once(", run ").map_or((name.as_str(), None), |(fit, run)| (fit, Some(run)));
        let (part, number) = parsed(fit);
        let known = numbers.entry(part.to_owned()).or_default();
        let at = known.iter().position(|one| *one == number).unwrap_or_else(|| {
            known.push(number);
            known.len() - 1
        });
        let name = match (part, at) {
            ("", _) if fit.starts_with("fit ") => format!("fit {}", at + 1),
            (part, 0) => part.to_owned(),
            (part, at) => format!("{part}, fit {}", at + 1),
        };
        (run.map_or(name.clone(), |run| format!("{name}, run {run}")), values)
    })
    .collect()
}

/// The part of a log and the number of the run in it: `fit 2`, `cell 3, fit 2`, `cell 3`.
fn parsed(name: &str) -> (&str, u32) {
    let number = |number: &str| number.parse().ok();
    let alone = name.strip_prefix("fit ").and_then(number).map(|number| ("", number));
    let of_part = || name.rsplit_once(", fit ").and_then(|(part, fit)| Some((part, number(fit)?)));
    alone.or_else(of_part).unwrap_or((name, 1))
}

/// Whether a run has a metric, or several values that may be one.
fn measures(values: &Values) -> bool {
    let is_named =
        |name: &str| name.to_lowercase().contains("loss") || special::is_total(name) || names::is_part(name).is_some();
    let may_measure = |name: &str, points: &Points| {
        points.len() > 1 && is_named(name) || points.len() >= CURVE && special::is_measure(name)
    };
    values.iter().any(|(name, points)| special::is_metric(name) || may_measure(name, points))
}
