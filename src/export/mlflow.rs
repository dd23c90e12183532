//! Trials as runs of MLflow: the bodies of requests to its REST API, in order.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::record;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{Outcome, plain};
use sweep_report::ranking::setting_names;
use sweep_spec::Spec;

/// The tag of a run that names its sweep.
pub const SWEEP: &str = "sweep.id";
/// The tag that has the number of the trial.
pub const TRIAL: &str = "sweep.trial";

/// MLflow's limits of one request.
const METRICS: usize = 900;
const PARAMETERS: usize = 90;
/// Maximum number of characters of a parameter's value.
const LONGEST: usize = 6000;
/// Maximum number of characters of a name. MLflow takes 250; a few are left for a number that makes a name unique.
const LONGEST_NAME: usize = 240;

/// The content of a sweep for MLflow.
#[derive(Debug)]
pub struct Runs<'a> {
    spec: &'a Spec,
    /// The identity of the sweep, in [`SWEEP`].
    pub id: String,
    /// The trials that have ended.
    pub ended: Vec<&'a TrialRecord>,
    /// The metrics, each with its name in MLflow.
    metrics: Vec<(String, String)>,
    /// The names of the parameters in MLflow.
    parameters: HashMap<String, String>,
}

/// A trial that has ended. The requests are created for one run at a time, because all of them together are several
/// times as large as the journal.
#[derive(Debug)]
pub struct Run {
    /// Body of `runs/create`, without the experiment.
    pub create: Value,
    /// Bodies of `runs/log-batch`, without the run.
    pub batches: Vec<Value>,
    /// Body of `runs/update`, without the run. It is sent last: a run with this end time is complete.
    pub update: Value,
}

/// When a trial ended, as MLflow writes it. A trial that has run again has another end.
pub fn end(trial: &TrialRecord) -> i64 {
    milliseconds(trial.ended_at.unwrap_or(trial.first_started_at))
}

impl<'a> Runs<'a> {
    /// The runs of all trials that have ended.
    pub fn new(spec: &'a Spec, history: &'a History) -> Runs<'a> {
        Runs {
            spec,
            id: record::identity(history),
            ended: history.trials.iter().filter(|trial| trial.outcome().is_some()).collect(),
            metrics: renamed(record::names(&spec.metric.name, &history.trials)),
            parameters: renamed(setting_names(history)).into_iter().collect(),
        }
    }

    /// The requests that make a run of a trial.
    pub fn run(&self, trial: &TrialRecord) -> Run {
        let outcome = trial.outcome();
        let mut tags = vec![
            tag(SWEEP, &self.id),
            tag(TRIAL, trial.id.0),
            tag("sweep.outcome", trial.status.name()),
            tag("mlflow.source.type", "JOB"),
            tag("mlflow.source.name", "sweep"),
        ];
        if trial.repeat > 1 {
            tags.push(tag("sweep.repeat", trial.repeat));
        }
        if let Some(error) = outcome.and_then(Outcome::error) {
            tags.push(tag("sweep.error", error.chars().take(LONGEST).collect::<String>()));
        }
        let status = match outcome {
            Some(outcome) if outcome.error().is_some() => "FAILED",
            Some(Outcome::Stopped { .. } | Outcome::Skipped) => "KILLED",
            _ => "FINISHED",
        };
        Run {
            create: json!({"run_name": format!("trial {}", trial.id),
                "start_time": milliseconds(trial.first_started_at), "tags": tags}),
            batches: self.batches(trial),
            update: json!({"status": status, "end_time": end(trial)}),
        }
    }

    fn batches(&self, trial: &TrialRecord) -> Vec<Value> {
        let parameter = |(name, value): (&String, &Value)| {
            let value: String = plain(value).chars().take(LONGEST).collect();
            json!({"key": self.parameters.get(name).unwrap_or(name), "value": value})
        };
        let parameters: Vec<Value> = trial.settings.iter().map(parameter).collect();
        let metrics = self.metrics(trial);
        let (mut parameters, mut metrics) = (parameters.chunks(PARAMETERS), metrics.chunks(METRICS));
        std::iter::from_fn(|| match (parameters.next(), metrics.next()) {
            (None, None) => None,
            (some, others) => Some(json!({"params": some.unwrap_or_default(), "metrics": others.unwrap_or_default()})),
        })
        .collect()
    }

    /// The values of all metrics, epoch by epoch.
    fn metrics(&self, trial: &TrialRecord) -> Vec<Value> {
        let times = record::times(trial);
        let point = |key: &str, epoch: u32, value: f64| {
            let at = times.range(..=epoch).next_back().map_or(trial.first_started_at, |(_, at)| *at);
            json!({"key": key, "value": value, "timestamp": milliseconds(at), "step": epoch})
        };
        let own = &self.spec.metric;
        let mut metrics: Vec<Value> = Vec::new();
        for (name, key) in &self.metrics {
            let points = record::points(trial, name, &own.name);
            metrics.extend(points.map(|(epoch, value)| point(key, epoch, value)));
        }
        // MLflow shows the last value of a metric, and sorts by it.
        let best = format!("best_{}", own.name);
        if !self.metrics.iter().any(|(name, _)| *name == best)
            && let Some(epoch) = own.best(&trial.curve)
            && let Some(value) = epoch.get(&own.name).filter(|value| value.is_finite())
        {
            metrics.push(point(&key(&best), epoch.epoch, value));
        }
        metrics
    }
}

fn tag(key: &str, value: impl ToString) -> Value {
    json!({"key": key, "value": value.to_string()})
}

fn milliseconds(unix: f64) -> i64 {
    (unix * 1000.0) as i64
}

/// The names, each with a name that MLflow accepts, all different. A name that is accepted stays as it is.
fn renamed(names: Vec<String>) -> Vec<(String, String)> {
    let mut taken: HashSet<String> = names.iter().filter(|name| key(name) == **name).cloned().collect();
    let unique = |name: String| {
        let base = key(&name);
        if base == name {
            return (name, base);
        }
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let key = std::iter::once(base.clone()).chain(numbered).find(|key| !taken.contains(key));
        let key = key.expect("numbers do not end");
        taken.insert(key.clone());
        (name, key)
    };
    names.into_iter().map(unique).collect()
}

/// A name as MLflow accepts it: other characters become `_`, and so do parts between slashes that a path cannot have.
fn key(name: &str) -> String {
    let allowed = |letter: char| letter.is_alphanumeric() || "_-. :/".contains(letter);
    let letters = name.chars().take(LONGEST_NAME).map(|letter| if allowed(letter) { letter } else { '_' });
    let letters: String = letters.collect();
    let part = |part| if ["", ".", ".."].contains(&part) { "_" } else { part };
    letters.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_request_and_the_end_comes_last() {
        let (spec, mut history) = (sweep_sample::spec(), sweep_sample::history());
        history = history.altered(|state| {
            state.trials[0].others.insert("f<1".into(), (1..=2000).map(|epoch| (epoch, 0.5)).collect());
        });
        let runs = Runs::new(&spec, &history);
        assert_eq!((runs.id.len(), runs.ended.len()), (16, 6));
        for trial in &runs.ended {
            let run = runs.run(trial);
            let of = |name: &str| run.batches.iter().filter_map(|batch| batch[name].as_array()).flatten().count();
            let others: usize = trial.others.values().map(Vec::len).sum();
            // Learning rate and six metrics, and the best value.
            assert_eq!(of("metrics"), trial.curve.len() * 7 + others + usize::from(!trial.curve.is_empty()));
            assert_eq!(of("params"), 3);
            assert_eq!(run.update["end_time"], end(trial));
            assert!(
                run.batches.iter().all(|batch| batch["metrics"].as_array().is_none_or(|some| some.len() <= METRICS))
            );
        }
        assert_eq!(runs.run(runs.ended[0]).batches[1]["metrics"][899]["key"], "f_1");
        assert_eq!(runs.run(runs.ended[5]).update["status"], "FAILED");
    }

    #[test]
    fn names_that_mlflow_refuses_are_replaced_and_stay_different() {
        let names = ["f_1", "f<1", "f>1", "a//b", "/a", "a/", "..", "val/../loss", "\u{e9}t\u{e9} 1", "a\nb"];
        let names: Vec<String> = names.map(str::to_owned).into();
        let expected = ["f_1", "f_1_2", "f_1_3", "a/_/b", "_/a", "a/_", "_", "val/_/loss", "\u{e9}t\u{e9} 1", "a_b"];
        let keys: Vec<String> = renamed(names).into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, expected);
        assert_eq!(key(&"x".repeat(1000)).len(), LONGEST_NAME);
    }
}
