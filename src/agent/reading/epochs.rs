//! Rows that count, put together to epochs, and what the scheduler is told about each.
//!
//! Rows that give the same `epoch` are one epoch, under the program's own number. Rows without one belong to the next row
//! that has the metric, which is the next epoch where the program gives no numbers at all.

use std::collections::BTreeMap;

use super::names::Names;
use super::source::Rank;
use super::{Known, Said, Values};
use sweep_core::trial::{Attempt, EpochMetrics, METRICS, Others, Outcome};
use sweep_curves::{Target, meaning};
use sweep_scheduler::schedule::FromProgram;

/// Epochs of an attempt that are kept: a program that prints a row a step would fill memory and disk.
pub const MOST_EPOCHS: u32 = 100_000;

/// A row whose numbers count.
#[derive(Debug)]
pub struct Counted {
    pub values: Values,
    /// By the program's count.
    pub epoch: Option<u32>,
    /// Its number in a library that numbers its rows.
    pub row: Option<(Rank, u64)>,
    /// Whether it repeats the current epoch, which a worse source has reported.
    pub repeats: bool,
}

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

impl Current {
    fn values(&self) -> Values {
        let mut values: Values = self.steps.values().collect();
        values.extend(self.firm.iter().map(|(name, value)| (name.clone(), *value)));
        values
    }
}

/// The epochs of one attempt so far.
#[derive(Debug)]
pub struct Epochs {
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
    /// Number of epochs that this attempt has told.
    count: u32,
    /// Whether the metric was told.
    pub measured: bool,
    pub names: Names,
    /// Bytes of the file up to the row that is read, and with it.
    pub place: Option<(u64, u64)>,
    /// Number of epochs that the program means to train, and whether that was told.
    planned: Option<(u32, bool)>,
    /// Where the metric is read from, until that is told.
    pub new_source: Option<String>,
}

impl Epochs {
    /// The epochs of an attempt at a trial of which the journal has that much.
    pub fn new(attempt: Attempt, known: Known, metric: &str, catching_up: bool) -> Epochs {
        Epochs {
            attempt,
            metric: metric.to_owned(),
            known,
            catching_up,
            fresh: true,
            current: None,
            steps: Means::default(),
            count: 0,
            measured: false,
            names: Names::new(metric),
            place: None,
            planned: None,
            new_source: None,
        }
    }

    /// Begins an attempt.
    pub fn begin(&mut self) {
        (self.catching_up, self.fresh, self.current) = (false, true, None);
        self.steps = Means::default();
    }

    /// Notes how many epochs the program means to train.
    pub fn plans(&mut self, planned: u32) {
        self.planned = self.planned.filter(|(known, _)| *known == planned).or(Some((planned, false)));
    }

    /// Whether so many epochs came that some were dropped.
    pub fn is_full(&self) -> bool {
        self.count >= MOST_EPOCHS
    }

    /// Takes a row. Returns whether it belongs to an epoch already.
    pub fn take(&mut self, row: Counted, told: &mut Vec<Said>) -> bool {
        let Some(number) = self.number(&row) else {
            self.steps.add(&row.values);
            return false;
        };
        if self.current.as_ref().is_none_or(|current| current.number != number) {
            self.tell_current(told);
            // Back at its first epoch, the program has begun anew.
            let went_back = self.current.as_ref().is_some_and(|current| current.number > number);
            self.fresh |= self.is_first(number) && went_back;
            if self.is_full() {
                return true;
            }
            self.count += 1;
            self.current = Some(Current { number, ..Current::default() });
        }
        self.add(row, told);
        true
    }

    /// Adds a row to the current epoch, which is told if the row has the metric.
    fn add(&mut self, row: Counted, told: &mut Vec<Said>) {
        let Some(current) = &mut self.current else { return };
        (current.untold, current.row) = (true, row.row);
        if !row.values.contains_key(&self.metric) {
            current.steps.add(&row.values);
            return;
        }
        let steps = std::mem::take(&mut self.steps);
        current.firm.extend(steps.values().filter(|(name, _)| !row.values.contains_key(name)));
        current.firm.extend(row.values);
        self.measured = true;
        let end = self.place.map(|(_, end)| end);
        self.tell(end, told);
    }

    /// The epoch that a row belongs to, by the program's count. `None` if that is an epoch whose metric has yet to come.
    fn number(&self, row: &Counted) -> Option<u32> {
        let same = self.current.as_ref().filter(|current| row.repeats || row.row.is_some() && current.row == row.row);
        let known = row.epoch.or_else(|| same.map(|current| current.number));
        known.or_else(|| row.values.contains_key(&self.metric).then(|| self.next_number()))
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

    fn is_first(&self, number: u32) -> bool {
        number <= u32::from(!self.known.from_zero)
    }

    /// Tells what has come of the epoch since it was told last, before a row of another one.
    pub fn tell_current(&mut self, told: &mut Vec<Said>) {
        if self.current.as_ref().is_some_and(|current| current.untold) {
            let start = self.place.map(|(start, _)| start);
            self.tell(start, told);
        }
    }

    /// Tells the epoch as it is; the file is read up to that many bytes.
    fn tell(&mut self, read: Option<u64>, told: &mut Vec<Said>) {
        let Some(current) = &mut self.current else { return };
        current.untold = false;
        let (number, values) = (current.number, current.values());
        let epoch = self.counted_from_one(number, told);
        if values.get(&self.metric).is_some_and(|value| !value.is_finite()) {
            let what = format!("{} is NaN or infinite", self.metric);
            told.push(Said::Diverged(Outcome::Diverged { epoch, step: 0, what }));
            return;
        }
        self.known.last = epoch;
        let news = self.planned.as_mut().filter(|(_, is_told)| !*is_told);
        let planned = news.map(|(planned, is_told)| {
            *is_told = true;
            *planned
        });
        told.push(Said::Message(Box::new(FromProgram::Epoch {
            attempt: self.attempt,
            metrics: self.metrics(epoch, &values),
            others: self.others(&values),
            read,
            planned,
            source: self.new_source.take(),
        })));
    }

    /// The number of an epoch, from 1. The first epoch of an attempt tells that the attempt began.
    fn counted_from_one(&mut self, number: u32, told: &mut Vec<Said>) -> u32 {
        let starts_anew = self.is_first(number);
        if starts_anew && self.fresh {
            self.known.from_zero = number == 0;
        }
        let from_zero = self.known.from_zero;
        let epoch = number.saturating_add(u32::from(from_zero)).max(1);
        if std::mem::take(&mut self.fresh) {
            let from_epoch = if starts_anew { 0 } else { epoch - 1 };
            let began = FromProgram::Began { attempt: self.attempt, from_epoch, from_zero };
            told.push(Said::Message(Box::new(began)));
        }
        epoch
    }

    fn metrics(&self, epoch: u32, values: &Values) -> EpochMetrics {
        let finite = |name: &str| values.get(name).copied().filter(|value| value.is_finite());
        EpochMetrics {
            epoch,
            learning_rate: finite("learning_rate"),
            train_loss: finite("train_loss"),
            train_accuracy: finite("train_accuracy"),
            train_eval_loss: finite("train_eval_loss"),
            train_eval_accuracy: finite("train_eval_accuracy"),
            val_loss: finite("val_loss"),
            val_accuracy: finite("val_accuracy"),
            seconds: finite("seconds"),
            objective: finite(&self.metric).filter(|_| !METRICS.contains(&self.metric.as_str())),
            ..EpochMetrics::default()
        }
    }

    fn others(&self, values: &Values) -> Others {
        let is_other = |name: &String| self.names.kept.contains(name) && *name != self.metric;
        let others = values.iter().filter(|(name, value)| is_other(name) && value.is_finite());
        others.map(|(name, value)| (name.clone(), *value)).collect()
    }
}

/// The epoch that a row names.
pub fn epoch_of(values: &Values) -> Option<u32> {
    let is_epoch = |name: &str| matches!(meaning(name), Some((Target::Epoch, _)));
    let named = || values.iter().find(|(name, _)| is_epoch(name)).map(|(_, epoch)| epoch);
    let number = values.get("epoch").or_else(named).copied().filter(|epoch| (0.0..1e9).contains(epoch));
    // Hugging Face counts in fractions: 0.32 is within the first epoch.
    number.map(|epoch| epoch.ceil() as u32)
}
