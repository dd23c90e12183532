//! Trials as runs of MLflow: the bodies of requests to its REST API, in order.

use serde_json::{Value, json};

use super::record;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{Outcome, plain};
use sweep_spec::Spec;

/// The tag of a run that names its sweep.
pub const SWEEP: &str = "sweep.id";
/// The tag that has the number of the trial.
pub const TRIAL: &str = "sweep.trial";
/// The tag that is set last, to the time of the trial's end: a run that has it is complete, unless its trial has run again.
pub const ENDED: &str = "sweep.ended";

/// MLflow's limits of one request.
const METRICS: usize = 900;
const PARAMETERS: usize = 90;
/// Maximum number of characters of a parameter's value.
const LONGEST: usize = 6000;

/// A trial that has ended.
#[derive(Debug)]
pub struct Run {
    pub trial: u64,
    /// What [`ENDED`] becomes.
    pub ended: String,
    /// Body of `runs/create`, without the experiment.
    pub create: Value,
    /// Bodies of `runs/log-batch`, without the run.
    pub batches: Vec<Value>,
    /// Body of `runs/update`, without the run.
    pub update: Value,
}

/// The identity of the sweep in [`SWEEP`], and the runs of all trials that have ended.
pub fn runs(spec: &Spec, history: &History) -> (String, Vec<Run>) {
    let (id, names) = (record::identity(history), record::names(&spec.metric.name, &history.trials));
    let ended = history.trials.iter().filter(|trial| trial.outcome().is_some());
    let runs = ended.map(|trial| run(spec, trial, &names, &id)).collect();
    (id, runs)
}

fn run(spec: &Spec, trial: &TrialRecord, names: &[String], id: &str) -> Run {
    let at = trial.ended_at.unwrap_or(trial.first_started_at);
    let (ended, outcome) = (format!("{at:.6}"), trial.outcome());
    let mut tags = vec![
        tag(SWEEP, id),
        tag(TRIAL, trial.id.0),
        tag("sweep.outcome", trial.status.name()),
        tag("mlflow.source.type", "JOB"),
        tag("mlflow.source.name", "sweep"),
    ];
    if let Some(error) = outcome.and_then(Outcome::error) {
        tags.push(tag("sweep.error", error.chars().take(LONGEST).collect::<String>()));
    }
    let status = match outcome {
        Some(outcome) if outcome.error().is_some() => "FAILED",
        Some(Outcome::Stopped { .. } | Outcome::Skipped) => "KILLED",
        _ => "FINISHED",
    };
    Run {
        trial: trial.id.0,
        create: json!({"run_name": format!("trial {}", trial.id), "start_time": milliseconds(trial.first_started_at),
            "tags": tags}),
        batches: batches(spec, trial, names, &ended),
        update: json!({"status": status, "end_time": milliseconds(at)}),
        ended,
    }
}

fn batches(spec: &Spec, trial: &TrialRecord, names: &[String], ended: &str) -> Vec<Value> {
    let parameters: Vec<Value> = trial
        .settings
        .iter()
        .map(|(name, value)| json!({"key": key(name), "value": plain(value).chars().take(LONGEST).collect::<String>()}))
        .collect();
    let times = record::times(trial);
    let point = |name: &str, epoch: u32, value: f64| {
        let at = times.range(..=epoch).next_back().map_or(trial.first_started_at, |(_, at)| *at);
        json!({"key": key(name), "value": value, "timestamp": milliseconds(at), "step": epoch})
    };
    let mut metrics: Vec<Value> = Vec::new();
    for name in names {
        let points = record::points(trial, name, &spec.metric.name);
        metrics.extend(points.map(|(epoch, value)| point(name, epoch, value)));
    }
    // MLflow shows the last value of a metric, and sorts by it.
    let best = format!("best_{}", spec.metric.name);
    if let Some(epoch) = spec.metric.best(&trial.curve).filter(|_| !names.contains(&best))
        && let Some(value) = epoch.get(&spec.metric.name).filter(|value| value.is_finite())
    {
        metrics.push(point(&best, epoch.epoch, value));
    }
    let mut batches: Vec<Value> = parameters.chunks(PARAMETERS).map(|some| json!({"params": some})).collect();
    let mut chunks = metrics.chunks(METRICS);
    if let (Some(batch), Some(some)) = (batches.last_mut(), chunks.next()) {
        batch["metrics"] = some.into();
    } else if let Some(some) = metrics.chunks(METRICS).next() {
        batches.push(json!({"metrics": some}));
    }
    batches.extend(chunks.map(|some| json!({"metrics": some})));
    if batches.is_empty() {
        batches.push(json!({}));
    }
    if let Some(last) = batches.last_mut() {
        last["tags"] = json!([tag(ENDED, ended)]);
    }
    batches
}

fn tag(key: &str, value: impl ToString) -> Value {
    json!({"key": key, "value": value.to_string()})
}

fn milliseconds(unix: f64) -> i64 {
    (unix * 1000.0) as i64
}

/// A name as MLflow accepts it: other characters become `_`.
pub fn key(name: &str) -> String {
    let allowed = |letter: char| letter.is_alphanumeric() || "_-. :/".contains(letter);
    name.chars().take(250).map(|letter| if allowed(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_request_and_the_last_says_that_it_is_the_last() {
        let (spec, mut history) = (sweep_sample::spec(), sweep_sample::history());
        history = history.altered(|state| {
            state.trials[0].others.insert("f<1".into(), (1..=2000).map(|epoch| (epoch, 0.5)).collect());
        });
        let (id, runs) = runs(&spec, &history);
        assert_eq!((id.len(), runs.len()), (16, 6));
        for run in &runs {
            let of = |name: &str| run.batches.iter().filter_map(|batch| batch[name].as_array()).flatten().count();
            let trial = &history.trials[run.trial as usize - 1];
            let others: usize = trial.others.values().map(Vec::len).sum();
            // Learning rate and six metrics, and the best value.
            assert_eq!(of("metrics"), trial.curve.len() * 7 + others + usize::from(!trial.curve.is_empty()));
            assert_eq!((of("params"), of("tags")), (3, 1));
            assert!(run.batches.last().is_some_and(|batch| batch["tags"][0]["value"] == run.ended));
            assert!(
                run.batches.iter().all(|batch| batch["metrics"].as_array().is_none_or(|some| some.len() <= METRICS))
            );
        }
        assert_eq!(runs[0].batches[1]["metrics"][899]["key"], "f_1");
        assert_eq!(runs[5].update["status"], "FAILED");
    }
}
