//! A sweep as a study of Optuna, in the format of its `JournalFileBackend`: one JSON object per line.
//!
//! Each ended trial is one line, which creates it with everything that is known about it. The lines are in the order in
//! which trials ended, so that a later export of a running sweep only adds lines. The numbers of operations, states and
//! directions are those of `optuna/storages/journal/_storage.py`, `optuna/trial/_state.py` and
//! `optuna/study/_study_direction.py`. Optuna promises to read them since version 4.0.

use serde_json::{Map, Value, json};

use super::record;
use super::time::iso as time;
use sweep_core::history::{History, TrialRecord};
use sweep_core::space::{Curve, Distribution, Parameter, same};
use sweep_core::trial::{Goal, Outcome, plain};
use sweep_spec::Spec;

const CREATE_STUDY: u8 = 0;
const SET_STUDY_SYSTEM_ATTR: u8 = 3;
const CREATE_TRIAL: u8 = 4;
const COMPLETE: u8 = 1;
const PRUNED: u8 = 2;
const FAIL: u8 = 3;

/// The study as text. Trials that have not ended are left out.
pub fn journal(spec: &Spec, history: &History) -> String {
    let direction = if spec.metric.goal == Goal::Minimize { 1 } else { 2 };
    let study =
        json!({"op_code": CREATE_STUDY, "worker_id": "sweep", "study_name": history.name, "directions": [direction]});
    let names = json!({"study:metric_names": [spec.metric.name]});
    let names = json!({"op_code": SET_STUDY_SYSTEM_ATTR, "worker_id": "sweep", "study_id": 0, "system_attr": names});
    let mut ended: Vec<&TrialRecord> = history.trials.iter().filter(|trial| trial.outcome().is_some()).collect();
    ended.sort_by(|a, b| a.ended_at.unwrap_or(0.0).total_cmp(&b.ended_at.unwrap_or(0.0)));
    let trials = ended.into_iter().map(|trial| line(spec, trial));
    [study, names].into_iter().chain(trials).map(|line| format!("{line}\n")).collect()
}

fn line(spec: &Spec, trial: &TrialRecord) -> Value {
    let metric = &spec.metric.name;
    let points: Vec<(u32, f64)> = record::points(trial, metric, metric).collect();
    let best = spec.metric.best(&trial.curve).and_then(|epoch| epoch.get(metric)).filter(|value| value.is_finite());
    let state = match (trial.outcome(), best) {
        (Some(Outcome::Finished | Outcome::EarlyStopped), Some(_)) => COMPLETE,
        (Some(Outcome::Stopped { .. }), _) => PRUNED,
        _ => FAIL,
    };
    let (mut parameters, mut distributions, mut attributes) = (Map::new(), Map::new(), Map::new());
    attributes.insert("trial".into(), trial.id.0.into());
    attributes.insert("outcome".into(), trial.status.name().into());
    if let Some(error) = trial.outcome().and_then(Outcome::error) {
        attributes.insert("error".into(), error.into());
    }
    for (name, value) in &trial.settings {
        match spec.space.parameters.iter().find(|one| one.name == *name).and_then(|one| written(one, value)) {
            Some((number, distribution)) => {
                parameters.insert(name.clone(), number);
                distributions.insert(name.clone(), distribution.to_string().into());
            }
            // A constant, or a value that the current sweep file no longer has.
            None => drop(attributes.insert(name.clone(), value.clone())),
        }
    }
    let intermediate: Map<String, Value> =
        points.iter().map(|(epoch, value)| (epoch.to_string(), json!(value))).collect();
    json!({
        "op_code": CREATE_TRIAL, "worker_id": "sweep", "study_id": 0,
        "datetime_start": time(trial.first_started_at), "datetime_complete": time(trial.ended_at.unwrap_or(trial.first_started_at)),
        "state": state, "value": best.filter(|_| state != FAIL), "values": null,
        "distributions": distributions, "params": parameters, "user_attrs": attributes, "system_attrs": {},
        "intermediate_values": intermediate,
    })
}

/// A value as Optuna stores it, and the distribution that it comes from. `None` if the distribution lacks the value.
fn written(parameter: &Parameter, value: &Value) -> Option<(Value, Value)> {
    let made = |name: &str, attributes: Value| json!({"name": name, "attributes": attributes});
    let float = |(low, high): (f64, f64), log: bool, step: Option<f64>| {
        // Optuna has no logarithmic distribution with a step.
        made("FloatDistribution", json!({"low": low, "high": high, "log": log, "step": step.filter(|_| !log)}))
    };
    let chosen = |values: Vec<&Value>| {
        let at = values.iter().position(|one| same(one, value))?;
        let scalar =
            |value: &&Value| if value.is_object() || value.is_array() { plain(value).into() } else { (*value).clone() };
        let choices: Vec<Value> = values.iter().map(scalar).collect();
        Some((json!(at), made("CategoricalDistribution", json!({"choices": choices}))))
    };
    match &parameter.distribution {
        Distribution::Constant(_) => None,
        Distribution::Categorical(values) => chosen(values.iter().collect()),
        Distribution::Weighted(values) => chosen(values.iter().map(|(value, _)| value).collect()),
        Distribution::IntUniform { min, max } => {
            let attributes = json!({"low": min, "high": max, "log": false, "step": 1});
            Some((json!(value.as_f64()?), made("IntDistribution", attributes)))
        }
        Distribution::Steps { first, step, count } => {
            let ends = (*first, first + step * count.saturating_sub(1) as f64);
            Some((json!(value.as_f64()?), float(ends, false, Some(*step))))
        }
        Distribution::Number { curve, step } => {
            let log = matches!(curve, Curve::LogUniform { .. } | Curve::LogNormal { .. });
            let (low, high) = curve.ends();
            // Rounding to a step can leave the interval.
            let number = value.as_f64()?;
            Some((json!(number), float((low.min(number), high.max(number)), log, *step)))
        }
    }
}
