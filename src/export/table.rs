//! A sweep as two tables with typed columns, `trials` and `epochs`, for Parquet and SQLite. Columns that are also in
//! `trials.csv` and `epochs.csv` have the same names there.

use std::collections::HashSet;

use serde_json::Value;

use super::record;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::plain;
use sweep_spec::Spec;

/// Maximum number of metrics with two columns in `trials`. A table of SQLite has at most 2,000 columns.
const MOST_METRICS: usize = 800;

/// A table: its name and its columns, which have the same length.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: Vec<(String, Values)>,
}

/// The values of a column.
#[derive(Debug, PartialEq)]
pub enum Values {
    Integer(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Truth(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
}

impl Values {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Values::Integer(values) => values.len(),
            Values::Real(values) => values.len(),
            Values::Truth(values) => values.len(),
            Values::Text(values) => values.len(),
        }
    }
}

/// Number of metrics whose best and last values are not in `trials`, because there are too many. `epochs` has them.
pub fn left_out(spec: &Spec, history: &History) -> usize {
    record::names(&spec.metric.name, &history.trials).len().saturating_sub(MOST_METRICS)
}

/// The tables of a sweep: a row for each trial that has started, and a row for each of its epochs.
pub fn tables(spec: &Spec, history: &History) -> [Table; 2] {
    let metrics = record::names(&spec.metric.name, &history.trials);
    [trials(spec, history, &metrics), epochs(spec, history, &metrics)]
}

fn trials(spec: &Spec, history: &History, metrics: &[String]) -> Table {
    let all = &history.trials;
    let best = |trial: &TrialRecord| spec.metric.best(&trial.curve).map(|best| best.epoch);
    let last = |trial: &TrialRecord| trial.curve.last().map(|last| last.epoch);
    let integer = |of: &dyn Fn(&TrialRecord) -> Option<i64>| Values::Integer(all.iter().map(of).collect());
    let text = |of: &dyn Fn(&TrialRecord) -> Option<String>| Values::Text(all.iter().map(of).collect());
    let at = |name: &str, epoch: &dyn Fn(&TrialRecord) -> Option<u32>| {
        let value = |trial: &TrialRecord| {
            let epoch = epoch(trial)?;
            record::points(trial, name, &spec.metric.name).find(|(at, _)| *at == epoch).map(|(_, value)| value)
        };
        Values::Real(all.iter().map(value).collect())
    };
    let before = vec![
        ("seed".to_owned(), integer(&|trial| Some(trial.seed.unwrap_or(spec.seed) as i64))),
        ("repeat".into(), integer(&|trial| Some(trial.repeat.into()))),
        ("status".into(), text(&|trial| Some(trial.status.name().into()))),
        ("epochs".into(), integer(&|trial| Some(trial.epochs().into()))),
        ("best_epoch".into(), integer(&|trial| best(trial).map(i64::from))),
    ];
    let after = vec![
        ("parameters".to_owned(), integer(&|trial| trial.parameters.map(|count| count as i64))),
        ("seconds".into(), Values::Real(all.iter().map(|trial| Some(trial.seconds)).collect())),
        ("energy_kj".into(), Values::Real(all.iter().map(|trial| trial.joules.map(|joules| joules / 1e3)).collect())),
        ("device".into(), text(&|trial| Some(trial.slot.clone()))),
        ("attempts".into(), integer(&|trial| Some(trial.attempts.into()))),
        ("tag".into(), text(&|trial| history.steering.tags.get(&trial.id).cloned())),
        ("error".into(), text(&|trial| trial.outcome().and_then(|outcome| outcome.error()))),
    ];
    let mut names = Names::new(before.iter().chain(&after).map(|(name, _)| name.as_str()).chain(["trial"]));
    let mut measured = Vec::new();
    for name in metrics.iter().take(MOST_METRICS) {
        measured.push((names.unique("metric_", &format!("best_{name}")), at(name, &best)));
        measured.push((names.unique("metric_", &format!("last_{name}")), at(name, &last)));
    }
    let mut columns = vec![("trial".to_owned(), integer(&|trial| Some(trial.id.0 as i64)))];
    for name in sweep_report::ranking::setting_names(history) {
        let values = typed(all.iter().map(|trial| trial.settings.get(&name)).collect());
        columns.push((names.unique("setting_", &name), values));
    }
    columns.extend(before.into_iter().chain(measured).chain(after));
    Table { name: "trials", columns }
}

fn epochs(spec: &Spec, history: &History, metrics: &[String]) -> Table {
    let rows: Vec<(i64, u32)> = history
        .trials
        .iter()
        .flat_map(|trial| trial.curve.iter().map(|epoch| (trial.id.0 as i64, epoch.epoch)))
        .collect();
    let mut columns = vec![
        ("trial".to_owned(), Values::Integer(rows.iter().map(|(trial, _)| Some(*trial)).collect())),
        ("epoch".to_owned(), Values::Integer(rows.iter().map(|(_, epoch)| Some((*epoch).into())).collect())),
    ];
    let mut taken = Names::new(["trial", "epoch", "seconds"]);
    for name in metrics {
        let mut values = Vec::with_capacity(rows.len());
        for trial in &history.trials {
            let mut points = record::points(trial, name, &spec.metric.name).peekable();
            values.extend(trial.curve.iter().map(|epoch| {
                // Of each epoch, in the order of the curve.
                while points.next_if(|(at, _)| *at < epoch.epoch).is_some() {}
                points.next_if(|(at, _)| *at == epoch.epoch).map(|(_, value)| value)
            }));
        }
        columns.push((taken.unique("metric_", name), Values::Real(values)));
    }
    let seconds = history.trials.iter().flat_map(|trial| trial.curve.iter().map(|epoch| epoch.seconds));
    columns.push(("seconds".into(), Values::Real(seconds.collect())));
    Table { name: "epochs", columns }
}

/// Names of columns in lowercase, because SQLite does not distinguish `lr` and `LR`.
struct Names(HashSet<String>);

impl Names {
    fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
        Names(names.into_iter().map(str::to_lowercase).collect())
    }

    /// The name, with the prefix repeated until it differs from all others.
    fn unique(&mut self, prefix: &str, name: &str) -> String {
        let mut unique = name.to_owned();
        while !self.0.insert(unique.to_lowercase()) {
            unique.insert_str(0, prefix);
        }
        unique
    }
}

/// The narrowest type for all values. If they are neither all numbers nor all booleans, the type is text.
fn typed(values: Vec<Option<&Value>>) -> Values {
    let values: Vec<Option<&Value>> = values.into_iter().map(|value| value.filter(|value| !value.is_null())).collect();
    let all = |is: fn(&Value) -> bool| values.iter().flatten().all(|value| is(value));
    if all(Value::is_i64) {
        Values::Integer(values.into_iter().map(|value| value?.as_i64()).collect())
    } else if all(Value::is_number) {
        Values::Real(values.into_iter().map(|value| value?.as_f64()).collect())
    } else if all(Value::is_boolean) {
        Values::Truth(values.into_iter().map(|value| value?.as_bool()).collect())
    } else {
        Values::Text(values.into_iter().map(|value| value.map(plain)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_have_the_narrowest_type_and_names_that_differ() {
        let of = |values: &[Value]| typed(values.iter().map(Some).collect());
        assert_eq!(of(&[json!(1), json!(null), json!(3)]), Values::Integer(vec![Some(1), None, Some(3)]));
        assert_eq!(of(&[json!(1), json!(0.5)]), Values::Real(vec![Some(1.0), Some(0.5)]));
        assert_eq!(of(&[json!(true)]), Values::Truth(vec![Some(true)]));
        assert_eq!(of(&[json!("a"), json!(1)]), Values::Text(vec![Some("a".into()), Some("1".into())]));
        let history = sweep_sample::history().altered(|state| {
            let first = &mut state.trials[0].settings;
            first.extend([("Epochs".to_owned(), json!(1)), ("trial".to_owned(), json!("x"))]);
            let values = [("F1", 0.5), ("f1", 0.25)].map(|(name, value)| (name.to_owned(), [(1, value)].into()));
            state.trials[0].others.extend(values);
        });
        let [trials, epochs] = tables(&sweep_sample::spec(), &history);
        let names: Vec<&str> = trials.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..3], ["trial", "learning_rate", "dropout"]);
        assert!(names.contains(&"setting_Epochs") && names.contains(&"setting_trial"), "{names:?}");
        assert!(names.contains(&"best_F1") && names.contains(&"metric_best_f1"), "{names:?}");
        assert!(epochs.columns.iter().any(|(name, _)| name == "metric_f1"));
        assert!(names.contains(&"best_val_loss") && epochs.columns.iter().any(|(name, _)| name == "val_loss"));
    }
}
