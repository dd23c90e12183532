//! What a program prints or writes, read as epochs. Pure.
//!
//! Rows that give the same `epoch` are one epoch, under the program's own number. Rows without one belong to the next row
//! that has the metric, which is the next epoch where the program gives no numbers at all.

mod naming;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use sweep_core::trial::{Attempt, EpochMetrics, METRICS, MOST_OTHERS, Others, Outcome};
use sweep_curves::{Target, is_no_number, json_object, meaning};
use sweep_scheduler::schedule::FromProgram;

use naming::Naming;

/// What a line has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// What the scheduler is told.
    Message(Box<FromProgram>),
    /// The metric that counts is no number any more.
    Diverged(Outcome),
}

/// What the journal has of a trial when an attempt begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// The last epoch; 0 where there is none.
    pub last: u32,
    /// Whether the program counts its epochs from 0. Epochs are counted from 1 here.
    pub from_zero: bool,
    /// Bytes of the metrics file whose rows are in the journal.
    pub read: u64,
}

/// Numbers by name. A row of metrics, or a sum of several.
type Values = BTreeMap<String, f64>;

/// Means of numbers, as sums and counts.
#[derive(Debug, Default)]
struct Means(BTreeMap<String, (f64, f64)>);

impl Means {
    fn add(&mut self, values: &Values) {
        for (name, value) in values.iter().filter(|(_, value)| value.is_finite()) {
            let (sum, count) = self.0.entry(name.clone()).or_default();
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
    }

    fn values(&self) -> impl Iterator<Item = (String, f64)> {
        self.0.iter().map(|(name, (sum, count))| (name.clone(), sum / count))
    }
}

/// Where a row comes from. If several report the metric, the greatest one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Text that the script prints for people.
    Text,
    /// TensorBoard's writer, which other libraries use, too.
    Writer,
    /// A library that trains, and knows its epochs.
    Library,
    /// A library for tracking experiments: the script chose what to log.
    Tracker,
    /// JSON that the script prints, or the file that `metrics_file` names.
    Own,
}

/// What a row says beside its numbers.
#[derive(Debug, Clone)]
struct From {
    rank: Rank,
    /// In words, for the user: `wandb.log`, `the printed text`.
    name: String,
    /// Rows of one number belong together.
    row: Option<u64>,
}

impl From {
    fn own(name: &str) -> From {
        From { rank: Rank::Own, name: name.to_owned(), row: None }
    }

    /// Of a row that may say it. If it does not, it is the script's own.
    fn of(object: &Map<String, Json>, own: &str) -> From {
        let Some(name) = object.get("_from").and_then(Json::as_str) else { return From::own(own) };
        let rank = match name {
            PRINTED_TEXT => Rank::Text,
            "TensorBoard" => Rank::Writer,
            name if TRACKERS.contains(&name) => Rank::Tracker,
            _ => Rank::Library,
        };
        From { rank, name: name.to_owned(), row: object.get("_row").and_then(Json::as_u64) }
    }
}

/// An epoch while its rows come.
#[derive(Debug, Default)]
struct Current {
    /// By the program's count.
    number: u32,
    /// Of rows without the metric.
    steps: Means,
    /// Of rows with the metric: the last value.
    firm: Values,
    /// Whether there is more than was told.
    untold: bool,
    /// The last row of a library that numbers its rows.
    row: Option<(Rank, u64)>,
}

/// The lines of one attempt so far.
#[derive(Debug)]
pub struct Reading {
    attempt: Attempt,
    metric: String,
    known: Known,
    /// Whether the rows that come are of an earlier attempt, which died before they were read.
    catching_up: bool,
    /// Whether the next epoch is the first of an attempt.
    fresh: bool,
    current: Option<Current>,
    /// Of rows without an epoch since the last row with the metric.
    steps: Means,
    header: Option<csv::StringRecord>,
    /// The start of a CSV row whose quotes are open.
    open: Vec<u8>,
    /// Bytes of the file up to the row that is read, and with it.
    place: Option<(u64, u64)>,
    /// All names of numbers other than [`METRICS`], [`MOST_OTHERS`] at most.
    names: BTreeSet<String>,
    /// Some of the names beyond that.
    left_out: BTreeSet<String>,
    /// What stood under the metric's name in place of a number.
    odd: Option<String>,
    /// Whether the metric was told.
    measured: bool,
    /// Epochs that this attempt has told.
    epochs: u32,
    naming: Naming,
    /// Number of epochs that the program means to train, and whether that was told.
    planned: Option<(u32, bool)>,
    /// Where the metric was found so far.
    source: Option<From>,
    /// That, until it is told.
    new_source: Option<String>,
    /// Whether a library said that it will report.
    announced: bool,
    /// Rows of printed text with the metric, while a library that was announced has not reported it.
    latent: Vec<(Values, From)>,
    /// What the script cannot do here, in its own words.
    problems: Vec<String>,
    /// What the script's own rows name as their origin.
    own: &'static str,
    /// Sentences for the log about where the metric was found.
    notes: Vec<String>,
}

impl Reading {
    /// Of an attempt at a trial of which the journal has that much. With `catching_up`, the first rows are of an earlier
    /// attempt, until [`Reading::begin`].
    pub fn new(attempt: Attempt, known: Known, metric: &str, catching_up: bool) -> Reading {
        Reading {
            attempt,
            metric: metric.to_owned(),
            known,
            catching_up,
            fresh: true,
            current: None,
            steps: Means::default(),
            header: None,
            open: Vec::new(),
            place: None,
            names: BTreeSet::new(),
            left_out: BTreeSet::new(),
            odd: None,
            measured: false,
            epochs: 0,
            naming: Naming::new(metric),
            planned: None,
            source: None,
            new_source: None,
            announced: false,
            latent: Vec::new(),
            problems: Vec::new(),
            own: "the printed JSON",
            notes: Vec::new(),
        }
    }

    /// The rows come from a file that the script writes.
    pub fn is_of_file(&mut self) {
        self.own = METRICS_FILE;
    }

    /// The file is another one now: its rows are read from its beginning.
    pub fn restart(&mut self, told: &mut Vec<Said>) {
        self.begin(told);
        (self.header, self.place) = (None, None);
    }

    /// The rows that come now are this attempt's own.
    pub fn begin(&mut self, told: &mut Vec<Said>) {
        self.finish(told);
        (self.catching_up, self.fresh, self.current) = (false, true, None);
        self.steps = Means::default();
    }

    /// No row comes any more.
    pub fn finish(&mut self, told: &mut Vec<Said>) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.record(&open, told);
        }
        self.release(told);
        self.tell_current(told);
    }

    /// The next row of the file begins and ends after so many bytes.
    pub fn at(&mut self, from: u64, to: u64) {
        // A row of several lines began with the first of them.
        self.place = Some((self.place.map_or(from, |(start, _)| if self.open.is_empty() { from } else { start }), to));
    }

    /// Takes the names of a CSV file's columns from its first line, which an earlier attempt read.
    pub fn names_of_columns(&mut self, line: &[u8]) {
        if !line.trim_ascii_start().starts_with(b"{") {
            self.record(line, &mut Vec::new());
        }
    }

    /// Takes from rows that an earlier controller read where the metric was found.
    pub fn remember(&mut self, rows: &[u8]) {
        let objects = rows.split(|byte| *byte == b'\n').filter_map(|row| json_object(std::str::from_utf8(row).ok()?));
        for object in objects {
            let from = From::of(&object, self.own);
            let is_better = self.source.as_ref().is_none_or(|source| source.rank < from.rank);
            if is_better && object.keys().any(|name| sweep_curves::is_same_metric(name, &self.metric)) {
                self.source = Some(from);
            }
        }
    }

    /// Whether so many epochs came that some were dropped.
    pub fn is_full(&self) -> bool {
        self.epochs >= MOST_EPOCHS
    }

    /// Whether the metric was told by this attempt.
    pub fn measured(&self) -> bool {
        self.measured
    }

    /// The names under which numbers were told, but those of [`METRICS`] and [`NO_METRICS`].
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Some of the names that were left out, being more than are kept.
    pub fn left_out(&self) -> &BTreeSet<String> {
        &self.left_out
    }

    /// What stood under the metric's name in place of a number: `the text "high"`, `a list`.
    pub fn odd(&self) -> Option<&str> {
        self.odd.as_deref()
    }

    /// What went wrong in the script because trials run offline: each has the line and what to do.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Sentences about where the metric was found and what names were taken for, since they were last asked for.
    pub fn notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.naming.notes());
        notes
    }

    /// A line that was printed. Whether it was one with metrics: a JSON object with the metric, or another number of an
    /// epoch.
    pub fn line(&mut self, line: &[u8], told: &mut Vec<Said>) -> bool {
        let Ok(text) = std::str::from_utf8(line) else { return false };
        let Some(object) = json_object(text) else { return false };
        let from = From::of(&object, self.own);
        self.object(object, from, told)
    }

    /// Takes a row that was read from printed text. It waits if a library was announced.
    fn text(&mut self, values: Values, from: From, told: &mut Vec<Said>) {
        if !self.announced || self.measured {
            self.values(values, from, told);
            return;
        }
        self.latent.push((values, from));
        // Two epochs of text, and none from the library: it does not log the metric.
        let metric = &self.metric;
        let with_metric = self.latent.iter().filter(|(values, _)| has_metric(values, metric)).count();
        if with_metric >= PATIENCE || self.latent.len() >= MOST_LATENT {
            self.release(told);
        }
    }

    /// Takes the rows of printed text that wait: no library reports the metric.
    fn release(&mut self, told: &mut Vec<Said>) {
        self.announced = false;
        for (values, from) in std::mem::take(&mut self.latent) {
            self.values(values, from, told);
        }
    }

    /// A row of numbers by name. Keys that begin with `_` say where it comes from.
    fn object(&mut self, object: Map<String, Json>, from: From, told: &mut Vec<Said>) -> bool {
        if let Some(problem) = object.get("_problem").and_then(Json::as_str) {
            if self.problems.len() < MOST_PROBLEMS {
                self.problems.push(problem.to_owned());
            }
            return true;
        }
        if object.contains_key("_began") {
            self.announced = !self.measured;
            return true;
        }
        if let Some(planned) = object.get("_epochs").and_then(Json::as_f64).filter(|count| (1.0..1e9).contains(count)) {
            let planned = planned.ceil() as u32;
            self.planned = self.planned.filter(|(known, _)| *known == planned).or(Some((planned, false)));
        }
        let mut values = Values::new();
        for (name, json) in object {
            let number = match &json {
                Json::Number(number) => number.as_f64(),
                Json::String(text) if is_no_number(text) => Some(f64::NAN),
                _ if name != self.metric => None,
                Json::Null => Some(f64::NAN),
                Json::String(text) => self.found(&format!("the text {}", short(text))),
                Json::Array(_) => self.found("a list"),
                Json::Object(_) => self.found("a table"),
                Json::Bool(boolean) => self.found(&boolean.to_string()),
            };
            values.extend(number.map(|number| (name, number)));
        }
        if from.rank == Rank::Text {
            self.text(values, from, told);
            return true;
        }
        self.values(values, from, told)
    }

    fn found(&mut self, odd: &str) -> Option<f64> {
        self.odd.get_or_insert_with(|| odd.to_owned());
        None
    }

    /// A line of a file of metrics: JSON, or CSV whose first line has the names.
    pub fn row(&mut self, line: &[u8], told: &mut Vec<Said>) {
        if self.open.is_empty() && line.trim_ascii_start().starts_with(b"{") {
            self.line(line, told);
            return;
        }
        let mut row = std::mem::take(&mut self.open);
        if !row.is_empty() {
            row.push(b'\n');
        }
        row.extend(line);
        // A line end in quotes is part of a field.
        let quotes = row.iter().filter(|byte| **byte == b'"').count();
        if quotes % 2 == 1 && row.len() < LONGEST_ROW {
            self.open = row;
        } else {
            self.record(&row, told);
        }
    }

    fn record(&mut self, row: &[u8], told: &mut Vec<Said>) {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(row);
        let Some(Ok(record)) = reader.records().next() else { return };
        let numbers: Vec<Option<f64>> = record.iter().map(|field| field.parse().ok()).collect();
        let Some(header) = self.header.clone().filter(|_| numbers.iter().any(Option::is_some)) else {
            self.header = Some(record);
            return;
        };
        let mut values = Values::new();
        for ((name, field), number) in header.iter().zip(&record).zip(numbers) {
            let number = match number {
                None if name != self.metric || field.is_empty() => None,
                None if matches!(field.to_ascii_lowercase().as_str(), "null" | "none") => Some(f64::NAN),
                None => self.found(&format!("the text {}", short(field))),
                number => number,
            };
            values.extend(number.map(|number| (name.to_owned(), number)));
        }
        self.values(values, From::own(METRICS_FILE), told);
    }

    /// Takes a row's numbers. Whether any of them is the metric or an epoch's.
    fn values(&mut self, mut values: Values, from: From, told: &mut Vec<Said>) -> bool {
        self.naming.translate(&mut values);
        let values = &values;
        let epoch = values.get("epoch").or_else(|| {
            let is_epoch = |name: &str| matches!(meaning(name), Some((Target::Epoch, _)));
            values.iter().find(|(name, _)| is_epoch(name)).map(|(_, epoch)| epoch)
        });
        let number = epoch.copied().filter(|epoch| (0.0..1e9).contains(epoch));
        // Hugging Face counts in fractions: 0.32 is within the first epoch.
        let number = number.map(|epoch| epoch.ceil() as u32);
        let has_metric = values.contains_key(&self.metric);
        let is_epochs = has_metric || METRICS.iter().any(|name| values.contains_key(*name));
        let own: Values = values.iter().filter(|(name, _)| self.is_kept(name)).map(|(k, v)| (k.clone(), *v)).collect();
        if own.is_empty() {
            return false;
        }
        let Some(follows) = self.follows(&from, has_metric) else { return is_epochs };
        let same_row = self.current.as_ref().filter(|current| {
            let row = from.row.map(|row| (from.rank, row));
            follows || row.is_some() && current.row == row
        });
        let number = number.or_else(|| same_row.map(|current| current.number));
        let Some(number) = number.or_else(|| has_metric.then(|| self.next_number())) else {
            self.steps.add(&own);
            return is_epochs;
        };
        if self.current.as_ref().is_none_or(|current| current.number != number) {
            self.tell_current(told);
            // Back at its first epoch, the program has begun anew.
            let is_first = number <= u32::from(!self.known.from_zero);
            self.fresh |= is_first && self.current.as_ref().is_some_and(|current| current.number > number);
            if self.epochs >= MOST_EPOCHS {
                return true;
            }
            self.epochs += 1;
            self.current = Some(Current { number, ..Current::default() });
        }
        let steps = if has_metric { std::mem::take(&mut self.steps) } else { Means::default() };
        let current = self.current.as_mut().expect("it was just made");
        current.untold = true;
        current.row = from.row.map(|row| (from.rank, row));
        if has_metric {
            current.firm.extend(steps.values().filter(|(name, _)| !own.contains_key(name)));
            current.firm.extend(own.iter().map(|(name, value)| (name.clone(), *value)));
            self.measured = true;
            let end = self.place.map(|(_, end)| end);
            self.tell(end, told);
        } else {
            current.steps.add(&own);
        }
        true
    }

    /// Whether a row counts: `None` if the metric comes from a source that is preferred. If the row comes from a source
    /// that is preferred to the one so far, it repeats the current epoch.
    fn follows(&mut self, from: &From, has_metric: bool) -> Option<bool> {
        let before = self.source.as_ref().map(|source| source.rank);
        if before.is_some_and(|before| from.rank < before) {
            return None;
        }
        if !has_metric || before == Some(from.rank) {
            return Some(false);
        }
        self.notes.push(format!("{} is read from {}", self.metric, from.name));
        self.new_source = Some(from.name.clone());
        self.source = Some(from.clone());
        Some(before.is_some())
    }

    /// The number of a row with the metric and without an epoch: that of the epoch whose metric has not come, or the next.
    fn next_number(&self) -> u32 {
        match &self.current {
            Some(current) if !current.firm.contains_key(&self.metric) => current.number,
            Some(current) => current.number + 1,
            None if self.catching_up => self.known.last + u32::from(!self.known.from_zero),
            None => 1,
        }
    }

    /// Whether numbers under that name are an epoch's.
    fn is_kept(&mut self, name: &str) -> bool {
        if name == self.metric || METRICS.contains(&name) || matches!(name, "learning_rate" | "seconds") {
            return true;
        }
        let is_plain = |char: char| !char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}');
        let is_name = !name.is_empty() && !name.starts_with('_') && name.chars().all(is_plain);
        if !is_name || name.len() > LONGEST_NAME || NO_METRICS.contains(&name) {
            return false;
        }
        if self.names.contains(name) {
            return true;
        }
        if self.names.len() >= MOST_OTHERS {
            if self.left_out.len() < MOST_LEFT_OUT {
                self.left_out.insert(name.to_owned());
            }
            return false;
        }
        self.names.insert(name.to_owned())
    }

    /// Tells what has come of the epoch since it was told last, before a row of another one.
    fn tell_current(&mut self, told: &mut Vec<Said>) {
        if self.current.as_ref().is_some_and(|current| current.untold) {
            let start = self.place.map(|(start, _)| start);
            self.tell(start, told);
        }
    }

    /// Tells the epoch as it is; the file is read up to that many bytes.
    fn tell(&mut self, read: Option<u64>, told: &mut Vec<Said>) {
        let Some(current) = &mut self.current else { return };
        current.untold = false;
        let mut values: Values = current.steps.values().collect();
        values.extend(current.firm.iter().map(|(name, value)| (name.clone(), *value)));
        let finite = |name: &str| values.get(name).copied().filter(|value| value.is_finite());
        let mut metrics = EpochMetrics {
            learning_rate: finite("learning_rate"),
            train_loss: finite("train_loss"),
            train_accuracy: finite("train_accuracy"),
            train_eval_loss: finite("train_eval_loss"),
            train_eval_accuracy: finite("train_eval_accuracy"),
            val_loss: finite("val_loss"),
            val_accuracy: finite("val_accuracy"),
            seconds: finite("seconds"),
            ..EpochMetrics::default()
        };
        if !METRICS.contains(&self.metric.as_str()) {
            metrics.objective = finite(&self.metric);
        }
        let names = &self.names;
        let others: Others = values
            .iter()
            .filter(|(name, value)| names.contains(*name) && **name != self.metric && value.is_finite())
            .map(|(name, value)| (name.clone(), *value))
            .collect();
        let (attempt, number) = (self.attempt, current.number);
        let starts_anew = number <= u32::from(!self.known.from_zero);
        if starts_anew && self.fresh {
            self.known.from_zero = number == 0;
        }
        // By the program's own count, but from 1.
        metrics.epoch = number.saturating_add(u32::from(self.known.from_zero)).max(1);
        if std::mem::take(&mut self.fresh) {
            let from_epoch = if starts_anew { 0 } else { metrics.epoch - 1 };
            let began = FromProgram::Began { attempt, from_epoch, from_zero: self.known.from_zero };
            told.push(Said::Message(Box::new(began)));
        }
        if values.get(&self.metric).is_some_and(|value| !value.is_finite()) {
            let what = format!("{} is NaN or infinite", self.metric);
            told.push(Said::Diverged(Outcome::Diverged { epoch: metrics.epoch, step: 0, what }));
        } else {
            self.known.last = metrics.epoch;
            let news = self.planned.as_mut().filter(|(_, is_told)| !*is_told);
            let planned = news.map(|(planned, is_told)| {
                *is_told = true;
                *planned
            });
            let source = self.new_source.take();
            let epoch = FromProgram::Epoch { attempt, metrics, others, read, planned, source };
            told.push(Said::Message(Box::new(epoch)));
        }
    }
}

/// Whether a row has the metric, under its name or another one that means the same.
fn has_metric(values: &Values, metric: &str) -> bool {
    values.keys().any(|name| sweep_curves::is_same_metric(name, metric))
}

/// Names that mean something else, beside those of the metrics: W&B's own begin with `_`.
const NO_METRICS: [&str; 6] = ["epoch", "learning_rate", "seconds", "pictures_per_second", "loss_gap", "accuracy_gap"];

/// Epochs of an attempt that are kept: a program that prints a row a step would fill memory and disk.
pub const MOST_EPOCHS: u32 = 100_000;

/// Bytes of a metric's name.
const LONGEST_NAME: usize = 100;

/// Bytes of a CSV row of several lines.
const LONGEST_ROW: usize = 1 << 20;

/// Epochs of printed text that wait for a library which was announced.
const PATIENCE: usize = 2;

/// Rows of printed text that wait at most.
const MOST_LATENT: usize = 10_000;

/// What rows that were read from printed text name as their origin.
pub const PRINTED_TEXT: &str = "the printed text";

/// What rows of a file that the script writes name as their origin.
const METRICS_FILE: &str = "the metrics file";

/// Problems of a script that are kept.
const MOST_PROBLEMS: usize = 20;

/// Libraries in which the script itself chooses what to log, as the hook names them.
const TRACKERS: [&str; 4] = ["wandb.log", "wandb summary", "W&B's offline file", "mlflow"];

/// Names that are told of those left out.
const MOST_LEFT_OUT: usize = 5;

/// The beginning of a text, in quotes.
fn short(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests;
