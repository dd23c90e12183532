//! What the trials have measured so far, in the order that the rules need. The standings are updated trial by trial as
//! entries are applied. Judging one trial therefore does not read the curves of all others.

use std::collections::BTreeMap;

use super::{Moment, Rule, Verdict};
use crate::history::TrialRecord;
use crate::trial::{Goal, Metric, Outcome, Stopper, TrialId};

/// Epochs that the rules look at.
const MOST_VALUES: usize = 1_000_000;

/// A trial as the rules see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// Values of the metric, epoch by epoch where it was measured. Smaller is better, whatever the goal.
    pub values: Vec<f64>,
    /// The epoch before the last one with a value.
    before: usize,
    /// Whether the trial came to its own end.
    pub completed: bool,
    /// Whether the trial continues whatever the rules decide.
    pub spared: bool,
    /// Rows of the curve that `values` was read from: those up to the last one with a value.
    rows: usize,
}

/// The courses of all trials, and the sorted values by which a rule compares them.
#[derive(Debug, Clone)]
pub struct Standings {
    rule: Rule,
    /// Courses by trial number, from index 0.
    courses: Vec<Course>,
    /// For each rung, the value of every trial that reached it, best first, each with the index of its trial. The key
    /// is the number of values; the entry is the last of them. Among equal values the earlier trial comes first.
    rungs: BTreeMap<usize, Vec<(f64, usize)>>,
    /// For n values, at index n - 1: the means of the first n values of each completed trial, ascending. Only for the
    /// median rule.
    means: Vec<Vec<f64>>,
    /// Whether a rung changed since the last call of [`Standings::take_changed`].
    changed: bool,
}

impl Standings {
    /// Creates the standings of no trials.
    pub fn new(rule: Rule) -> Standings {
        Standings { rule, courses: Vec::new(), rungs: BTreeMap::new(), means: Vec::new(), changed: false }
    }

    /// Records what a trial has measured, or how it ended, since the last call for this trial.
    pub fn update(&mut self, trial: &TrialRecord, metric: &Metric) {
        let at = trial.id.0 as usize - 1;
        if self.courses.len() <= at {
            self.courses.resize_with(at + 1, Course::default);
        }
        // Values after a trial was spared are ignored, because without the audit they would not exist.
        let seen = trial.spared.map_or(trial.curve.len(), |(_, epoch)| epoch as usize).min(trial.curve.len());
        if seen < self.courses[at].rows {
            self.remove(at);
        }
        let sign = if metric.goal == Goal::Minimize { 1.0 } else { -1.0 };
        for row in self.courses[at].rows..seen {
            let epoch = &trial.curve[row];
            let Some(value) = epoch.get(&metric.name) else { continue };
            let last = (epoch.epoch as usize).min(MOST_VALUES);
            let values = &self.courses[at].values;
            let (before, carried) = (values.len(), values.last().copied().unwrap_or(sign * value));
            (self.courses[at].before, self.courses[at].rows) = (before, row + 1);
            for _ in before..last.saturating_sub(1) {
                self.push(at, carried);
            }
            if self.courses[at].values.len() < last {
                self.push(at, sign * value);
            }
        }
        let completed = matches!(trial.outcome(), Some(Outcome::Finished | Outcome::EarlyStopped));
        let course = &mut self.courses[at];
        course.spared = trial.spared.is_some();
        self.complete(at, completed && trial.spared.is_none());
    }

    /// Takes in that a program has told something about an epoch, which may be one that it told about before.
    pub fn revise(&mut self, trial: &TrialRecord, metric: &Metric, epoch: u32) {
        let at = trial.id.0 as usize - 1;
        let row = trial.curve.partition_point(|known| known.epoch < epoch);
        if self.courses.get(at).is_some_and(|course| row < course.rows) {
            self.remove(at);
        }
        self.update(trial, metric);
    }

    /// What is to become of a trial in comparison with the others.
    pub fn verdict(&self, id: TrialId, moment: Moment) -> Verdict {
        let at = id.0 as usize - 1;
        if self.courses[at].spared {
            return Verdict::GoOn;
        }
        let (applies, verdict) = match &self.rule {
            Rule::Hyperband(rule) => (rule.stops(at, self), Verdict::Stop(Stopper::Hyperband)),
            Rule::Asha(rule) => (rule.pauses(at, self, moment), Verdict::Pause(Stopper::Asha)),
            Rule::Median(rule) => (rule.stops(at, self), Verdict::Stop(Stopper::Median)),
        };
        if applies { verdict } else { Verdict::GoOn }
    }

    /// Returns whether any rung changed since the last call. If not, no verdict changed either.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Returns the values that a trial has measured.
    pub(super) fn values(&self, at: usize) -> &[f64] {
        &self.courses[at].values
    }

    /// The epoch before the last one in which a trial has measured something.
    pub(super) fn before(&self, at: usize) -> usize {
        self.courses[at].before
    }

    /// The values of all trials that have reached the rung, best first, each with its trial.
    pub(super) fn rung(&self, rung: usize) -> &[(f64, usize)] {
        self.rungs.get(&rung).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of trials ranked before this one on a rung that it has reached.
    pub(super) fn better(&self, rung: usize, at: usize) -> usize {
        let own = (self.courses[at].values[rung - 1], at);
        self.rung(rung).partition_point(|other| before(*other, own))
    }

    /// Returns the median of the means of the first n values, over the other completed trials with n values. `None` if
    /// there are fewer than `least` such trials.
    pub(super) fn median_of_others(&self, n: usize, at: usize, least: usize) -> Option<f64> {
        let means = self.means.get(n - 1).map_or(&[][..], Vec::as_slice);
        let course = &self.courses[at];
        let own = (course.completed && course.values.len() >= n)
            .then(|| means.partition_point(|mean| mean.total_cmp(&mean_of(&course.values[..n])).is_lt()));
        let count = means.len() - usize::from(own.is_some());
        if count < least.max(1) {
            return None;
        }
        let of_others = |place: usize| means[place + usize::from(own.is_some_and(|own| own <= place))];
        Some((of_others((count - 1) / 2) + of_others(count / 2)) / 2.0)
    }

    fn push(&mut self, at: usize, value: f64) {
        let values = &mut self.courses[at].values;
        values.push(value);
        let count = values.len();
        if self.rule.is_rung(count) {
            let rung = self.rungs.entry(count).or_default();
            let place = rung.partition_point(|other| before(*other, (value, at)));
            rung.insert(place, (value, at));
            self.changed = true;
        }
    }

    /// Removes everything that a trial has measured, because it continues from an earlier epoch.
    fn remove(&mut self, at: usize) {
        self.complete(at, false);
        let course = std::mem::take(&mut self.courses[at]);
        for (count, value) in (1..).zip(course.values) {
            if let Some(rung) = self.rungs.get_mut(&count) {
                let place = rung.partition_point(|other| before(*other, (value, at)));
                rung.remove(place);
                self.changed = true;
            }
        }
    }

    fn complete(&mut self, at: usize, completed: bool) {
        let course = &mut self.courses[at];
        if std::mem::replace(&mut course.completed, completed) == completed || !matches!(self.rule, Rule::Median(_)) {
            return;
        }
        let values = &course.values;
        self.means.resize(self.means.len().max(values.len()), Vec::new());
        let mut sum = 0.0;
        for (index, (value, means)) in values.iter().zip(&mut self.means).enumerate() {
            sum += value;
            let mean = sum / (index + 1) as f64;
            let place = means.partition_point(|other| other.total_cmp(&mean).is_lt());
            if completed {
                means.insert(place, mean);
            } else {
                means.remove(place);
            }
        }
    }
}

/// Sums in the same order as [`Standings::complete`], so that equal means are equal bit for bit.
fn mean_of(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |sum, value| sum + value) / values.len() as f64
}

fn before(one: (f64, usize), other: (f64, usize)) -> bool {
    one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)).is_lt()
}

#[cfg(test)]
impl Standings {
    /// Standings of completed trials with these values.
    pub(super) fn of(rule: Rule, table: &[&[f64]]) -> Standings {
        let mut standings = Standings::new(rule);
        standings.courses.resize_with(table.len(), Course::default);
        for (at, values) in table.iter().enumerate() {
            values.iter().for_each(|value| standings.push(at, *value));
            standings.courses[at].before = values.len().saturating_sub(1);
            standings.complete(at, true);
        }
        standings
    }

    /// Marks the trial as not completed.
    pub(super) fn interrupt(&mut self, at: usize) {
        self.complete(at, false);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{Asha, Hyperband, Median};
    use super::*;
    use crate::history::{Entry, History};
    use crate::trial::{Attempt, EpochMetrics};

    fn metric() -> Metric {
        Metric { name: "val_loss".into(), goal: Goal::Minimize }
    }

    /// An event that can happen to a trial.
    #[derive(Debug, Clone)]
    enum Happening {
        Epoch(f64),
        Unmeasured,
        /// A program's row about an epoch that may be known, or leave a gap.
        Row(u32, Option<f64>),
        Spared,
        /// The attempt is lost, and the trial restarts from a share of its epochs.
        Again(u32),
        Finished,
    }

    fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
        let one = prop_oneof![
            8 => (0..6_i32).prop_map(|value| Happening::Epoch(f64::from(value))),
            1 => Just(Happening::Unmeasured),
            3 => (1..14_u32, prop::option::of(0..6_i32)).prop_map(|(epoch, value)| Happening::Row(epoch, value.map(f64::from))),
            1 => Just(Happening::Spared),
            1 => (0..4_u32).prop_map(Happening::Again),
            1 => Just(Happening::Finished),
        ];
        prop::collection::vec((1..7_u64, one), 0..120)
    }

    /// Returns the journal entries of the event. None if the trial is over.
    fn entries(history: &History, id: TrialId, happening: &Happening) -> Vec<Entry> {
        let trial = history.trial(id).expect("all were started");
        let attempt = Attempt { trial: id, number: trial.attempts };
        let epoch = trial.curve.len() as u32 + 1;
        let began = |attempt, from_epoch| Entry::Began {
            attempt,
            from_epoch,
            parameters: 1,
            train_examples: 1,
            validation_examples: 1,
            warnings: Vec::new(),
            from_zero: false,
        };
        let epoch_of = |val_loss| {
            let metrics = EpochMetrics { epoch, val_loss, ..EpochMetrics::default() };
            vec![Entry::Epoch { attempt, metrics, others: Default::default() }]
        };
        match happening {
            _ if trial.outcome().is_some() => Vec::new(),
            // A trial has rows or epochs: programs have the even numbers here.
            Happening::Row(..) if !id.0.is_multiple_of(2) => Vec::new(),
            Happening::Epoch(_) | Happening::Unmeasured if id.0.is_multiple_of(2) => Vec::new(),
            Happening::Epoch(value) => epoch_of(Some(*value)),
            Happening::Unmeasured => epoch_of(None),
            Happening::Row(epoch, val_loss) => {
                let metrics = EpochMetrics { epoch: *epoch, val_loss: *val_loss, ..EpochMetrics::default() };
                vec![Entry::Row {
                    attempt,
                    metrics,
                    others: Default::default(),
                    read: None,
                    planned: None,
                    source: None,
                }]
            }
            Happening::Spared if trial.spared.is_some() => Vec::new(),
            Happening::Spared => vec![Entry::Spared { at: 0.0, attempt, by: Stopper::Median, epoch: epoch - 1 }],
            Happening::Again(share) => {
                let next = Attempt { number: attempt.number + 1, ..attempt };
                let slot = "cpu:0".to_owned();
                vec![
                    Entry::Paused { at: 0.0, attempt, unsaved: None, later: false, signal: None },
                    Entry::Started { at: 0.0, attempt: next, slot, settings: None, seed: None, place: None },
                    began(next, (epoch - 1) * share / 4),
                ]
            }
            Happening::Finished => vec![Entry::Ended { at: 0.0, attempt, outcome: Outcome::Finished }],
        }
    }

    proptest! {
        /// After any sequence of events, incrementally updated standings equal standings built from the final history.
        #[test]
        fn standings_that_follow_a_history_equal_those_made_from_it(happenings in happenings()) {
            let rules = [
                Rule::Asha(Asha::new(1, 2.0)),
                Rule::Hyperband(Hyperband::upwards(1, 2.0, false)),
                Rule::Median(Median::new(1, 1)),
            ];
            let metric = metric();
            let mut history = History::default();
            let mut followed = rules.clone().map(Standings::new);
            let settings = json!({"x": 1}).as_object().cloned();
            for id in (1..7).map(TrialId) {
                let attempt = Attempt { trial: id, number: 1 };
                let entry = Entry::Started { at: 0.0, attempt, slot: "cpu:0".into(), settings: settings.clone(), seed: None, place: None };
                history.apply(&entry).unwrap();
                followed.iter_mut().for_each(|standings| standings.update(history.trial(id).unwrap(), &metric));
            }
            for (number, happening) in happenings {
                let id = TrialId(number);
                for entry in entries(&history, id, &happening) {
                    history.apply(&entry).unwrap();
                    let trial = history.trial(id).unwrap();
                    followed.iter_mut().for_each(|standings| match &entry {
                        Entry::Row { metrics, .. } => standings.revise(trial, &metric, metrics.epoch),
                        _ => standings.update(trial, &metric),
                    });
                }
            }
            for (rule, followed) in rules.into_iter().zip(&followed) {
                let mut made = Standings::new(rule);
                history.trials.iter().for_each(|trial| made.update(trial, &metric));
                prop_assert_eq!(&made.courses, &followed.courses);
                let rungs = |standings: &Standings| -> Vec<_> {
                    standings.rungs.clone().into_iter().filter(|(_, rung)| !rung.is_empty()).collect()
                };
                prop_assert_eq!(rungs(&made), rungs(followed));
                let means = |standings: &Standings| -> Vec<_> {
                    standings.means.iter().filter(|means| !means.is_empty()).cloned().collect()
                };
                prop_assert_eq!(means(&made), means(followed));
            }
        }
    }
}
