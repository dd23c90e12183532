//! What has happened in a sweep: the journal's entries and the state that they add up to.
//!
//! Running and resuming share [`History::apply`], so they cannot disagree. This module is pure; the `sweep-store` crate
//! reads and writes the files.

mod apply;
mod curve;
mod entry;
mod import;
mod record;
mod round;
mod stage;

pub use curve::Curve;
pub use entry::{Entry, FORMAT, Machine, NodeChange};
pub use import::{Import, Known};
pub use record::{NodeRecord, Status, TrialRecord};
pub use round::Round;
pub use stage::Stage;

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::budget::Purchase;
use crate::shape::Shape;
use crate::steering::{Places, Steering};
use crate::trial::{EpochMetrics, Metric, Settings, TrialId, fingerprint};
use crate::warning::Warning;

/// The replacement of the sweep file by another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// When the file was replaced, in Unix seconds.
    pub at: f64,
    /// Number of trials begun by then.
    pub begun: usize,
    /// Text of the old file.
    pub before: String,
    /// Text of the new file.
    pub file: String,
    /// The differences, one per line.
    pub changes: Vec<String>,
    /// Total number of trials by the old and by the new file. `None` if the search has no end.
    pub trials: (Option<u64>, Option<u64>),
    /// The stage that began with the new file. `None` if the user replaced the file.
    pub stage: Option<Stage>,
}

/// The state that the journal's entries so far add up to. Everyone can read it; only [`History::apply`] changes it,
/// which the compiler enforces: there is no `DerefMut`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History(State);

impl std::ops::Deref for History {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

/// The parts of a [`History`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Name of the sweep.
    pub name: String,
    /// Folder that relative paths in the sweep file start from.
    pub base: std::path::PathBuf,
    /// Folder in which programs start. `None` if the sweep file alone says it, as older versions had it.
    pub start: Option<std::path::PathBuf>,
    /// Problems found in the images. `None` if the images were not checked.
    pub pictures: Option<Vec<Warning>>,
    /// When the sweep began, in Unix seconds.
    pub began_at: f64,
    /// When the newest controller took over, in Unix seconds.
    pub run_at: f64,
    /// Time of the newest controller's last entry that has one, in Unix seconds.
    seen_at: f64,
    /// For how long earlier controllers ran, as far as their entries show, in seconds.
    spent: f64,
    /// Version of `sweep` that took over last.
    pub version: String,
    /// Names of the slots that the newest controller found.
    pub slots: Vec<String>,
    /// Number of controllers so far.
    pub runs: u64,
    /// Where the newest controller started agents, besides its own machine.
    pub on: Vec<String>,
    /// The other hosts of the newest controller, by name.
    pub nodes: BTreeMap<String, NodeRecord>,
    /// Folder through which trainers of the newest controller connect to the CUDA MPS daemon, if one runs.
    pub mps: Option<std::path::PathBuf>,
    /// For `tpe` and `bayes`: a trial's parameters do not depend on the results of this many trials just before it.
    /// `None` until the method has run.
    pub lag: Option<u32>,
    /// The libraries that trainers used, in order of appearance. If there are several, the same trial may differ in its
    /// last bits.
    pub backends: Vec<String>,
    /// Measurements of the trials' shapes, by name.
    pub shapes: std::collections::BTreeMap<String, Shape>,
    /// Slots whose devices must not be used, each with the reason.
    pub held: std::collections::BTreeMap<String, String>,
    /// The trials that were started, in the order of their numbers, which have no gap.
    pub trials: Vec<TrialRecord>,
    /// Text of the sweep file that the sweep began with. `None` if an older version began it.
    pub file: Option<String>,
    /// What the user has asked for from other terminals.
    pub steering: Steering,
    /// Which numbers of the plan have begun.
    pub places: Places,
    /// Replacements of the sweep file, oldest first.
    pub extensions: Vec<Extension>,
    /// What the budget of the current sweep file buys, once that is known.
    pub purchase: Option<Purchase>,
    /// Rounds of the race among the configurations of the current sweep file, oldest first.
    pub rounds: Vec<Round>,
    /// What is known of older studies, oldest first.
    pub imports: Vec<Import>,
    /// Number of trials per fingerprint of their parameters.
    repeats: HashMap<u64, u32>,
    /// Whether the newest controller exited in an orderly way with the sweep complete.
    pub complete: bool,
    /// Trials that have ended and may have left files behind, each with the number of ends by then. Such files are
    /// removed before the next trial is assigned to a trainer. The trainer's first message about that trial therefore
    /// proves that they are gone.
    pub untidied: BTreeMap<TrialId, u64>,
    /// Number of times that a trial has ended.
    ends: u64,
    /// Trials that have ended lately, oldest first. Their curves are not packed, because they are still read.
    recent: VecDeque<TrialId>,
    /// For each assigned attempt that has not begun, the number of times that a trial had ended before.
    handed_out: BTreeMap<TrialId, u64>,
}

impl State {
    /// For how long controllers have run the sweep so far, as far as their entries show, in seconds.
    pub fn seconds_run(&self) -> f64 {
        self.spent + (self.seen_at - self.run_at).max(0.0)
    }

    /// Returns the trial with that number, if it was ever started.
    pub fn trial(&self, id: TrialId) -> Option<&TrialRecord> {
        self.trials.get(usize::try_from(id.0.checked_sub(1)?).ok()?)
    }

    /// Returns the host of a slot, if it is not the controller's own: the part of the slot's name before the `/`.
    pub fn node_of<'a>(&self, slot: &'a str) -> Option<&'a str> {
        slot.split_once('/').map(|(node, _)| node)
    }

    /// Returns the other hosts of the newest controller by their kind of processor. If there are several kinds, the same
    /// trial may differ in its last bits.
    pub fn processors(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, node) in self.nodes.iter().filter(|(_, node)| !node.machine.processor.is_empty()) {
            kinds.entry(&node.machine.processor).or_default().push(name);
        }
        kinds
    }

    /// Returns whether the images were checked before training and nothing serious was found.
    pub fn pictures_sound(&self) -> bool {
        self.pictures.as_ref().is_some_and(|found| !found.iter().any(|warning| warning.serious))
    }

    /// Returns the number of leading trials that are not comparable with the newest ones, because a stage began that
    /// trains for another number of epochs, for example.
    pub fn apart(&self) -> usize {
        self.beginnings().next().unwrap_or(0)
    }

    /// Numbers of trials begun before each stage that is not comparable with the one before, newest first.
    fn beginnings(&self) -> impl Iterator<Item = usize> {
        self.extensions
            .iter()
            .rev()
            .filter(|one| one.stage.as_ref().is_some_and(|stage| stage.apart))
            .map(|one| one.begun)
    }

    /// Returns the number of the current stage, from 1.
    pub fn stage(&self) -> u32 {
        self.extensions.iter().rev().find_map(|one| one.stage.as_ref()).map_or(1, |stage| stage.number)
    }

    /// Returns the trials that ended without an error, best first by the metric at their best epoch. Trials without a
    /// value are left out, and so are those of earlier stages that are not comparable with the newest results.
    pub fn ranking(&self, metric: &Metric) -> Vec<(&TrialRecord, EpochMetrics)> {
        let mut ranked: Vec<_> = self
            .trials
            .iter()
            .filter(|trial| trial.ended_well())
            .filter_map(|trial| Some((trial, *metric.best(&trial.curve)?)))
            .collect();
        let newest = ranked.last().map_or(0, |(trial, _)| trial.id.0);
        let apart = self.beginnings().find(|begun| newest > *begun as u64).unwrap_or(0);
        ranked.retain(|(trial, _)| trial.id.0 > apart as u64);
        let value = |epoch: &EpochMetrics| epoch.get(&metric.name).unwrap_or(f64::NAN);
        ranked.sort_by(|(_, a), (_, b)| match metric.goal {
            crate::trial::Goal::Minimize => value(a).total_cmp(&value(b)),
            crate::trial::Goal::Maximize => value(b).total_cmp(&value(a)),
        });
        ranked
    }

    /// Returns how long controllers have run the sweep, in seconds. That of a killed one counts up to its last entry.
    pub fn ran(&self) -> f64 {
        self.spent + (self.seen_at - self.run_at).max(0.0)
    }

    /// Returns whether the trial is a repeat that a race asked for.
    pub fn is_raced(&self, id: TrialId) -> bool {
        self.rounds.first().is_some_and(|round| id.0 > round.after)
    }

    /// The text of the sweep file. `None` if an older version began the sweep, and it was never extended.
    pub fn sweep_file(&self) -> Option<&str> {
        self.extensions.last().map(|extension| extension.file.as_str()).or(self.file.as_deref())
    }

    /// The text of the last sweep file that the user gave, which stages may have replaced. `None` if an older version
    /// began the sweep, and the user never extended it.
    pub fn given_file(&self) -> Option<&str> {
        let given = self.extensions.iter().rev().find(|extension| extension.stage.is_none());
        given.map(|extension| extension.file.as_str()).or(self.file.as_deref())
    }

    /// The trials of older studies whose value is of this metric.
    pub fn imported(&self, metric: &str) -> impl Iterator<Item = &Known> {
        self.imports.iter().filter(move |import| import.metric == metric).flat_map(|import| &import.trials)
    }

    /// Which repeat of these settings the next trial would be that has them, from 1.
    pub fn next_repeat(&self, settings: &Settings) -> u32 {
        self.repeats.get(&fingerprint(settings)).map_or(1, |count| count + 1)
    }
}

impl History {
    /// Takes one entry in. An entry that cannot follow what came before is an error that says why.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        self.0.apply(entry)
    }

    /// Returns an altered copy, for a chart that must not show a value as it is, or for a test.
    pub fn altered(mut self, alter: impl FnOnce(&mut State)) -> History {
        alter(&mut self.0);
        self
    }

    /// Returns a program's history with another metric that ranks the trials. `old` is the name of the current one.
    pub fn ranked_by(mut self, old: &str, new: &str) -> History {
        self.0.trials.iter_mut().for_each(|trial| trial.rank_by(old, new));
        self
    }

    /// Returns the state while no controller runs the sweep: trials still marked as running belonged to a dead one. The
    /// next controller finds the same.
    pub fn abandoned(mut self) -> History {
        self.0.abandon();
        self
    }
}
