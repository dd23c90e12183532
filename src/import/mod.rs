//! Finished trials of older studies, read from other tools' files. Pure, except that SQLite opens its own file.

mod optuna;
mod sqlite;
mod table;

pub use optuna::journal;
pub use sqlite::{is_database, study};
pub use table::table;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use sweep_core::history::Known;
use sweep_core::space::{Distribution, same};
use sweep_core::trial::{Goal, Settings, plain};
use sweep_spec::Spec;

/// The content of an imported file.
#[derive(Debug, Default, PartialEq)]
pub struct Study {
    /// Which values are better, if the file says so.
    pub goal: Option<Goal>,
    pub trials: Vec<Foreign>,
    /// Number of trials that did not finish, and so were not read.
    pub unfinished: usize,
}

/// A finished trial.
#[derive(Debug, PartialEq)]
pub struct Foreign {
    /// Its name in the file: `trial 3`, `line 4`.
    pub name: String,
    /// Parameters, and whatever else a table has a column for.
    pub settings: Settings,
    pub value: f64,
}

/// The trials that are configurations of this sweep, and the reasons why others are not, each with the number of trials.
pub fn fit(spec: &Spec, study: Study) -> (Vec<Known>, BTreeMap<String, usize>) {
    let (mut known, mut left_out) = (Vec::new(), BTreeMap::new());
    for foreign in study.trials {
        match settings(spec, &foreign.settings) {
            Ok(settings) => known.push(Known { name: foreign.name, settings, value: foreign.value }),
            Err(reason) => *left_out.entry(reason).or_default() += 1,
        }
    }
    (known, left_out)
}

/// The parameters in the notation of this sweep. Parameters that the sweep does not have are ignored if the sweep cannot
/// vary them; constants that the study does not mention are taken to be the same.
fn settings(spec: &Spec, given: &Settings) -> Result<Settings, String> {
    let mut settings = Map::new();
    for parameter in &spec.space.parameters {
        let (name, distribution) = (&parameter.name, &parameter.distribution);
        let value = match (given.get(name), distribution) {
            (None, Distribution::Constant(value)) => Some(value.clone()),
            (None, _) if parameter.when.is_some() => None,
            (None, _) => return Err(format!("no value for {name}")),
            (Some(Value::Null), _) if parameter.when.is_some() && !distribution.contains(&Value::Null) => None,
            (Some(value), _) => {
                let own = own(distribution, value);
                Some(own.ok_or_else(|| format!("{name} is {}, which this sweep cannot try", shown(value)))?)
            }
        };
        if let Some(value) = value {
            settings.insert(name.clone(), value);
        }
    }
    spec.space.own(&settings).ok_or_else(|| "the combination of values is excluded in this sweep".into())
}

/// The value in the notation of this sweep: text in a table may be a number, a truth value, or a list.
fn own(distribution: &Distribution, value: &Value) -> Option<Value> {
    let choices: Vec<Value> = match distribution {
        Distribution::Constant(value) => vec![value.clone()],
        Distribution::Categorical(values) => values.clone(),
        Distribution::Weighted(values) => values.iter().map(|(value, _)| value.clone()).collect(),
        _ => Vec::new(),
    };
    if let Some(found) = choices.iter().find(|choice| same(choice, value)) {
        return Some(found.clone());
    }
    if let Some(text) = value.as_str() {
        let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
        // As sweep's own tables, Python and JSON write it.
        let is = |choice: &&Value| match choice {
            Value::Bool(truth) => text.eq_ignore_ascii_case(if *truth { "true" } else { "false" }),
            Value::Number(own) => own.as_f64() == number(),
            other => plain(other) == text || other.to_string().as_str() == text,
        };
        if !choices.is_empty() {
            return choices.iter().find(is).cloned();
        }
        let whole = text.parse::<i64>().ok().map(Value::from);
        return own(distribution, &whole.or_else(|| number().map(Value::from))?);
    }
    // 0.1 + 0.2 of another tool is 0.3 here.
    let tidy = || format!("{:.12e}", value.as_f64()?).parse::<f64>().ok().map(Value::from);
    let read = std::iter::once(value.clone()).chain(tidy());
    choices.is_empty().then_some(read)?.find(|value| distribution.contains(value))
}

fn shown(value: &Value) -> String {
    plain(value).chars().filter(|letter| !letter.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> Spec {
        let text = "
program: x
method: tpe
run_cap: 30
metric: {name: val_loss, goal: minimize}
parameters:
  lr: {distribution: log_uniform_values, min: 0.001, max: 1}
  layers: {distribution: int_uniform, min: 1, max: 4}
  kind: {values: [plain, deep, true, 3]}
  momentum: {distribution: uniform, min: 0, max: 1, when: kind == \"deep\"}
  fixed: {value: 7}
";
        Spec::read(text, "sweep.yaml", std::path::Path::new("/")).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    #[test]
    fn only_configurations_of_the_sweep_are_taken_and_the_others_say_why() {
        let trial = |settings: Value| Foreign {
            name: "trial 0".into(),
            settings: settings.as_object().expect("an object").clone(),
            value: 0.5,
        };
        let study = Study {
            trials: vec![
                trial(json!({"lr": 0.1, "layers": 2, "kind": "plain", "extra": 1})),
                trial(json!({"lr": "1e-2", "layers": "3", "kind": "True", "momentum": null})),
                trial(json!({"lr": "0.5", "layers": "1", "kind": "deep", "momentum": "0.9", "fixed": "7"})),
                trial(json!({"lr": 5.0, "layers": 2, "kind": "plain"})),
                trial(json!({"layers": 2, "kind": "plain"})),
                trial(json!({"lr": 0.1, "layers": 2, "kind": "wide"})),
                trial(json!({"lr": 0.1, "layers": 2, "kind": "deep"})),
                trial(json!({"lr": 0.1, "layers": 2, "kind": "plain", "fixed": 8})),
            ],
            ..Study::default()
        };
        let (known, left_out) = fit(&spec(), study);
        let taken: Vec<Value> = known.into_iter().map(|known| Value::Object(known.settings)).collect();
        assert_eq!(
            taken,
            [
                json!({"lr": 0.1, "layers": 2, "kind": "plain", "fixed": 7}),
                json!({"lr": 0.01, "layers": 3, "kind": true, "fixed": 7}),
                json!({"lr": 0.5, "layers": 1, "kind": "deep", "momentum": 0.9, "fixed": 7}),
            ]
        );
        let reasons: Vec<&str> = left_out.keys().map(String::as_str).collect();
        let expected = [
            "fixed is 8, which this sweep cannot try",
            "kind is wide, which this sweep cannot try",
            "lr is 5.0, which this sweep cannot try",
            "no value for lr",
            "the combination of values is excluded in this sweep",
        ];
        assert_eq!(reasons, expected);
    }
}
