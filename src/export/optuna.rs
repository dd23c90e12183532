//! A sweep as a study of Optuna, in the format of its `JournalFileBackend`: one JSON object per line.
//!
//! Each ended trial is one line, which creates it with everything that is known about it. The lines are in the order in
//! which trials ended, so that a later export of a running sweep only adds lines. The numbers of operations, states and
//! directions are those of `optuna/storages/journal/_storage.py`, `optuna/trial/_state.py` and
//! `optuna/study/_study_direction.py`. Optuna promises to read them since version 4.0.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::record;
use super::time::iso as time;
use sweep_core::history::{History, TrialRecord};
use sweep_core::pareto;
use sweep_core::space::{Curve, Distribution, Parameter, same};
use sweep_core::trial::{Goal, Metric, Outcome, plain};
use sweep_spec::Spec;

const CREATE_STUDY: u8 = 0;
const SET_STUDY_SYSTEM_ATTR: u8 = 3;
const CREATE_TRIAL: u8 = 4;
const COMPLETE: u8 = 1;
const PRUNED: u8 = 2;
const FAIL: u8 = 3;

/// A parameter as Optuna stores it. All trials have the same distribution, because Optuna's importances leave out
/// parameters that have several.
struct Stored {
    /// The distribution as JSON.
    distribution: String,
    /// The values to choose from. A trial has the number of its choice.
    choices: Option<Vec<Value>>,
}

/// The study as text. Trials that have not ended are left out.
pub fn journal(spec: &Spec, history: &History) -> String {
    let metrics = record::objectives(spec, history);
    let directions: Vec<u8> = metrics.iter().map(|metric| if metric.goal == Goal::Minimize { 1 } else { 2 }).collect();
    let study =
        json!({"op_code": CREATE_STUDY, "worker_id": "sweep", "study_name": history.name, "directions": directions});
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let names = json!({"study:metric_names": names});
    let names = json!({"op_code": SET_STUDY_SYSTEM_ATTR, "worker_id": "sweep", "study_id": 0, "system_attr": names});
    let stored: BTreeMap<&str, Stored> = spec
        .space
        .parameters
        .iter()
        .filter_map(|parameter| Some((parameter.name.as_str(), stored(parameter, &history.trials)?)))
        .collect();
    let mut ended: Vec<&TrialRecord> = history.trials.iter().filter(|trial| trial.outcome().is_some()).collect();
    ended.sort_by(|a, b| a.ended_at.unwrap_or(0.0).total_cmp(&b.ended_at.unwrap_or(0.0)));
    let trials = ended.into_iter().map(|trial| line(&spec.metric, &metrics, &stored, trial));
    [study, names].into_iter().chain(trials).map(|line| format!("{line}\n")).collect()
}

fn line(metric: &Metric, metrics: &[&Metric], stored: &BTreeMap<&str, Stored>, trial: &TrialRecord) -> Value {
    let points: Vec<(u32, f64)> = record::points(trial, &metric.name, &metric.name).collect();
    let best = metric.best(&trial.curve);
    let value = |one: &&Metric| pareto::value(trial, one, best?, metric).filter(|value| value.is_finite());
    let values: Option<Vec<f64>> = metrics.iter().map(value).collect();
    let state = match (trial.outcome(), &values) {
        (Some(Outcome::Finished | Outcome::EarlyStopped), Some(_)) => COMPLETE,
        (Some(Outcome::Stopped { .. }), _) => PRUNED,
        _ => FAIL,
    };
    let (mut parameters, mut distributions, mut attributes) = (Map::new(), Map::new(), Map::new());
    attributes.insert("trial".into(), trial.id.0.into());
    attributes.insert("outcome".into(), trial.status.name().into());
    if trial.repeat > 1 {
        attributes.insert("repeat".into(), trial.repeat.into());
    }
    if let Some(error) = trial.outcome().and_then(Outcome::error) {
        attributes.insert("error".into(), error.into());
    }
    for (name, value) in &trial.settings {
        match stored.get(name.as_str()).and_then(|stored| Some((stored.number(value)?, &stored.distribution))) {
            Some((number, distribution)) => {
                parameters.insert(name.clone(), number);
                distributions.insert(name.clone(), distribution.as_str().into());
            }
            // A constant, or a parameter that the current sweep file no longer has. A name of ours stays ours.
            None => drop(attributes.entry(name.clone()).or_insert_with(|| value.clone())),
        }
    }
    let intermediate: Map<String, Value> =
        points.iter().map(|(epoch, value)| (epoch.to_string(), json!(value))).collect();
    let values = values.filter(|_| state != FAIL);
    let (value, values) = match metrics {
        [_] => (values.map(|values| values[0]), None),
        _ => (None, values),
    };
    json!({
        "op_code": CREATE_TRIAL, "worker_id": "sweep", "study_id": 0,
        "datetime_start": time(trial.first_started_at), "datetime_complete": time(trial.ended_at.unwrap_or(trial.first_started_at)),
        "state": state, "value": value, "values": values,
        "distributions": distributions, "params": parameters, "user_attrs": attributes, "system_attrs": {},
        "intermediate_values": intermediate,
    })
}

/// A parameter as Optuna stores it. `None` for a constant. Values of trials that the current sweep file no longer has
/// extend its distribution.
fn stored(parameter: &Parameter, trials: &[TrialRecord]) -> Option<Stored> {
    let made = |name: &str, attributes: Value| json!({"name": name, "attributes": attributes}).to_string();
    let used = || trials.iter().filter_map(|trial| trial.settings.get(&parameter.name));
    let distribution = &parameter.distribution;
    let listed: Vec<&Value> = match distribution {
        Distribution::Constant(_) => return None,
        Distribution::Categorical(values) => values.iter().collect(),
        Distribution::Weighted(values) => values.iter().map(|(value, _)| value).collect(),
        Distribution::IntUniform { .. } | Distribution::Steps { .. } | Distribution::Number { .. } => {
            let ends = distribution.samples();
            let all = || ends.iter().chain(used()).filter_map(Value::as_f64);
            let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
            let float = |log: bool, step: Option<f64>| {
                // A step can round to 0, which no logarithm has. Optuna has no logarithmic distribution with a step.
                let log = log && low > 0.0;
                made("FloatDistribution", json!({"low": low, "high": high, "log": log, "step": step.filter(|_| !log)}))
            };
            let distribution = match distribution {
                Distribution::Number { curve, step } => {
                    float(matches!(curve, Curve::LogUniform { .. } | Curve::LogNormal { .. }), *step)
                }
                Distribution::Steps { step, .. } => float(false, Some(*step)),
                _ => made(
                    "IntDistribution",
                    json!({"low": low.floor() as i64, "high": high.ceil() as i64, "log": false, "step": 1}),
                ),
            };
            return Some(Stored { distribution, choices: None });
        }
    };
    let mut choices: Vec<Value> = listed.into_iter().cloned().collect();
    for value in used() {
        if !choices.iter().any(|choice| same(choice, value)) {
            choices.push(value.clone());
        }
    }
    let scalar =
        |value: &Value| if value.is_object() || value.is_array() { plain(value).into() } else { value.clone() };
    let shown: Vec<Value> = choices.iter().map(scalar).collect();
    let distribution = made("CategoricalDistribution", json!({"choices": shown}));
    Some(Stored { distribution, choices: Some(choices) })
}

impl Stored {
    /// The number that stands for a value. `None` if it is no number and should be one.
    fn number(&self, value: &Value) -> Option<Value> {
        match &self.choices {
            Some(choices) => choices.iter().position(|choice| same(choice, value)).map(Value::from),
            None => value.as_f64().map(Value::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_has_one_distribution_that_has_every_value() {
        let parameter = |distribution| Parameter { name: "p".into(), distribution, when: None };
        let trials = |values: &[Value]| {
            let history = sweep_sample::history();
            let trials = history.trials.iter().cloned().zip(values);
            let with = |(mut trial, value): (TrialRecord, &Value)| {
                trial.settings.insert("p".into(), value.clone());
                trial
            };
            trials.map(with).collect::<Vec<_>>()
        };
        let rounded = Distribution::Number { curve: Curve::LogUniform { min: 0.1, max: 9.6 }, step: Some(1.0) };
        let stored_as = |distribution, values: &[Value]| {
            let stored = stored(&parameter(distribution), &trials(values)).expect("it is no constant");
            let text: Value = serde_json::from_str(&stored.distribution).expect("it is JSON");
            let numbers: Vec<_> = values.iter().map(|value| stored.number(value)).collect();
            (text["attributes"].clone(), numbers)
        };
        let (text, _) = stored_as(rounded, &[json!(0), json!(10)]);
        assert_eq!(text, json!({"low": 0.0, "high": 10.0, "log": false, "step": 1.0}));
        let (text, numbers) = stored_as(Distribution::IntUniform { min: 1, max: 3 }, &[json!(2), json!(5), json!("x")]);
        assert_eq!(text, json!({"low": 1, "high": 5, "log": false, "step": 1}));
        assert_eq!(numbers, [Some(json!(2.0)), Some(json!(5.0)), None]);
        let (text, numbers) =
            stored_as(Distribution::Categorical(vec![json!("a"), json!([1])]), &[json!(null), json!([1])]);
        assert_eq!(text, json!({"choices": ["a", "[1]", null]}));
        assert_eq!(numbers, [Some(json!(2)), Some(json!(1))]);
    }

    #[test]
    fn several_metrics_are_several_objectives() {
        let metric = |name: &str, goal| Metric { name: name.into(), goal };
        let tradeoffs = vec![metric("val_accuracy", Goal::Maximize), metric("energy_kj", Goal::Minimize)];
        let (spec, history) = (Spec { tradeoffs, ..sweep_sample::spec() }, sweep_sample::history());
        let text = journal(&spec, &history);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        // Nobody measured energy.
        assert_eq!(lines[0]["directions"], json!([1, 2]));
        let complete = lines.iter().find(|line| line["state"] == COMPLETE).expect("a trial finished");
        assert!(complete["value"].is_null() && complete["values"].as_array().is_some_and(|values| values.len() == 2));
    }
}
