//! The table: a row per trial, each with the version in which it last changed. A viewer who knows a version is sent only
//! the rows that changed since.

use serde::Serialize;
use serde_json::Value;

use super::{kind, status};
use crate::insight::Insight;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{EpochMetrics, TrialId};
use sweep_report::format;
use sweep_report::ranking::setting_names;
use sweep_spec::Spec;

/// The rows, in the order of the trials.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<(u64, Box<str>)>,
    /// Names of the parameters, in the order of the values in each row.
    pub names: Vec<String>,
}

/// One row. It is an array, in the order that `row` in `app.js` expects.
#[derive(Serialize)]
struct Row<'a>(
    u64,
    &'a str,
    &'a str,
    Option<f64>,
    Option<u32>,
    u32,
    [Option<f64>; 5],
    f64,
    String,
    u32,
    &'a str,
    Option<String>,
    Option<u32>,
    Vec<Value>,
    Option<String>,
);

impl Rows {
    /// Renders the rows of some trials, or of all.
    pub fn update(
        &mut self,
        version: u64,
        trials: Option<&[TrialId]>,
        spec: &Spec,
        history: &History,
        held: bool,
        insight: &Insight,
    ) {
        let known = self.names.len();
        match trials {
            Some(trials) => {
                let settings =
                    trials.iter().filter_map(|id| history.trial(*id)).flat_map(|trial| trial.settings.keys());
                for name in settings {
                    if !self.names.contains(name) {
                        self.names.push(name.clone());
                    }
                }
            }
            None => self.names = setting_names(history),
        }
        self.rows.resize_with(history.trials.len(), Default::default);
        // A value more in each row: all change.
        let all = trials.is_none() || self.names.len() != known;
        let touched: Vec<usize> = match trials {
            Some(trials) if !all => {
                let mut touched: Vec<usize> = trials.iter().map(|id| id.0 as usize - 1).collect();
                touched.sort_unstable();
                touched.dedup();
                touched
            }
            _ => (0..history.trials.len()).collect(),
        };
        for at in touched {
            if let Some(trial) = history.trials.get(at) {
                let tag = history.steering.tags.get(&trial.id).map(|tag| format::clean(tag));
                let row = row(spec, trial, held, insight, &self.names, tag);
                self.rows[at] = (version, serde_json::to_string(&row).expect("it has no map").into());
            }
        }
    }

    /// The rows that changed after a version, as a JSON array.
    pub fn since(&self, version: u64) -> String {
        let changed = self.rows.iter().filter(|(changed, _)| *changed > version);
        let rows: Vec<&str> = changed.map(|(_, row)| &**row).collect();
        format!("[{}]", rows.join(","))
    }
}

fn row<'a>(
    spec: &Spec,
    trial: &'a TrialRecord,
    held: bool,
    insight: &'a Insight,
    names: &[String],
    tag: Option<String>,
) -> Row<'a> {
    let best = spec.metric.best(&trial.curve);
    let of = |value: fn(&EpochMetrics) -> Option<f64>| best.and_then(value);
    let at = trial.id.0 as usize - 1;
    Row(
        trial.id.0,
        status(trial, held),
        kind(trial),
        best.and_then(|best| best.get(&spec.metric.name)),
        best.map(|best| best.epoch),
        trial.epochs(),
        [
            of(|best| best.val_loss),
            of(|best| best.val_accuracy),
            of(|best| best.train_eval_accuracy),
            of(EpochMetrics::loss_gap),
            of(EpochMetrics::accuracy_gap),
        ],
        trial.seconds,
        format::clean(&trial.slot),
        trial.attempts,
        insight.labels.get(at).map_or("", String::as_str),
        trial.outcome().and_then(|outcome| outcome.error()).map(|error| format::clean(&error)),
        insight.onsets.get(at).copied().flatten(),
        names.iter().map(|name| trial.settings.get(name).map_or(Value::Null, value)).collect(),
        tag,
    )
}

/// A number as it is, and anything else as text.
fn value(value: &Value) -> Value {
    if value.is_number() { value.clone() } else { format::setting(value).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_changed_are_sent_again() {
        let (spec, history) = (sweep_sample::spec(), sweep_sample::history());
        let mut rows = Rows::default();
        rows.update(1, None, &spec, &history, false, &Insight::default());
        let count = |text: String| serde_json::from_str::<Value>(&text).expect("JSON").as_array().expect("rows").len();
        assert_eq!((count(rows.since(0)), count(rows.since(1))), (6, 0));
        rows.update(2, Some(&[TrialId(3), TrialId(3)]), &spec, &history, false, &Insight::default());
        assert_eq!((count(rows.since(1)), count(rows.since(2))), (1, 0));
    }
}
