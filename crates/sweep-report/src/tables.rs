//! `trials.csv` and `epochs.csv`: appended to while the sweep runs, then sorted and rewritten at its end.
//!
//! A field with an unknown value is empty. Numbers are in the shortest form that parses to the same number.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ranking::setting_names;
use super::tradeoff::Tradeoff;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::trial::{EpochMetrics, METRICS, MOST_OTHERS, Metric, Settings, TrialId};
use sweep_spec::Spec;
use sweep_store::Layout;

/// The columns of `trials.csv` after `trial` and the parameters, except those of the best and the last epoch.
const BEFORE: [&str; 5] = ["seed", "repeat", "status", "epochs", "best_epoch"];
const AFTER: [&str; 7] = ["parameters", "seconds", "energy_kj", "device", "attempts", "tag", "error"];
/// The column that says whether a trial is on the Pareto front. While the sweep runs, it is empty for new trials.
const PARETO: &str = "pareto";
/// The column with the stage of a trial, in a sweep with stages.
const STAGE: &str = "stage";
const GAPS: [&str; 2] = ["loss_gap", "accuracy_gap"];

/// Both tables of a running sweep.
#[derive(Debug)]
pub struct Tables {
    trials: Table,
    epochs: Table,
    columns: Columns,
}

impl Tables {
    /// Rewrites both tables from the history so far and keeps them open. `trials.csv` contains only trials that ended;
    /// the others are appended when they end.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn open(layout: &Layout, spec: &Spec, history: &History) -> Result<Tables> {
        let columns = Columns::new(spec, history);
        let ended = |trial: &&TrialRecord| matches!(trial.status, Status::Ended(_));
        sweep_store::replace(&layout.trials_csv(), &columns.table(history.trials.iter().filter(ended)))?;
        sweep_store::replace(&layout.epochs_csv(), &columns.epochs_table(history))?;
        Ok(Tables { trials: Table::append(layout.trials_csv())?, epochs: Table::append(layout.epochs_csv())?, columns })
    }

    /// Appends an epoch. An epoch that is repeated after an interruption appears twice until the end of the sweep. The
    /// later row is valid.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn epoch(&mut self, trial: &TrialRecord, metrics: &EpochMetrics) -> Result<()> {
        if self.columns.measure(trial) {
            self.widen()?;
        }
        self.epochs.row(&self.columns.epoch_row(trial, metrics))
    }

    /// Appends a trial that is over.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn ended(&mut self, trial: &TrialRecord) -> Result<()> {
        if self.columns.learn(&trial.settings) | self.columns.measure(trial) {
            self.widen()?;
        }
        self.trials.row(&self.columns.row(trial))
    }

    /// Adds a new column. The rows so far get an empty field for it.
    fn widen(&mut self) -> Result<()> {
        self.trials.widen(&self.columns.header())?;
        self.epochs.widen(&self.columns.epochs_header())
    }

    /// Hands appended rows to the kernel, so that other processes can read them. The next append reports a write error.
    pub fn flush(&mut self) {
        let _ = self.trials.flush();
        let _ = self.epochs.flush();
    }
}

/// Rewrites both tables: every started trial by number, and every epoch.
pub(super) fn write(layout: &Layout, spec: &Spec, history: &History) -> Result<()> {
    let columns = Columns::new(spec, history);
    sweep_store::replace(&layout.trials_csv(), &columns.table(&history.trials))?;
    sweep_store::replace(&layout.epochs_csv(), &columns.epochs_table(history))
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

    /// Rewrites the table under this header. A row gets an empty field in every new column.
    fn widen(&mut self, header: &[String]) -> Result<()> {
        self.flush()?;
        let unreadable = |error: csv::Error| {
            Error::new(Exit::Storage, format!("{} cannot be read", self.path.display()))
                .source(error)
                .hint("only `sweep` may write it while the sweep runs; `sweep resume` writes it again")
        };
        let mut reader = csv::Reader::from_path(&self.path).map_err(unreadable)?;
        let old = reader.headers().map_err(unreadable)?.clone();
        if old.iter().eq(header) {
            return Ok(());
        }
        let places: Vec<_> = header.iter().map(|name| old.iter().position(|other| other == name)).collect();
        let mut rows = vec![header.to_vec()];
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let field = |place: &Option<usize>| place.and_then(|at| record.get(at)).unwrap_or_default().to_owned();
            rows.push(places.iter().map(field).collect());
        }
        sweep_store::replace(&self.path, &whole(rows))?;
        *self = Table::append(self.path.clone())?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|error| cannot_write(&self.path, error))
    }
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::storage(format!("{} cannot be written", path.display()), error)
}

/// The columns of `trials.csv` that depend on the trials.
#[derive(Debug)]
struct Columns {
    /// Parameter names, in order of appearance.
    settings: Vec<String>,
    /// Names of custom metrics, in order of appearance, at most [`MOST_OTHERS`].
    others: Vec<String>,
    /// Tags that the user gave to trials.
    tags: BTreeMap<TrialId, String>,
    seed: u64,
    metric: Metric,
    /// Number of trials begun before each stage, with the number of the stage. Empty for a sweep without stages.
    stages: Vec<(usize, u32)>,
    /// For each compared trial, whether it is on the Pareto front. `None` for a sweep with one metric.
    pareto: Option<HashMap<TrialId, bool>>,
}

impl Columns {
    fn new(spec: &Spec, history: &History) -> Columns {
        let (settings, others) = (setting_names(history), Vec::new());
        let pareto = Tradeoff::new(spec, history).map(|tradeoff| {
            let trials = tradeoff.trials.iter().map(|(trial, _)| trial.id);
            trials.zip(tradeoff.on_front.iter().copied()).collect()
        });
        let tags = history.steering.tags.clone();
        let begun = history.extensions.iter().filter_map(|one| Some((one.begun, one.stage.as_ref()?.number)));
        let first = (!spec.stages.is_empty() || history.stage() > 1).then_some((0, 1));
        let stages = first.into_iter().chain(begun).collect();
        let metric = spec.metric.clone();
        let mut columns = Columns { settings, others, tags, seed: spec.seed, metric, stages, pareto };
        for trial in &history.trials {
            columns.measure(trial);
        }
        columns
    }

    /// Adds the trial's metrics. Returns whether one of them was new.
    fn measure(&mut self, trial: &TrialRecord) -> bool {
        let before = self.others.len();
        for name in trial.others.keys() {
            if self.others.len() < MOST_OTHERS && !self.others.contains(name) {
                self.others.push(name.clone());
            }
        }
        self.others.len() > before
    }

    /// Adds the trial's parameters. Returns whether one of them was new.
    fn learn(&mut self, settings: &Settings) -> bool {
        let before = self.settings.len();
        for name in settings.keys() {
            if !self.settings.contains(name) {
                self.settings.push(name.clone());
            }
        }
        self.settings.len() > before
    }

    /// The header, with unique names. A parameter with the name of a fixed column gets the prefix `setting_`.
    fn header(&self) -> Vec<String> {
        let epoch = |when: &'static str| METRICS.iter().chain(&GAPS).map(move |name| format!("{when}_{name}"));
        let own_names: Vec<String> = (BEFORE.iter().map(|name| name.to_string()))
            .chain(epoch("best"))
            .chain(epoch("last"))
            .chain(AFTER.iter().map(|name| name.to_string()))
            .chain(own(&self.metric).map(|name| format!("best_{name}")))
            .chain((!self.stages.is_empty()).then(|| STAGE.to_owned()))
            .chain(self.pareto.is_some().then(|| PARETO.to_owned()))
            .chain(self.others.iter().flat_map(|name| ["best", "last"].map(|when| format!("{when}_{name}"))))
            .collect();
        let mut taken: HashSet<String> = own_names.iter().chain(&self.settings).cloned().collect();
        taken.insert("trial".into());
        let mut header = vec!["trial".to_owned()];
        for setting in &self.settings {
            let mut name = setting.clone();
            if name == "trial" || own_names.contains(&name) {
                while taken.contains(&name) {
                    name.insert_str(0, "setting_");
                }
                taken.insert(name.clone());
            }
            header.push(name);
        }
        header.extend(own_names);
        header
    }

    fn row(&self, trial: &TrialRecord) -> Vec<String> {
        let (best, last) = (self.metric.best(&trial.curve), trial.curve.last());
        let mut row = vec![trial.id.0.to_string()];
        row.extend(self.settings.iter().map(|name| trial.settings.get(name).map_or(String::new(), setting)));
        row.extend([
            trial.seed.unwrap_or(self.seed).to_string(),
            trial.repeat.to_string(),
            trial.status.name().to_owned(),
            trial.epochs().to_string(),
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
            number(trial.joules.map(|joules| joules.round() / 1e3)),
            trial.slot.clone(),
            trial.attempts.to_string(),
            self.tags.get(&trial.id).map_or(String::new(), |tag| harmless(tag)),
            harmless(&trial.outcome().and_then(|outcome| outcome.error()).unwrap_or_default()),
        ]);
        row.extend(own(&self.metric).map(|name| number(best.and_then(|epoch| epoch.get(name)))));
        let stage = self.stages.iter().rfind(|(begun, _)| trial.id.0 > *begun as u64);
        row.extend(stage.map(|(_, number)| number.to_string()));
        let on_front = |fronts: &HashMap<TrialId, bool>| fronts.get(&trial.id).map_or(String::new(), bool::to_string);
        row.extend(self.pareto.as_ref().map(on_front));
        row.extend(
            self.others.iter().flat_map(|name| {
                [best, last].map(|epoch| number(epoch.and_then(|epoch| trial.other(name, epoch.epoch))))
            }),
        );
        row
    }

    fn table<'a>(&self, trials: impl IntoIterator<Item = &'a TrialRecord>) -> Vec<u8> {
        whole(std::iter::once(self.header()).chain(trials.into_iter().map(|trial| self.row(trial))))
    }

    fn epochs_header(&self) -> Vec<String> {
        let mut header = vec!["trial".to_owned(), "epoch".into(), "learning_rate".into()];
        header.extend(METRICS.map(str::to_owned));
        header.extend(["seconds".into(), "pictures_per_second".into()]);
        header.extend(own(&self.metric).map(str::to_owned));
        header.extend(
            self.others.iter().map(|name| if name == "trial" { format!("metric_{name}") } else { harmless(name) }),
        );
        header
    }

    fn epoch_row(&self, trial: &TrialRecord, epoch: &EpochMetrics) -> Vec<String> {
        let mut row = vec![trial.id.0.to_string(), epoch.epoch.to_string(), number(epoch.learning_rate)];
        row.extend(METRICS.map(|name| number(epoch.get(name))));
        row.extend([number(epoch.seconds), number(epoch.pictures_per_second)]);
        row.extend(own(&self.metric).map(|name| number(epoch.get(name))));
        row.extend(self.others.iter().map(|name| number(trial.other(name, epoch.epoch))));
        row
    }

    fn epochs_table(&self, history: &History) -> Vec<u8> {
        let rows = history.trials.iter().flat_map(|trial| trial.curve.iter().map(|epoch| self.epoch_row(trial, epoch)));
        whole(std::iter::once(self.epochs_header()).chain(rows))
    }
}

/// The metric's name, if no fixed column exists for it.
fn own(metric: &Metric) -> Option<&str> {
    Some(metric.name.as_str()).filter(|name| !METRICS.contains(name))
}

fn whole(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("memory takes every row, and all rows are as long as the header");
    }
    writer.into_inner().expect("memory takes every row")
}

/// Formats a number in the shortest form that parses to the same float: `1.0`, `1e-7`.
fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:?}"))
}

/// Formats a parameter's value: text without quotes, lists and groups as JSON.
fn setting(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// Text that a spreadsheet would run as a formula begins with an apostrophe. Characters that begin commands to a terminal
/// become spaces.
fn harmless(text: &str) -> String {
    let is_command = |char: char| char.is_control() && !matches!(char, '\t' | '\n' | '\r');
    let text: String = text.chars().map(|char| if is_command(char) { ' ' } else { char }).collect();
    let is_number = text.parse::<f64>().is_ok();
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;
    use sweep_core::history::Entry;
    use sweep_core::trial::{Attempt, Outcome};

    fn rows(path: &Path) -> Vec<csv::StringRecord> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
        reader.records().map(|record| record.unwrap()).collect()
    }

    /// The values of these columns, by name.
    fn columns(path: &Path, names: &[&str]) -> Vec<Vec<String>> {
        let rows = rows(path);
        let at = |name: &&str| rows[0].iter().position(|column| column == *name).unwrap();
        rows[1..].iter().map(|row| names.iter().map(|name| row[at(name)].to_owned()).collect()).collect()
    }

    /// Appends a sweep's entries as the controller does while it runs.
    fn live(layout: &Layout, entries: &[Entry]) -> History {
        let spec = sweep_sample::spec();
        let mut history = History::default();
        let mut tables: Option<Tables> = None;
        for entry in entries {
            history.apply(entry).unwrap();
            match (entry, &mut tables) {
                (Entry::Run { .. }, _) => tables = Some(Tables::open(layout, &spec, &history).unwrap()),
                (Entry::Epoch { attempt, metrics, .. }, Some(tables)) => {
                    tables.epoch(history.trial(attempt.trial).unwrap(), metrics).unwrap();
                }
                (Entry::Ended { attempt, .. }, Some(tables)) => {
                    tables.ended(history.trial(attempt.trial).unwrap()).unwrap();
                }
                _ => {}
            }
        }
        tables.unwrap().flush();
        history
    }

    #[test]
    fn rows_come_while_the_sweep_runs_and_equal_those_of_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let history = live(&layout, &sweep_sample::entries());
        let appended = (rows(&layout.trials_csv()), rows(&layout.epochs_csv()));
        write(&layout, &sweep_sample::spec(), &history).unwrap();
        assert_eq!(appended, (rows(&layout.trials_csv()), rows(&layout.epochs_csv())));
        assert_eq!((appended.0.len(), appended.1.len()), (1 + 6, 1 + 20 * 3 + 14 + 3));
    }

    /// Two trials. The first is interrupted in its sixth epoch and resumes from its fourth.
    fn interrupted() -> Vec<Entry> {
        let settings = sweep_sample::settings(json!({"dropout": 0.2}));
        let paused = Attempt { trial: TrialId(1), number: 1 };
        let mut entries = sweep_sample::beginning("sample");
        entries.extend(sweep_sample::attempt(1, 1, &settings, 0, 6));
        entries.push(Entry::Paused { at: 130.0, attempt: paused, unsaved: None, later: false, signal: None });
        entries.push(sweep_sample::run(140.0));
        entries.extend(sweep_sample::attempt(1, 2, &settings, 4, 9));
        entries.push(sweep_sample::ended(1, 2, Outcome::Finished));
        entries.extend(sweep_sample::attempt(2, 1, &settings, 0, 9));
        entries.push(sweep_sample::ended(2, 1, Outcome::Finished));
        entries
    }

    #[test]
    fn an_interruption_leaves_no_trace_but_in_times_devices_and_attempts() {
        let settings = sweep_sample::settings(json!({"dropout": 0.2}));
        let mut straight = sweep_sample::beginning("sample");
        for trial in 1..=2 {
            straight.extend(sweep_sample::attempt(trial, 1, &settings, 0, 9));
            straight.push(sweep_sample::ended(trial, 1, Outcome::Finished));
        }
        let tables = [straight, interrupted()].map(|entries| {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path());
            let history = live(&layout, &entries);
            write(&layout, &sweep_sample::spec(), &history).unwrap();
            let without = |path: &Path, left_out: &[&str]| {
                let header = rows(path)[0].clone();
                let names: Vec<_> = header.iter().filter(|name| !left_out.contains(name)).collect();
                (names.join(","), columns(path, &names))
            };
            (
                without(&layout.trials_csv(), &["seconds", "device", "attempts"]),
                without(&layout.epochs_csv(), &["seconds", "pictures_per_second"]),
            )
        });
        assert_eq!(tables[0], tables[1]);
        assert_eq!(tables[0].1.1.len(), 18);
    }

    #[test]
    fn a_setting_that_comes_late_widens_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let mut entries = sweep_sample::beginning("late");
        for (number, settings) in [json!({"a": 1}), json!({"a": 2, "b": "x"}), json!({"c": true})].iter().enumerate() {
            let number = number as u64 + 1;
            entries.extend(sweep_sample::attempt(number, 1, &sweep_sample::settings(settings.clone()), 0, 1));
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        let history = live(&layout, &entries);
        let expected =
            [["1", "1", "", "", "finished"], ["2", "2", "x", "", "finished"], ["3", "", "", "true", "finished"]];
        assert_eq!(columns(&layout.trials_csv(), &["trial", "a", "b", "c", "status"]), expected);
        let appended = rows(&layout.trials_csv());
        write(&layout, &sweep_sample::spec(), &history).unwrap();
        assert_eq!(appended, rows(&layout.trials_csv()));
    }

    #[test]
    fn a_setting_named_as_a_column_is_told_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let settings =
            json!({"epochs": 30, "setting_epochs": 1, "trial": "x", "seed": 4, "optimizer": {"type": "sgd"}});
        let mut entries = sweep_sample::beginning("collide");
        entries.extend(sweep_sample::attempt(1, 1, &sweep_sample::settings(settings), 0, 2));
        entries.push(sweep_sample::ended(1, 1, Outcome::Finished));
        live(&layout, &entries);
        let header: Vec<String> = rows(&layout.trials_csv())[0].iter().map(str::to_owned).collect();
        let settings = ["setting_setting_epochs", "setting_epochs", "setting_trial", "setting_seed", "optimizer"]
            .map(str::to_owned);
        assert_eq!(header[1..6], settings);
        assert_eq!(header.iter().collect::<HashSet<_>>().len(), header.len());
        assert_eq!(columns(&layout.trials_csv(), &["epochs", "seed", "optimizer"]), [["2", "7", r#"{"type":"sgd"}"#]]);
    }

    #[test]
    fn no_cell_is_a_formula_to_a_spreadsheet() {
        for text in ["=1+1", "+cmd", "-x", "@sum", "\t=1"] {
            assert_eq!(setting(&json!(text)), format!("'{text}"));
        }
        assert_eq!(["-1", "+1e-4", "adam", ""].map(|text| setting(&json!(text))), ["-1", "+1e-4", "adam", ""]);
        assert_eq!(setting(&json!("\u{1b}[31mred")), " [31mred");
    }

    #[test]
    fn numbers_are_written_so_that_they_read_back_the_same() {
        for value in [0.1 + 0.2, 1.0, 1e-300, f64::MAX, -0.0, 123_456_789.123_456_79] {
            assert_eq!(number(Some(value)).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
        assert_eq!([Some(1.0), Some(1e-7), None].map(number), ["1.0", "1e-7", ""]);
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn pandas_reads_both_tables_with_the_right_types() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        write(&layout, &sweep_sample::spec(), &sweep_sample::history()).unwrap();
        let program = "import sys, pandas
trials, epochs = (pandas.read_csv(path) for path in sys.argv[1:])
print(*(f'{n}:{t}' for n, t in trials.dtypes.items()))
print(*(f'{n}:{t}' for n, t in epochs.dtypes.items()))
print(len(trials), len(epochs), repr(float(epochs.val_loss.iloc[0])), trials.error.iloc[5])";
        let named = std::env::var("PYTHON").ok();
        let installed = format!("{}/.venv-programs/bin/python", concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let pythons = named.into_iter().chain(["python3".to_owned(), installed]);
        let output = pythons
            .filter_map(|python| {
                let paths = [layout.trials_csv(), layout.epochs_csv()];
                Command::new(python).args(["-c", program]).args(paths).output().ok()
            })
            .find(|output| output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("No module"));
        let Some(output) = output else {
            eprintln!("skipped: there is no python with pandas; set PYTHON to one");
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let types: HashSet<&str> = said.split_whitespace().collect();
        for expected in [
            "trial:int64",
            "learning_rate:float64",
            "dropout:float64",
            "batch_norm:bool",
            "seed:int64",
            "repeat:int64",
            "epochs:int64",
            "best_val_loss:float64",
            "last_accuracy_gap:float64",
            "seconds:float64",
            "attempts:int64",
            "epoch:int64",
            "pictures_per_second:float64",
        ] {
            assert!(types.contains(expected), "{expected} in {said}");
        }
        let first = sweep_sample::epoch(1, 1, 0.0).val_loss.unwrap();
        assert!(said.contains(&format!("6 77 {first:?} the trainer was ended by signal 9")), "{said}");
    }
}
