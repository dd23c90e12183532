//! Reads a whole text, a second time where its end shows that it is not what it seemed to be.

use std::collections::{HashMap, HashSet};

use regex::Regex;

use super::labels::{self, Labels};
use super::trailing::Order;
use crate::{Problem, special, table};

use super::{Line, Printed, Records, Row, Text, is_metric, names, of_process, overwritten, record, without_escapes};

/// The rows of a text, and how it was understood.
pub struct Said {
    pub rows: Vec<Row>,
    pub notes: Vec<String>,
    /// The problem, if the numbers are results of several trainings or trials, and no curve.
    pub problem: Option<Problem>,
    /// What the lines say one by one.
    pub records: Records,
}

/// Reads what a script printed.
pub fn read(text: &str) -> Said {
    let restored = overwritten::restored(text);
    let text = restored.as_deref().unwrap_or(text);
    let lists_trials = special::lists_trials(text);
    let pass = |mut printed: Printed| {
        printed.records = Some(Records::default());
        let lines = text.split('\n').filter(|line| !lists_trials || !special::is_trial(line));
        let mut rows: Vec<Row> = lines.flat_map(|line| printed.line(line)).collect();
        let again = printed.second_thought();
        rows.extend(printed.finish());
        (printed, rows, again)
    };
    let (mut printed, mut rows, again) = pass(Printed::default());
    if let Some(again) = again {
        (printed, rows, _) = pass(again);
    }
    let mut notes = printed.notes();
    if restored.is_some() {
        notes.push(
            "progress bars were overwritten, so the training metrics of some epochs are the last ones that were drawn"
                .to_owned(),
        );
    }
    let names_epochs = rows.iter().any(|row| row.place.epoch.is_some());
    let problem = match () {
        () if lists_trials && !names_epochs => Some(special::trials()),
        () if (printed.blocks.are_results() || printed.repetitions) && !names_epochs || are_scores(&rows) => {
            Some(special::results(&no_epoch(text)))
        }
        () => None,
    };
    if let Some(problem) = &problem {
        notes.push(problem.what.clone());
        rows.clear();
    } else if lists_trials {
        notes.push("lines with the results of trials were left out".to_owned());
    }
    without_counted(&mut rows, &mut notes);
    if is_any_counted(&rows) {
        let apart = "numbers stand outside the lines that name epochs";
        let epochs = if names_epochs { apart.to_owned() } else { no_epoch(text) };
        notes.push(format!("{epochs}, so an epoch was counted each time a name was repeated"));
    }
    if !printed.by_steps && counts_by_ones(&rows) {
        notes.push("the lines name steps and no epochs, so each step is an epoch here".to_owned());
    }
    let records = printed.records.take().unwrap_or_default();
    Said { rows, notes, problem, records }
}

/// Says that no epoch was found, although a line may name one.
fn no_epoch(text: &str) -> String {
    const LONGEST: usize = 60;
    let epoch = Regex::new(r"(?i)\bepoch[^\w\n\r]{0,9}\d").expect("it is an expression");
    let line = text.split(['\n', '\r']).find(|line| epoch.is_match(line));
    let Some(line) = line else { return "no line names an epoch".to_owned() };
    let line: String = without_escapes(line).trim().chars().take(LONGEST).collect();
    format!("no epoch was found for these numbers, although the line {line:?} may name one")
}

/// Whether a row names neither epoch nor step, so that it was only counted.
fn is_counted(row: &Row) -> bool {
    row.place.epoch.is_none() && row.place.step.is_some_and(|step| step.fract() == 0.5)
}

/// Whether the rows of a curve were all counted.
fn is_any_counted(rows: &[Row]) -> bool {
    let named: HashSet<&str> = rows.iter().filter(|row| !is_counted(row)).map(|row| row.curve.as_str()).collect();
    let counted = rows.iter().filter(|row| row.has_any() && !named.contains(row.curve.as_str()));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    counted.for_each(|row| *counts.entry(&row.curve).or_default() += 1);
    counts.values().any(|count| *count > 1)
}

/// Whether the rows name steps one after another and no epochs, so that steps would pass for epochs.
fn counts_by_ones(rows: &[Row]) -> bool {
    let steps = rows.iter().filter(|row| row.has_any() && !is_counted(row));
    let steps: Option<Vec<f64>> = steps.map(|row| row.place.step.filter(|_| row.place.epoch.is_none())).collect();
    steps.is_some_and(|steps| steps.len() > 1 && steps.windows(2).all(|pair| pair[1] - pair[0] <= 1.0))
}

/// Drops metrics above the lines that name steps, such as numbers in a script that a log begins with.
fn without_counted(rows: &mut Vec<Row>, notes: &mut Vec<String>) {
    let names_step = |row: &Row| row.place.epoch.is_none() && row.place.step.is_some() && !is_counted(row);
    let curves: HashSet<String> = rows.iter().filter(|row| names_step(row)).map(|row| row.curve.clone()).collect();
    let is_left = |row: &Row| is_counted(row) && row.has_any() && curves.contains(&row.curve);
    if rows.iter().any(is_left) {
        rows.retain(|row| !is_left(row));
        notes.push("numbers outside the lines that name steps were left out".to_owned());
    }
}

/// Whether rows that were only counted have nothing but errors of a regression or an accuracy that names no set, or each a
/// setting of its training.
fn are_scores(rows: &[Row]) -> bool {
    const ERRORS: [&str; 6] = ["rmse", "mae", "mse", "mape", "r2", "smape"];
    let is_error = |name: &str| names::words(name).iter().any(|word| ERRORS.contains(&word.as_str()));
    let of_validation = |name: &str| super::names_part(name).is_some_and(super::is_validation);
    let all = |holds: &dyn Fn(&str) -> bool| {
        let names = || rows.iter().flat_map(|row| &row.values).filter(|(name, _)| is_metric(name));
        names().next().is_some() && names().all(|(name, _)| holds(name))
    };
    let has_loss = || rows.iter().flat_map(|row| &row.values).any(|(name, _)| name.to_lowercase().contains("loss"));
    // A rate beside the loss may be scheduled.
    let is_rate = |name: &str| matches!(names::meaning(name), Some((names::Target::LearningRate, _))) && !has_loss();
    let settings = |row: &Row| {
        row.values.iter().filter(|(name, _)| table::is_setting(name) || is_rate(name)).cloned().collect::<Vec<_>>()
    };
    let mut settings = rows.iter().filter(|row| row.has_any()).map(settings).peekable();
    let first = settings.peek().cloned().unwrap_or_default();
    let (mut differ, mut have) = (false, !first.is_empty());
    settings.for_each(|own| (differ, have) = (differ || own != first, have && !own.is_empty()));
    if differ && have && rows.iter().all(is_counted) {
        return true;
    }
    // A score that goes on while a network is evaluated.
    let is_score = |name: &str| names::quantity(name) == Some("accuracy") || special::score(name).is_some();
    let is_bare = |name: &str| is_score(name) && super::names_part(name).is_none();
    rows.len() > 1
        && rows.iter().all(is_counted)
        && (all(&|name| is_error(name) && !of_validation(name)) || all(&is_bare) && !has_loss())
}

/// Forms of lines whose part only shows when the whole text is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    /// They report on batches, although they do not say so.
    batches: HashSet<u64>,
    /// They report on single examples of an epoch that has a line of its own.
    details: HashSet<u64>,
    /// Their batches are epochs.
    counted: HashSet<u64>,
    /// If they name an epoch again, the training began again.
    restarts: HashSet<u64>,
}

impl Printed {
    /// Takes steps for places, if there is one epoch.
    pub(super) fn without_epoch(&self, line: &mut Line) {
        let step = line.step.or(line.batch);
        if self.by_steps && (step.is_some() || line.alone) && (!line.bar || self.by_bars) {
            (line.epoch, line.step, line.progress, line.partial) = (None, step, false, false);
            (line.alone, line.heading, line.bar) = (false, None, false);
        }
    }

    /// Looks at the form of a line. Returns whether the line is left out.
    pub(super) fn of_form(&mut self, text: &Text, line: &mut Line, rows: &mut Vec<Row>) -> bool {
        if self.forms == Forms::default() {
            return false;
        }
        let form = record::form(&text.tokens);
        if line.epoch.is_none() && self.forms.details.contains(&form) {
            self.note("lines about parts of an epoch were left out where a line has the numbers of the whole epoch");
            return true;
        }
        if self.forms.counted.contains(&form) {
            (line.epoch, line.batch, line.progress) = (line.batch, None, false);
        }
        line.progress |= line.epoch.is_none() && self.forms.batches.contains(&form);
        if line.epoch.is_some() && line.epoch == self.epoch && self.forms.restarts.contains(&form) {
            self.begins_again(line, rows);
        }
        false
    }

    /// The name of a curve.
    pub(super) fn curve(&self) -> String {
        match &self.part_of_log {
            Some((name, fit)) if *fit == self.fit => name.clone(),
            Some((name, fit)) => format!("{name}, fit {}", self.fit - fit + 1),
            None => format!("fit {}", self.fit + 1),
        }
    }

    /// Looks for a command. Where lines name epochs, these tell whether it goes on with the same training.
    pub(super) fn command(&mut self, text: &str, rows: &mut Vec<Row>) {
        let is_command = labels::is_command(text);
        self.ended |= is_command;
        if is_command && self.epoch.is_none() {
            self.begins_part(None, rows);
        }
    }

    /// Takes a line that only says which fold comes, `===== Fold 2/5 =====`, or a command. It begins a curve of its own.
    pub(super) fn begins_part(&mut self, name: Option<&str>, rows: &mut Vec<Row>) {
        if self.part_of_log.as_ref().is_some_and(|(known, _)| name == Some(known)) {
            return;
        }
        if self.whole || self.counted > 0.0 || self.epoch.is_some() || self.step.is_some() {
            self.hand_over(rows);
            self.fit += 1;
            self.note("each line that names a fold, a setting of the training, or a command begins a new curve");
        }
        (self.epoch, self.step, self.counted, self.header, self.table) = (None, None, 0.0, None, None);
        self.blocks.new_part();
        self.part_of_log = name.map(|name| (name.to_owned(), self.fit));
    }

    /// Takes a line under the name of its model, if the names are known. Returns whether it was taken.
    pub(super) fn of_label(&mut self, text: &str, redrawn: bool, rows: &mut Vec<Row>) -> bool {
        let Some(label) = self.labels.current(text) else { return false };
        self.of_process(&label, text, redrawn, rows);
        true
    }

    /// A reader that takes the models of a log apart, or the evaluations or batches within an epoch.
    pub(super) fn finer(&self, trailing: Order) -> Option<Printed> {
        let records = self.records.as_ref()?;
        let labels = records.models();
        if !labels.is_empty() {
            let names = labels.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            let mut printed = Printed { labels: Labels::known(labels), ..Printed::for_metric(&self.metric) };
            printed.note(&format!(
                "the names before `epoch` belong to different training runs ({names}); each run is a \
                    separate curve"
            ));
            return Some(printed);
        }
        if records.counts_rounds() && !self.by_rounds {
            let mut printed = Printed { by_rounds: true, ..Printed::for_metric(&self.metric) };
            printed.note("rounds were read as epochs; epochs of clients are parts of a round");
            return Some(printed);
        }
        if let Some(heading) = records.heading(self.counted).filter(|_| self.step.is_none()) {
            return Some(Printed { labels: Labels::below(heading), ..Printed::for_metric(&self.metric) });
        }
        if records.has_one_epoch() && !self.by_steps {
            let by_bars = records.has_bars_alone();
            let mut printed = Printed { by_steps: true, by_bars, ..Printed::for_metric(&self.metric) };
            if !records.begins_again {
                printed.note("the log has one epoch, so its steps are the points of the curve");
            }
            return Some(printed);
        }
        let forms = Forms {
            batches: records.batches(),
            details: records.details(),
            counted: records.counted(),
            restarts: records.restarts(),
        };
        (records.evaluates_within || forms != Forms::default()).then(|| Printed {
            by_batch: records.evaluates_within,
            forms,
            trailing,
            ..Printed::for_metric(&self.metric)
        })
    }

    /// The rows of the processes, or models, whose lines are mixed.
    pub(super) fn finish_processes(&mut self, rows: &mut Vec<Row>) {
        for (process, printed) in &mut self.processes {
            rows.extend(printed.finish().into_iter().map(|row| of_process(process, row)));
            if let (Some(records), Some(of_process)) = (&mut self.records, printed.records.take()) {
                records.extend(of_process);
            }
        }
    }
}
