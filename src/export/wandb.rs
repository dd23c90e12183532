//! Trials as folders of offline runs, which `wandb sync` uploads.
//!
//! A folder has one file, which begins with 7 bytes (`:W&B`, 0xe1be, 0). A LevelDB log follows: blocks of 32 KiB with chunks
//! of crc32 (4 bytes), length (2), type (1: whole, 2: first, 3: middle, 4: last), and data. Each record is a protobuf
//! message; the numbers come from wandb/proto/wandb_internal.proto.

use serde_json::{Value, json};

use super::record;
use super::time::compact;
use super::wire::Message;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::Outcome;
use sweep_spec::Spec;

const BLOCK: usize = 32 << 10;
/// Bytes before the data of a chunk.
const HEAD: usize = 7;

/// The files of all trials that have ended: paths below the folder of the export, and contents. Run IDs stay the same, so
/// that a second `wandb sync` does not make other runs.
pub fn files(spec: &Spec, history: &History) -> Vec<(String, Vec<u8>)> {
    let (identity, names) = (record::identity(history), record::names(&spec.metric.name, &history.trials));
    let ended = history.trials.iter().filter(|trial| trial.outcome().is_some());
    let file = |trial: &TrialRecord| {
        let id = format!("{}-{:04}", &identity[..8], trial.id.0);
        let began = compact(trial.first_started_at);
        (format!("offline-run-{began}-{id}/run-{id}.wandb"), logged(&records(spec, history, trial, &names, &id)))
    };
    ended.map(file).collect()
}

/// The records of a run: that it begins, its rows, its summary, and that it ends.
fn records(spec: &Spec, history: &History, trial: &TrialRecord, names: &[String], id: &str) -> Vec<Message> {
    let began = trial.first_started_at;
    let parameters = trial.settings.iter().map(|(name, value)| (name.clone(), value.clone()));
    let parameters: Vec<(String, Value)> = parameters.collect();
    let outcome = trial.outcome();
    let error = outcome.and_then(Outcome::error);
    let whole = Message::default().integer(1, began as u64).integer(2, (began.fract() * 1e9) as u64);
    let mut run = Message::default()
        .bytes(1, id.as_bytes())
        .bytes(3, history.name.as_bytes())
        .message(4, &items(&parameters))
        .bytes(6, history.name.as_bytes())
        .bytes(7, b"trial")
        .bytes(8, format!("trial {}", trial.id).as_bytes());
    if let Some(error) = &error {
        run = run.bytes(9, error.as_bytes());
    }
    run = run.bytes(10, trial.status.name().as_bytes()).message(17, &whole);
    let mut records = vec![(21, Message::default()), (17, run)];
    let mut summary: Vec<(String, Value)> = Vec::new();
    for (row, number) in rows(spec, trial, names).into_iter().zip(0..) {
        let step = Message::default().integer(1, number);
        records.push((2, items(&row).message(2, &step)));
        for (name, value) in row {
            match summary.iter_mut().find(|(known, _)| *known == name) {
                Some((_, last)) => *last = value,
                None => summary.push((name, value)),
            }
        }
    }
    let metric = &spec.metric.name;
    if let Some(best) = spec.metric.best(&trial.curve) {
        summary.push((format!("best_{metric}"), best.get(metric).into()));
        summary.push(("best_epoch".into(), best.epoch.into()));
    }
    summary.push(("trial".into(), trial.id.0.into()));
    records.push((3, items(&summary)));
    let exit = Message::default().integer(1, u64::from(error.is_some())).integer(2, trial.seconds as u64);
    records.extend([(18, exit), (22, Message::default())]);
    let numbered = records.into_iter().zip(1..);
    numbered.map(|((field, content), number)| Message::default().integer(1, number).message(field, &content)).collect()
}

/// What was logged at each epoch.
fn rows(spec: &Spec, trial: &TrialRecord, names: &[String]) -> Vec<Vec<(String, Value)>> {
    let times = record::times(trial);
    let mut curves: Vec<_> =
        names.iter().map(|name| (name, record::points(trial, name, &spec.metric.name).peekable())).collect();
    let mut rows = Vec::with_capacity(trial.curve.len());
    for (step, epoch) in trial.curve.iter().map(|epoch| epoch.epoch).enumerate() {
        let at = times.get(&epoch).copied().unwrap_or(trial.first_started_at);
        let mut row = vec![("epoch".to_owned(), json!(epoch))];
        for (name, points) in &mut curves {
            while points.next_if(|(at, _)| *at < epoch).is_some() {}
            row.extend(points.next_if(|(at, _)| *at == epoch).map(|(_, value)| ((*name).clone(), json!(value))));
        }
        let own = [("_step", json!(step)), ("_timestamp", json!(at)), ("_runtime", json!(at - trial.first_started_at))];
        row.extend(own.map(|(name, value)| (name.to_owned(), value)));
        rows.push(row);
    }
    rows
}

/// Names with values as JSON, as they are in a history, a summary and a configuration.
fn items(pairs: &[(String, Value)]) -> Message {
    pairs.iter().fold(Message::default(), |message, (name, value)| {
        let item = Message::default().bytes(1, name.as_bytes()).bytes(16, value.to_string().as_bytes());
        message.message(1, &item)
    })
}

/// A file of these records.
fn logged(records: &[Message]) -> Vec<u8> {
    let mut file = vec![b':', b'W', b'&', b'B', 0xe1, 0xbe, 0];
    for Message(record) in records {
        let (mut rest, mut is_first) = (record.as_slice(), true);
        loop {
            let left = BLOCK - file.len() % BLOCK;
            if left < HEAD {
                file.resize(file.len() + left, 0);
                continue;
            }
            let (data, after) = rest.split_at(rest.len().min(left - HEAD));
            let kind: u8 = match (is_first, after.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            let mut crc = crc32fast::Hasher::new();
            crc.update(&[kind]);
            crc.update(data);
            file.extend(crc.finalize().to_le_bytes());
            file.extend((data.len() as u16).to_le_bytes());
            file.push(kind);
            file.extend(data);
            (rest, is_first) = (after, false);
            if rest.is_empty() {
                break;
            }
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_reader_of_such_files_finds_every_value() {
        let (spec, history) = (sweep_sample::spec(), sweep_sample::many(40));
        let files = files(&spec, &history);
        assert_eq!(files.len(), 40);
        for ((path, bytes), trial) in files.iter().zip(&history.trials) {
            assert!(path.ends_with(&format!("-{:04}.wandb", trial.id.0)), "{path}");
            let source = sweep_curves::Source { name: path.clone(), prefix: None, bytes: bytes.clone() };
            let (_, rows) = sweep_curves::rows(&source).unwrap_or_else(|_| panic!("{path} is not read"));
            let read: Vec<f64> = rows
                .iter()
                .flat_map(|row| row.values.iter().filter(|(name, _)| name == "val_loss").map(|(_, value)| *value))
                .collect();
            assert_eq!(read, trial.curve.iter().filter_map(|epoch| epoch.val_loss).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_record_longer_than_a_block_is_cut() {
        let long = Message::default().bytes(1, &[b'x'; 3 * BLOCK]);
        let file = logged(&[Message::default(), long.clone()]);
        assert_eq!(file.len(), HEAD + HEAD + long.0.len() + 4 * HEAD);
    }
}
