//! Optuna's `JournalFileBackend`: one JSON object per line. The numbers of operations, states and directions are those of
//! `optuna/storages/journal/_storage.py`, `optuna/trial/_state.py` and `optuna/study/_study_direction.py`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Foreign, Study};
use sweep_core::trial::Goal;

const CREATE_STUDY: u64 = 0;
const DELETE_STUDY: u64 = 1;
const CREATE_TRIAL: u64 = 4;
const SET_TRIAL_PARAM: u64 = 5;
const SET_TRIAL_STATE: u64 = 6;
const COMPLETE: u64 = 1;

/// The data about a trial in the journal so far.
#[derive(Default)]
struct Begun {
    study: u64,
    number: usize,
    settings: Map<String, Value>,
    state: u64,
    value: Option<f64>,
}

/// Reads a study. `name` is needed if the file has several.
///
/// # Errors
/// Returns what is wrong with the file.
pub fn journal(text: &str, name: Option<&str>) -> Result<Study, String> {
    let mut studies: BTreeMap<u64, (String, Vec<u64>)> = BTreeMap::new();
    let (mut created, mut trials, mut counts) = (0, Vec::<Begun>::new(), BTreeMap::<u64, usize>::new());
    for (line, entry) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let entry: Value = serde_json::from_str(entry).map_err(|error| format!("line {}: {error}", line + 1))?;
        let id = |key: &str| entry[key].as_u64();
        match id("op_code") {
            Some(CREATE_STUDY) => {
                let directions = entry["directions"].as_array().into_iter().flatten().filter_map(Value::as_u64);
                let name = entry["study_name"].as_str().unwrap_or_default().to_owned();
                studies.insert(created, (name, directions.collect()));
                created += 1;
            }
            Some(DELETE_STUDY) => drop(id("study_id").and_then(|study| studies.remove(&study))),
            Some(CREATE_TRIAL) => {
                let study = id("study_id").unwrap_or_default();
                let number = counts.entry(study).or_default();
                let mut trial =
                    Begun { study, number: *number, state: id("state").unwrap_or_default(), ..Begun::default() };
                *number += 1;
                trial.value = entry["value"].as_f64().or_else(|| entry["values"][0].as_f64());
                for (name, value) in entry["params"].as_object().into_iter().flatten() {
                    let distribution = entry["distributions"][name].as_str().unwrap_or_default();
                    trial.settings.insert(name.clone(), external(value, distribution));
                }
                trials.push(trial);
            }
            Some(SET_TRIAL_PARAM) => {
                let trial = id("trial_id").and_then(|at| trials.get_mut(at as usize));
                if let (Some(trial), Some(name)) = (trial, entry["param_name"].as_str()) {
                    let distribution = entry["distribution"].as_str().unwrap_or_default();
                    trial.settings.insert(name.to_owned(), external(&entry["param_value_internal"], distribution));
                }
            }
            Some(SET_TRIAL_STATE) => {
                if let Some(trial) = id("trial_id").and_then(|at| trials.get_mut(at as usize)) {
                    trial.state = id("state").unwrap_or_default();
                    trial.value = entry["values"][0].as_f64().or(trial.value);
                }
            }
            // Attributes and intermediate values.
            Some(_) => {}
            None => return Err(format!("line {}: no op_code, so this is no journal of Optuna", line + 1)),
        }
    }
    let names: BTreeMap<u64, String> = studies.iter().map(|(id, (name, _))| (*id, name.clone())).collect();
    let study = chosen(&names, name)?;
    let goal = goal(&studies[&study].1)?;
    let own = trials.into_iter().filter(|trial| trial.study == study);
    Ok(gathered(goal, own.map(|trial| (trial.number, trial.settings, trial.value.filter(|_| trial.state == COMPLETE)))))
}

/// The study with this name, or the only one.
pub(super) fn chosen(studies: &BTreeMap<u64, String>, name: Option<&str>) -> Result<u64, String> {
    let all = || studies.values().cloned().collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => {
            let found = studies.iter().find(|(_, one)| *one == name).map(|(id, _)| *id);
            found.ok_or_else(|| format!("no study {name}; studies: {}", all()))
        }
        None if studies.len() == 1 => Ok(*studies.keys().next().expect("there is one")),
        None if studies.is_empty() => Err("it contains no study".into()),
        None => Err(format!("it contains several studies, so name one with --study: {}", all())),
    }
}

/// The goal of a study with these directions: 1 minimizes, 2 maximizes.
pub(super) fn goal(directions: &[u64]) -> Result<Option<Goal>, String> {
    match directions {
        [1] => Ok(Some(Goal::Minimize)),
        [2] => Ok(Some(Goal::Maximize)),
        [_, _, ..] => Err("the study has several objectives, and a sweep has one".into()),
        _ => Ok(None),
    }
}

/// A study of trials with their numbers, parameters and values, if they finished.
pub(super) fn gathered(
    goal: Option<Goal>,
    trials: impl Iterator<Item = (usize, Map<String, Value>, Option<f64>)>,
) -> Study {
    let mut study = Study { goal, ..Study::default() };
    for (number, settings, value) in trials {
        match value.filter(|value| value.is_finite()) {
            Some(value) => study.trials.push(Foreign { name: format!("trial {number}"), settings, value }),
            None => study.unfinished += 1,
        }
    }
    study
}

/// A parameter's value. Optuna stores the number of a choice, and integers as floats.
pub(super) fn external(value: &Value, distribution: &str) -> Value {
    let distribution: Value = serde_json::from_str(distribution).unwrap_or_default();
    let kind = distribution["name"].as_str().unwrap_or_default();
    match (value.as_f64(), kind) {
        (Some(number), "CategoricalDistribution") => distribution["attributes"]["choices"][number as usize].clone(),
        (Some(number), kind) if kind.starts_with("Int") => Value::from(number as i64),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_journal_of_an_export_is_read_and_one_of_single_steps_too() {
        let (spec, history) = (sweep_sample::spec(), sweep_sample::history());
        let study = journal(&crate::export::optuna::journal(&spec, &history), None).expect("it is a journal");
        assert_eq!((study.goal, study.trials.len(), study.unfinished), (Some(Goal::Minimize), 4, 2));
        assert_eq!(study.trials[0].settings["dropout"], 0.0);
        let steps = [
            json!({"op_code": 0, "study_name": "a", "directions": [2]}),
            json!({"op_code": 4, "study_id": 0}),
            json!({"op_code": 5, "trial_id": 0, "param_name": "n", "param_value_internal": 3.0,
                "distribution": r#"{"name": "IntDistribution", "attributes": {}}"#}),
            json!({"op_code": 5, "trial_id": 0, "param_name": "k", "param_value_internal": 1,
                "distribution": r#"{"name": "CategoricalDistribution", "attributes": {"choices": ["x", null]}}"#}),
            json!({"op_code": 6, "trial_id": 0, "state": 1, "values": [0.5]}),
        ];
        let text: String = steps.iter().map(|step| format!("{step}\n")).collect();
        let study = journal(&text, Some("a")).expect("it is a journal");
        assert_eq!(Value::Object(study.trials[0].settings.clone()), json!({"n": 3, "k": null}));
        assert!(journal(&text, Some("b")).is_err_and(|error| error.contains("studies: a")));
        assert!(journal("{\"a\": 1}\n", None).is_err());
    }
}
