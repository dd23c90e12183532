//! The data about a trial that exports contain.

use std::collections::BTreeMap;

use sweep_core::history::{History, TrialRecord};
use sweep_core::pareto;
use sweep_core::trial::{EpochMetrics, METRICS, Metric};
use sweep_spec::Spec;

/// The metrics in every export, in the order of the columns of epochs.csv: all except times and speeds.
pub fn names(metric: &str, trials: &[TrialRecord]) -> Vec<String> {
    let measured = |name: &str| trials.iter().any(|trial| points(trial, name, metric).next().is_some());
    let own =
        std::iter::once("learning_rate").chain(METRICS).chain(Some(metric).filter(|name| !METRICS.contains(name)));
    let mut names: Vec<String> = own.filter(|name| measured(name)).map(str::to_owned).collect();
    let mut others: Vec<&String> = trials.iter().flat_map(|trial| trial.others.keys()).collect();
    others.sort();
    others.dedup();
    names.extend(others.into_iter().filter(|name| *name != metric).cloned());
    names
}

/// The metrics that the sweep optimizes, the one that ranks first. Those that no trial has a value of are left out, unless
/// no trial has ended with a result yet.
pub fn objectives<'a>(spec: &'a Spec, history: &'a History) -> Vec<&'a Metric> {
    let ranking = history.ranking(&spec.metric);
    let has = |metric: &&Metric| {
        ranking.iter().any(|(trial, best)| pareto::value(trial, metric, best, &spec.metric).is_some())
    };
    let all = std::iter::once(&spec.metric).chain(&spec.tradeoffs);
    all.filter(|metric| ranking.is_empty() || has(metric)).collect()
}

/// The finite values of a metric of this name, each with its epoch. `metric` is the one that ranks the trials.
pub fn points<'a>(trial: &'a TrialRecord, name: &'a str, metric: &'a str) -> impl Iterator<Item = (u32, f64)> + 'a {
    let own = trial.curve.iter().filter_map(move |epoch| {
        let value = match name {
            "learning_rate" => epoch.learning_rate,
            _ if name == metric || METRICS.contains(&name) => epoch.get(name),
            _ => None,
        };
        Some((epoch.epoch, value?))
    });
    let is_own = name == metric || name == "learning_rate" || METRICS.contains(&name);
    let others = trial.others.get(name).filter(|_| !is_own).into_iter().flatten().copied();
    own.chain(others).filter(|(_, value)| value.is_finite())
}

/// When each epoch ended, in Unix seconds. They are computed from the durations of the epochs in the journal; pauses
/// between attempts are left out.
pub fn times(trial: &TrialRecord) -> BTreeMap<u32, f64> {
    let mut at = trial.first_started_at;
    let mut ended = |epoch: &EpochMetrics| {
        at += epoch.seconds.unwrap_or(0.0);
        (epoch.epoch, at)
    };
    trial.curve.iter().map(&mut ended).collect()
}

/// A name of the sweep for other tools' databases: the same in every export, and different for a sweep that replaced
/// another of the same name. It has 16 hexadecimal digits.
pub fn identity(history: &History) -> String {
    // FNV-1a, which no later version of Rust changes.
    let text = format!("{}@{}", history.name, history.began_at);
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
