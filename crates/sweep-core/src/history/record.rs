//! What is known about one trial.

use std::collections::BTreeMap;

use super::curve::Curve;
use super::entry::Machine;
use crate::group::Group;
use crate::steering::Wish;
use crate::trial::{EpochMetrics, METRICS, Outcome, Settings, Stopper, TrialId};
use crate::warning::Warning;

/// What is known about another host that trains for the sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRecord {
    /// When its agent joined, in Unix seconds.
    pub joined_at: f64,
    /// Names of its slots.
    pub slots: Vec<String>,
    pub machine: Machine,
    /// Since when there is no word from it, and why. `None` if it was heard last.
    pub silent: Option<(f64, String)>,
    /// When it left, and why. `None` while it belongs to the sweep.
    pub left: Option<(f64, String)>,
}

/// Status of a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// An attempt is running, or was running when its controller died.
    Running,
    /// The trial has begun and will continue: it was paused, or its last attempt was lost.
    Waiting,
    /// The trial is over.
    Ended(Outcome),
}

impl Status {
    /// Returns the name in CSV files: `running`, `waiting`, or the name of the outcome.
    pub fn name(&self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Ended(outcome) => outcome.name(),
        }
    }
}

/// A trial that has been started at least once.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialRecord {
    pub id: TrialId,
    /// Parameters of the trial, written as in the current sweep file.
    pub settings: Settings,
    /// Which of the trials with these parameters it is, counted from 1.
    pub repeat: u32,
    pub status: Status,
    /// Attempts so far, including those that were lost or paused.
    pub attempts: u32,
    /// How many of the attempts came before the trial was last begun anew, in an empty folder.
    pub discarded: u32,
    /// Attempts lost since the trial began or was reopened.
    pub faults: u32,
    /// Number of attempts in a row that asked to be started again later and reported no epoch.
    pub postponed: u32,
    /// Why nothing shows that the attempt before a pause saved a checkpoint. `None` if it did, or if it was lost.
    pub unsaved: Option<String>,
    /// Why the last lost attempt was lost, if any was.
    pub last_fault: Option<String>,
    /// Whether an attempt ran out of memory. If so, the next attempt has its device to itself.
    pub crowded: bool,
    /// The trial's share of the energy of its devices, in joules. `None` if the devices do not report energy.
    pub joules: Option<f64>,
    /// Metrics of the epochs, numbered 1, 2, 3, … without a gap.
    pub curve: Curve,
    /// Other metrics that a program reported: for each name, pairs of epoch number and value.
    pub others: BTreeMap<String, Vec<(u32, f64)>>,
    /// What the user wants of the trial, as long as it has not ended.
    pub wish: Option<Wish>,
    /// Number of its parameters in the plan: the trial's own, unless trials were put first.
    pub place: u64,
    /// Its own seed; `None` for one that an older version began, which has the sweep's.
    pub seed: Option<u64>,
    /// Whether it is a program that counts its epochs from 0.
    pub from_zero: bool,
    /// Bytes of its metrics file whose rows are in the curve; `None` where there is no file.
    pub read: Option<u64>,
    /// Number of epochs that its program means to train, if it has said so.
    pub planned: Option<u32>,
    /// Where the metric of a program is read from.
    pub source: Option<String>,
    /// Beginnings of the SHA-256 of its program's script: one for each change from attempt to attempt.
    pub scripts: Vec<String>,
    /// Processes of its program, if their end is not known.
    pub group: Option<Group>,
    /// The slot of the newest attempt.
    pub slot: String,
    /// When the newest attempt started, in Unix seconds.
    pub started_at: f64,
    /// When the trial first started, in Unix seconds.
    pub first_started_at: f64,
    /// When the trial ended or paused, in Unix seconds.
    pub ended_at: Option<f64>,
    /// The rule that would have ended the trial, and the epochs trained by then. `None` if the trial was not spared.
    pub spared: Option<(Stopper, u32)>,
    /// Wall time of all attempts whose end is known, in seconds.
    pub seconds: f64,
    /// The part of `seconds` before the trial was last reopened. `max_time` does not count it.
    pub seconds_before: f64,
    /// Number of trainable weights, once known.
    pub parameters: Option<u64>,
    /// Training images per epoch, once known.
    pub train_examples: Option<u64>,
    /// Validation images, once known.
    pub validation_examples: Option<u64>,
    /// Problems found in the network before the first step.
    pub warnings: Vec<Warning>,
}

impl TrialRecord {
    /// The number of the last epoch; 0 where there is none. A program's numbers may have gaps.
    pub fn epochs(&self) -> u32 {
        self.curve.last().map_or(0, |epoch| epoch.epoch)
    }

    /// The other metric of that name in an epoch.
    pub fn other(&self, name: &str, epoch: u32) -> Option<f64> {
        let values = self.others.get(name)?;
        values.binary_search_by_key(&epoch, |(at, _)| *at).ok().map(|at| values[at].1)
    }

    /// Returns whether the trial ended with an error. A configuration that cannot run is none.
    pub fn failed(&self) -> bool {
        self.outcome()
            .is_some_and(|outcome| outcome.error().is_some() && !matches!(outcome, Outcome::Impossible { .. }))
    }

    /// Returns whether the trial ended without an error and counts.
    pub fn ended_well(&self) -> bool {
        self.outcome().is_some_and(|outcome| outcome.error().is_none() && *outcome != Outcome::Skipped)
    }

    /// Returns the outcome, if the trial is over.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            Status::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl TrialRecord {
    /// Drops the epochs after `epoch`.
    pub(super) fn cut(&mut self, epoch: u32) {
        self.curve.retain(|one| one.epoch <= epoch);
        self.others.values_mut().for_each(|values| values.retain(|(at, _)| *at <= epoch));
        self.others.retain(|_, values| !values.is_empty());
    }

    /// Makes `new` the metric that ranks the trials, and `old` one of the others.
    pub(super) fn rank_by(&mut self, old: &str, new: &str) {
        if old == new {
            return;
        }
        if !METRICS.contains(&old) {
            let value = |epoch: &mut EpochMetrics| Some((epoch.epoch, epoch.objective.take()?));
            let values: Vec<(u32, f64)> = self.curve.iter_mut().filter_map(value).collect();
            if !values.is_empty() {
                self.others.insert(old.to_owned(), values);
            }
        }
        if !METRICS.contains(&new) {
            for (epoch, value) in self.others.remove(new).unwrap_or_default() {
                if let Ok(at) = self.curve.binary_search_by_key(&epoch, |one| one.epoch) {
                    self.curve[at].objective = Some(value);
                }
            }
        }
    }

    /// Ends a trial that no trainer has.
    pub(super) fn end(&mut self, outcome: &Outcome) {
        (self.status, self.wish) = (Status::Ended(outcome.clone()), None);
    }

    /// Lets an ended trial run again: on from its epochs if they are `kept`, or else from the start.
    pub(super) fn reopen(&mut self, kept: bool) {
        self.status = Status::Waiting;
        (self.faults, self.postponed) = (0, 0);
        (self.crowded, self.wish) = (false, None);
        (self.ended_at, self.spared) = (None, None);
        self.seconds_before = self.seconds;
        if !kept {
            self.cut(0);
            self.read = None;
            self.discarded = self.attempts;
        }
    }

    pub(super) fn leave(&mut self, at: f64, status: Status) {
        if matches!(status, Status::Ended(_)) {
            self.wish = None;
        }
        self.status = status;
        self.ended_at = Some(at);
        self.group = None;
        // A clock that was set back must not make a duration negative.
        self.seconds += (at - self.started_at).max(0.0);
    }
}
