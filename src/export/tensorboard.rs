//! A sweep as event files of TensorBoard: one folder per trial with its curves, and the records of the HParams plugin,
//! with which TensorBoard compares trials.
//!
//! The content of a file only grows while a sweep runs, so that TensorBoard can follow it. The field numbers come from
//! tensorflow/core/util/event.proto, framework/summary.proto, and tensorboard/plugins/hparams/{api,plugin_data}.proto.

use serde_json::Value;

use super::record;
use super::wire::Message;
use sweep_core::history::{History, TrialRecord};
use sweep_core::space::Distribution;
use sweep_core::trial::{Outcome, plain};
use sweep_curves::record as framed;
use sweep_spec::Spec;

/// The files of all trials that have started: paths below the folder of the export, and contents.
pub fn files(spec: &Spec, history: &History) -> Vec<(String, Vec<u8>)> {
    let names = record::names(&spec.metric.name, &history.trials);
    let experiment = plugin("_hparams_/experiment", 2, &experiment(spec, history, &names));
    let whole = written(history.began_at, vec![(history.began_at, 0, experiment)]);
    let own =
        |trial: &TrialRecord| (file(&format!("{:04}/", trial.id.0), trial.first_started_at), one(spec, trial, &names));
    std::iter::once((file("", history.began_at), whole)).chain(history.trials.iter().map(own)).collect()
}

/// TensorBoard reads files with this in their names.
fn file(folder: &str, time: f64) -> String {
    format!("{folder}events.out.tfevents.{:010}.sweep", time as u64)
}

/// A trial: its parameters, its curves, and how it ended.
fn one(spec: &Spec, trial: &TrialRecord, names: &[String]) -> Vec<u8> {
    let began = trial.first_started_at;
    let parameters =
        trial.settings.iter().map(|(name, value)| Message::default().bytes(1, name.as_bytes()).message(2, &any(value)));
    let session = parameters.fold(Message::default(), |message, entry| message.message(1, &entry)).double(5, began);
    let mut events = vec![(began, 0, plugin("_hparams_/session_start_info", 3, &session))];
    let mut points: Vec<(u32, &String, f64)> = Vec::new();
    for name in names {
        points.extend(record::points(trial, name, &spec.metric.name).map(|(epoch, value)| (epoch, name, value)));
    }
    points.sort_by_key(|(epoch, ..)| *epoch); // stable: metrics stay in order
    let times = record::times(trial);
    for (epoch, name, value) in points {
        let at = times.range(..=epoch).next_back().map_or(began, |(_, at)| *at);
        let value = Message::default().bytes(1, name.as_bytes()).float(2, value as f32);
        events.push((at, epoch, Message::default().message(1, &value)));
    }
    if let Some(outcome) = trial.outcome() {
        let ended = trial.ended_at.unwrap_or(began);
        let status =
            if matches!(outcome, Outcome::Finished | Outcome::EarlyStopped | Outcome::Stopped { .. }) { 1 } else { 2 };
        let session = Message::default().integer(1, status).double(2, ended);
        events.push((ended, trial.epochs(), plugin("_hparams_/session_end_info", 4, &session)));
    }
    written(began, events)
}

/// The parameters and metrics of the sweep.
fn experiment(spec: &Spec, history: &History, names: &[String]) -> Message {
    let mut message = Message::default().bytes(6, history.name.as_bytes()).double(3, history.began_at);
    for parameter in &spec.space.parameters {
        message = message.message(4, &parameter_info(&parameter.name, &parameter.distribution));
    }
    for name in names {
        let tag = Message::default().bytes(2, name.as_bytes());
        message = message.message(5, &Message::default().message(1, &tag).bytes(3, name.as_bytes()));
    }
    message
}

fn parameter_info(name: &str, distribution: &Distribution) -> Message {
    const STRING: u64 = 1;
    const BOOL: u64 = 2;
    const NUMBER: u64 = 3;
    let message = Message::default().bytes(1, name.as_bytes());
    let values: Vec<Value> = match distribution {
        Distribution::Constant(value) => vec![value.clone()],
        Distribution::Categorical(values) => values.clone(),
        Distribution::Weighted(values) => values.iter().map(|(value, _)| value.clone()).collect(),
        _ => return message.integer(4, NUMBER),
    };
    let kind = match values.as_slice() {
        values if values.iter().all(Value::is_number) => NUMBER,
        values if values.iter().all(Value::is_boolean) => BOOL,
        _ => STRING,
    };
    let list = values.iter().fold(Message::default(), |list, value| {
        // A list of mixed types is one of texts.
        list.message(1, &if kind == STRING { any(&Value::String(plain(value))) } else { any(value) })
    });
    message.integer(4, kind).message(5, &list)
}

/// A `google.protobuf.Value`. Lists and tables are written as text, since the plugin shows only scalars.
fn any(value: &Value) -> Message {
    match value {
        Value::Number(number) => Message::default().double(2, number.as_f64().unwrap_or(f64::NAN)),
        Value::Bool(truth) => Message::default().integer(4, u64::from(*truth)),
        other => Message::default().bytes(3, plain(other).as_bytes()),
    }
}

/// A summary that is meant for the HParams plugin.
fn plugin(tag: &str, field: u32, content: &Message) -> Message {
    let data = Message::default().message(field, content);
    let metadata = Message::default().message(1, &Message::default().bytes(1, b"hparams").bytes(2, &data.0));
    // TensorBoard skips summaries without a value, so there is an empty tensor of floats.
    let tensor = Message::default().integer(1, 1).message(2, &Message::default());
    let value = Message::default().bytes(1, tag.as_bytes()).message(8, &tensor).message(9, &metadata);
    Message::default().message(1, &value)
}

/// A file of these summaries, each with its time and step.
fn written(began: f64, summaries: Vec<(f64, u32, Message)>) -> Vec<u8> {
    let version = Message::default().double(1, began).bytes(3, b"brain.Event:2");
    let mut file = framed(&version.0);
    for (at, step, summary) in summaries {
        let event = Message::default().double(1, at).integer(2, step.into()).message(5, &summary);
        file.extend(framed(&event.0));
    }
    file
}
