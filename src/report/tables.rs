//! `trials.csv` and `epochs.csv`: appended to while the sweep runs, sorted and written anew at its end.
//!
//! A field that is not known is empty. Numbers are in the shortest form that reads back as the same number.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ranking::setting_names;
use crate::error::{Error, Exit, Result};
use crate::history::{History, Status, TrialRecord};
use crate::spec::Spec;
use crate::store::{self, Layout};
use crate::trial::{EpochMetrics, METRICS, Metric, Settings, TrialId};

/// The columns of `trials.csv` after `trial` and the settings, but for those of the best and the last epoch.
const BEFORE: [&str; 4] = ["seed", "status", "epochs", "best_epoch"];
const AFTER: [&str; 5] = ["parameters", "seconds", "device", "attempts", "error"];
const GAPS: [&str; 2] = ["loss_gap", "accuracy_gap"];

/// Both tables of a sweep that runs.
#[derive(Debug)]
pub struct Tables {
    trials: Table,
    epochs: Table,
    columns: Columns,
}

impl Tables {
    /// Writes both anew from what has happened so far and keeps them open. `trials.csv` has only trials that ended:
    /// the others follow when they do.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn open(layout: &Layout, spec: &Spec, history: &History) -> Result<Tables> {
        let columns = Columns::new(spec, history);
        let ended = |trial: &&TrialRecord| matches!(trial.status, Status::Ended(_));
        store::replace(&layout.trials_csv(), &columns.table(history.trials.iter().filter(ended)))?;
        store::replace(&layout.epochs_csv(), &epochs_table(history))?;
        Ok(Tables { trials: Table::append(layout.trials_csv())?, epochs: Table::append(layout.epochs_csv())?, columns })
    }

    /// Appends an epoch. One that is trained again after an interruption appears twice until the sweep's end; the
    /// later row holds.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn epoch(&mut self, trial: &TrialRecord, metrics: &EpochMetrics) -> Result<()> {
        self.epochs.row(&epoch_row(trial.id, metrics))
    }

    /// Appends a trial that is over.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn ended(&mut self, trial: &TrialRecord) -> Result<()> {
        if self.columns.learn(&trial.settings) {
            // A setting that no trial before it had: the rows so far get an empty field for it.
            self.trials.flush()?;
            let widened = self.columns.widened(&self.trials.path)?;
            store::replace(&self.trials.path, &widened)?;
            self.trials = Table::append(self.trials.path.clone())?;
        }
        self.trials.row(&self.columns.row(trial))
    }

    /// Hands what was appended to the kernel, for others to read. Writing that fails is told by the next row.
    pub fn flush(&mut self) {
        let _ = self.trials.flush();
        let _ = self.epochs.flush();
    }
}

/// Writes both tables whole: every trial that was started, by number, and every epoch.
pub(super) fn write(layout: &Layout, spec: &Spec, history: &History) -> Result<()> {
    store::replace(&layout.trials_csv(), &Columns::new(spec, history).table(&history.trials))?;
    store::replace(&layout.epochs_csv(), &epochs_table(history))
}

/// One file, open at its end.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
}

impl Table {
    fn append(path: PathBuf) -> Result<Table> {
        let file = OpenOptions::new().append(true).open(&path).map_err(|error| cannot_write(&path, error))?;
        let writer = csv::WriterBuilder::new().has_headers(false).from_writer(BufWriter::new(file));
        Ok(Table { path, writer })
    }

    fn row(&mut self, fields: &[String]) -> Result<()> {
        self.writer.write_record(fields).map_err(|error| cannot_write(&self.path, error.into()))
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|error| cannot_write(&self.path, error))
    }
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::storage(format!("{} cannot be written", path.display()), error)
}

/// What `trials.csv` has a column for.
#[derive(Debug)]
struct Columns {
    /// Names of settings, in the order in which trials brought them.
    settings: Vec<String>,
    seed: u64,
    metric: Metric,
}

impl Columns {
    fn new(spec: &Spec, history: &History) -> Columns {
        Columns { settings: setting_names(history), seed: spec.seed, metric: spec.metric.clone() }
    }

    /// Whether a setting was new.
    fn learn(&mut self, settings: &Settings) -> bool {
        let before = self.settings.len();
        for name in settings.keys() {
            if !self.settings.contains(name) {
                self.settings.push(name.clone());
            }
        }
        self.settings.len() > before
    }

    /// Unique names: a setting called as one of our own columns gets `setting_` before it.
    fn header(&self) -> Vec<String> {
        let epoch = |when: &'static str| METRICS.iter().chain(&GAPS).map(move |name| format!("{when}_{name}"));
        let own: Vec<String> = (BEFORE.iter().map(|name| name.to_string()))
            .chain(epoch("best"))
            .chain(epoch("last"))
            .chain(AFTER.iter().map(|name| name.to_string()))
            .collect();
        let mut taken: HashSet<String> = own.iter().chain(&self.settings).cloned().collect();
        taken.insert("trial".into());
        let mut header = vec!["trial".to_owned()];
        for setting in &self.settings {
            let mut name = setting.clone();
            if name == "trial" || own.contains(&name) {
                while taken.contains(&name) {
                    name.insert_str(0, "setting_");
                }
                taken.insert(name.clone());
            }
            header.push(name);
        }
        header.extend(own);
        header
    }

    fn row(&self, trial: &TrialRecord) -> Vec<String> {
        let (best, last) = (self.metric.best(&trial.curve), trial.curve.last());
        let mut row = vec![trial.id.0.to_string()];
        row.extend(self.settings.iter().map(|name| trial.settings.get(name).map_or(String::new(), setting)));
        row.extend([
            self.seed.to_string(),
            trial.status.name().to_owned(),
            trial.curve.len().to_string(),
            best.map_or(String::new(), |epoch| epoch.epoch.to_string()),
        ]);
        for epoch in [best, last] {
            row.extend(METRICS.map(|name| number(epoch.and_then(|epoch| epoch.get(name)))));
            row.push(number(epoch.and_then(EpochMetrics::loss_gap)));
            row.push(number(epoch.and_then(EpochMetrics::accuracy_gap)));
        }
        row.extend([
            trial.parameters.map_or(String::new(), |count| count.to_string()),
            number(trial.outcome().map(|_| trial.seconds)),
            trial.slot.clone(),
            trial.attempts.to_string(),
            trial.outcome().and_then(|outcome| outcome.error()).unwrap_or_default(),
        ]);
        row
    }

    fn table<'a>(&self, trials: impl IntoIterator<Item = &'a TrialRecord>) -> Vec<u8> {
        whole(std::iter::once(self.header()).chain(trials.into_iter().map(|trial| self.row(trial))))
    }

    /// The table in `path`, with empty fields where [`Columns::header`] has columns that it lacks: new settings come
    /// after the settings it has.
    fn widened(&self, path: &Path) -> Result<Vec<u8>> {
        let unreadable = |error: csv::Error| {
            Error::new(Exit::Storage, format!("{} cannot be read", path.display()))
                .source(error)
                .hint("nothing but `sweep` may write it while the sweep runs; `sweep resume` makes it anew")
        };
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).map_err(unreadable)?;
        let header = self.header();
        let mut rows = vec![header.clone()];
        for record in reader.records().skip(1) {
            let record = record.map_err(unreadable)?;
            let missing = header.len().saturating_sub(record.len());
            let old = 1 + self.settings.len().saturating_sub(missing);
            let mut row: Vec<String> = record.iter().map(str::to_owned).collect();
            row.splice(old..old, std::iter::repeat_n(String::new(), missing));
            rows.push(row);
        }
        Ok(whole(rows))
    }
}

fn epochs_table(history: &History) -> Vec<u8> {
    let mut header = vec!["trial".to_owned(), "epoch".into(), "learning_rate".into()];
    header.extend(METRICS.map(str::to_owned));
    header.extend(["seconds".into(), "pictures_per_second".into()]);
    let rows = history.trials.iter().flat_map(|trial| trial.curve.iter().map(|epoch| epoch_row(trial.id, epoch)));
    whole(std::iter::once(header).chain(rows))
}

fn epoch_row(trial: TrialId, epoch: &EpochMetrics) -> Vec<String> {
    let mut row = vec![trial.0.to_string(), epoch.epoch.to_string(), number(epoch.learning_rate)];
    row.extend(METRICS.map(|name| number(epoch.get(name))));
    row.extend([number(epoch.seconds), number(epoch.pictures_per_second)]);
    row
}

fn whole(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("memory takes every row, and all rows are as long as the header");
    }
    writer.into_inner().expect("memory takes every row")
}

/// The shortest form that reads back as the same number, and reads back as a fraction: `1.0`, `1e-7`.
fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:?}"))
}

/// Text as it is, without quotes; lists and groups as JSON.
fn setting(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
