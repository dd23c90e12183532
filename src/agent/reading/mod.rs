//! What a program prints or writes, read as epochs. Pure.
//!
//! A line is a row of numbers (`row`), whose names are translated (`naming`) and limited (`names`). A row counts if it comes
//! from the best source of the metric so far (`source`). Rows that count are put together to epochs (`epochs`).

mod epochs;
mod names;
mod naming;
mod row;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use sweep_core::trial::{Attempt, METRICS, Outcome};
use sweep_curves::json_object;
use sweep_scheduler::schedule::FromProgram;

use epochs::{Counted, Epochs, epoch_of};
use naming::Naming;
use row::{Row, Table};
use source::{Origin, Rank, Source, Standing, Waiting};

pub use epochs::MOST_EPOCHS;
pub use source::PRINTED_TEXT;

/// What rows of a file that the script writes name as their origin.
const METRICS_FILE: &str = "the metrics file";

/// Problems of a script that are kept.
const MOST_PROBLEMS: usize = 20;

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

/// The lines of one attempt so far.
#[derive(Debug)]
pub struct Reading {
    metric: String,
    /// What the script's own rows name as their origin.
    own: &'static str,
    table: Table,
    naming: Naming,
    source: Source,
    waiting: Waiting,
    epochs: Epochs,
    /// What stood under the metric's name in place of a number.
    odd: Option<String>,
    /// What the script cannot do here, in its own words.
    problems: Vec<String>,
    /// Sentences for the log about where the metric was found.
    notes: Vec<String>,
}

impl Reading {
    /// Of an attempt at a trial of which the journal has that much. With `catching_up`, the first rows are of an earlier
    /// attempt, until [`Reading::begin`].
    pub fn new(attempt: Attempt, known: Known, metric: &str, catching_up: bool) -> Reading {
        Reading {
            metric: metric.to_owned(),
            own: "the printed JSON",
            table: Table::default(),
            naming: Naming::new(metric),
            source: Source::default(),
            waiting: Waiting::default(),
            epochs: Epochs::new(attempt, known, metric, catching_up),
            odd: None,
            problems: Vec::new(),
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
        (self.table, self.epochs.place) = (Table::default(), None);
    }

    /// The rows that come now are this attempt's own.
    pub fn begin(&mut self, told: &mut Vec<Said>) {
        self.finish(told);
        self.epochs.begin();
    }

    /// No row comes any more.
    pub fn finish(&mut self, told: &mut Vec<Said>) {
        if self.table.is_open() {
            let row = self.table.close(&self.metric);
            self.record(row, told);
        }
        let waited = self.waiting.release();
        self.values_of(waited, told);
        self.epochs.tell_current(told);
    }

    /// The next row of the file begins and ends after so many bytes.
    pub fn at(&mut self, from: u64, to: u64) {
        // A row of several lines began with the first of them.
        let begun = self.epochs.place.filter(|_| self.table.is_open());
        self.epochs.place = Some((begun.map_or(from, |(start, _)| start), to));
    }

    /// Takes the names of a CSV file's columns from its first line, which an earlier attempt read.
    pub fn names_of_columns(&mut self, line: &[u8]) {
        if !is_json(line) {
            self.table.names_columns(line);
        }
    }

    /// Takes from rows that an earlier controller read where the metric was found.
    pub fn remember(&mut self, rows: &[u8]) {
        let objects = rows.split(|byte| *byte == b'\n').filter_map(|row| json_object(std::str::from_utf8(row).ok()?));
        for object in objects {
            let has_metric = object.keys().any(|name| sweep_curves::is_same_metric(name, &self.metric));
            self.source.compare(Origin::of(&object, self.own).rank, has_metric);
        }
    }

    /// Whether so many epochs came that some were dropped.
    pub fn is_full(&self) -> bool {
        self.epochs.is_full()
    }

    /// Whether the metric was told by this attempt.
    pub fn measured(&self) -> bool {
        self.epochs.measured
    }

    /// The names of numbers that are kept beside [`METRICS`].
    pub fn names(&self) -> &BTreeSet<String> {
        &self.epochs.names.kept
    }

    /// Some of the names that were left out, being more than are kept.
    pub fn left_out(&self) -> &BTreeSet<String> {
        &self.epochs.names.left_out
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

    /// Takes a line of a file of metrics: JSON, or CSV whose first line has the names.
    pub fn row(&mut self, line: &[u8], told: &mut Vec<Said>) {
        if !self.table.is_open() && is_json(line) {
            self.line(line, told);
        } else {
            let row = self.table.line(line, &self.metric);
            self.record(row, told);
        }
    }

    /// Takes a printed line. Returns whether it was one with metrics: a JSON object with the metric, or another number of
    /// an epoch.
    pub fn line(&mut self, line: &[u8], told: &mut Vec<Said>) -> bool {
        let Some(object) = std::str::from_utf8(line).ok().and_then(json_object) else { return false };
        if self.is_signal(&object) {
            return true;
        }
        let origin = Origin::of(&object, self.own);
        let values = self.numbers(Row::of_object(object, &self.metric));
        if origin.rank == Rank::Text {
            let ready = self.waiting.take((values, origin), &self.metric, self.epochs.measured);
            self.values_of(ready, told);
            return true;
        }
        self.values(values, origin, told)
    }

    /// Takes what the hook says beside numbers. Returns whether it was nothing else.
    fn is_signal(&mut self, object: &Map<String, Json>) -> bool {
        if let Some(problem) = object.get("_problem").and_then(Json::as_str) {
            if self.problems.len() < MOST_PROBLEMS {
                self.problems.push(problem.to_owned());
            }
            return true;
        }
        if object.contains_key("_began") {
            self.waiting.announce(self.epochs.measured);
            return true;
        }
        if let Some(planned) = object.get("_epochs").and_then(Json::as_f64).filter(|count| (1.0..1e9).contains(count)) {
            self.epochs.plans(planned.ceil() as u32);
        }
        false
    }

    /// Takes a row of a CSV file.
    fn record(&mut self, row: Option<Row>, told: &mut Vec<Said>) {
        if let Some(row) = row {
            let values = self.numbers(row);
            self.values(values, Origin::own(METRICS_FILE), told);
        }
    }

    fn numbers(&mut self, row: Row) -> Values {
        self.odd = self.odd.take().or(row.odd);
        row.values
    }

    fn values_of(&mut self, rows: Vec<(Values, Origin)>, told: &mut Vec<Said>) {
        for (values, origin) in rows {
            self.values(values, origin, told);
        }
    }

    /// Takes a row's numbers. Returns whether any of them is the metric or an epoch's.
    fn values(&mut self, mut values: Values, origin: Origin, told: &mut Vec<Said>) -> bool {
        self.naming.translate(&mut values);
        let epoch = epoch_of(&values);
        let has_metric = values.contains_key(&self.metric);
        let is_epochs = has_metric || METRICS.iter().any(|name| values.contains_key(*name));
        values.retain(|name, _| self.epochs.names.keeps(name));
        if values.is_empty() {
            return false;
        }
        let standing = self.source.compare(origin.rank, has_metric);
        match standing {
            Standing::Worse => return is_epochs,
            Standing::Same => {}
            Standing::First | Standing::Better => {
                self.notes.push(format!("{} is read from {}", self.metric, origin.name));
                self.epochs.new_source = Some(origin.name);
            }
        }
        let row = origin.row.map(|row| (origin.rank, row));
        self.epochs.take(Counted { values, epoch, row, repeats: standing == Standing::Better }, told) || is_epochs
    }
}

/// Whether a line of a file is no CSV.
fn is_json(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

#[cfg(test)]
mod tests;
