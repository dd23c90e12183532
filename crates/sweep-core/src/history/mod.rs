//! What has happened in a sweep: the journal's entries and the state that they add up to.
//!
//! Running and resuming share [`History::apply`], so they cannot disagree. This module is pure; the `sweep-store` crate
//! reads and writes the files.

mod entry;

pub use entry::{Entry, FORMAT};

use std::collections::{BTreeMap, HashMap};

use crate::group::Group;
use crate::shape::Shape;
use crate::steering::{Places, Request, Steering, Wish};
use crate::trial::{
    Attempt, EpochMetrics, METRICS, MOST_OTHERS, Metric, Outcome, Settings, Stopper, TrialId, fingerprint,
};
use crate::warning::Warning;

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
    /// Number of the trial.
    pub id: TrialId,
    /// Parameters of the trial, written as in the current sweep file.
    pub settings: Settings,
    /// Which of the trials with these parameters it is, counted from 1.
    pub repeat: u32,
    /// Current status of the trial.
    pub status: Status,
    /// Attempts so far, including those that were lost or paused.
    pub attempts: u32,
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
    pub curve: Vec<EpochMetrics>,
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
    /// Version of `sweep` that took over last.
    pub version: String,
    /// Names of the slots that the newest controller found.
    pub slots: Vec<String>,
    /// Folder through which trainers of the newest controller connect to the CUDA MPS daemon, if one runs.
    pub mps: Option<std::path::PathBuf>,
    /// For `method: tpe`: a trial's parameters do not depend on the results of this many trials just before it. `None`
    /// until the method has run.
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
    /// For each assigned attempt that has not begun, the number of times that a trial had ended before.
    handed_out: BTreeMap<TrialId, u64>,
}

impl State {
    /// Returns the trial with that number, if it was ever started.
    pub fn trial(&self, id: TrialId) -> Option<&TrialRecord> {
        self.trials.get(usize::try_from(id.0.checked_sub(1)?).ok()?)
    }

    /// Returns whether the images were checked before training and nothing serious was found.
    pub fn pictures_sound(&self) -> bool {
        self.pictures.as_ref().is_some_and(|found| !found.iter().any(|warning| warning.serious))
    }

    /// Returns the trials that ended without an error, best first by the metric at their best epoch. Trials without a
    /// value are left out.
    pub fn ranking(&self, metric: &Metric) -> Vec<(&TrialRecord, EpochMetrics)> {
        let mut ranked: Vec<_> = self
            .trials
            .iter()
            .filter(|trial| trial.ended_well())
            .filter_map(|trial| Some((trial, *metric.best(&trial.curve)?)))
            .collect();
        let value = |epoch: &EpochMetrics| epoch.get(&metric.name).unwrap_or(f64::NAN);
        ranked.sort_by(|(_, a), (_, b)| match metric.goal {
            crate::trial::Goal::Minimize => value(a).total_cmp(&value(b)),
            crate::trial::Goal::Maximize => value(b).total_cmp(&value(a)),
        });
        ranked
    }

    /// The text of the sweep file. `None` if an older version began the sweep, and it was never extended.
    pub fn sweep_file(&self) -> Option<&str> {
        self.extensions.last().map(|extension| extension.file.as_str()).or(self.file.as_deref())
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

impl State {
    fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::Sweep { format, name, at, base, start, file, pictures, .. } => {
                if *format != FORMAT {
                    return Err(format!("it has format {format}, and this version of sweep reads format {FORMAT}"));
                }
                (self.name, self.began_at, self.base) = (name.clone(), *at, base.clone());
                self.start.clone_from(start);
                self.pictures.clone_from(pictures);
                self.file.clone_from(file);
            }
            Entry::Extended { at, base, start, before, file, changes, trials, settings, metric, .. } => {
                if let Some((old, new)) = metric {
                    self.trials.iter_mut().for_each(|trial| trial.rank_by(old, new));
                }
                for (id, settings) in settings {
                    let trial = self.trial_mut(*id).ok_or_else(|| format!("trial {id} was never started"))?;
                    trial.settings.clone_from(settings);
                }
                self.repeats.clear();
                for trial in &mut self.trials {
                    trial.repeat = count(&mut self.repeats, &trial.settings);
                }
                self.extensions.push(Extension {
                    at: *at,
                    begun: self.trials.len(),
                    before: before.clone(),
                    file: file.clone(),
                    changes: changes.clone(),
                    trials: *trials,
                });
                (self.base, self.complete) = (base.clone(), false);
                self.places.anew(self.trials.len() as u64);
                self.steering.first.clear();
                self.steering.skipped.clear();
                self.start.clone_from(start);
            }
            Entry::Run { at, slots, version, mps, lag, .. } => {
                self.run_at = *at;
                self.lag = lag.or(self.lag);
                self.version.clone_from(version);
                self.slots = slots.clone();
                self.mps.clone_from(mps);
                self.held.clear();
                self.complete = false;
                (self.steering.paused, self.steering.most) = (false, None);
                self.abandon();
            }
            Entry::Backend { backend, .. } => self.backends.push(backend.clone()),
            Entry::Started { at, attempt, slot, settings, seed, place } => {
                self.start(*at, *attempt, slot, (settings.as_ref(), *place))?;
                if let Some(seed) = seed {
                    self.running(*attempt)?.seed = Some(*seed);
                }
                self.handed_out.insert(attempt.trial, self.ends);
            }
            Entry::Process { attempt, group } => self.running(*attempt)?.group = Some(group.clone()),
            Entry::Began {
                attempt,
                from_epoch,
                parameters,
                train_examples,
                validation_examples,
                warnings,
                from_zero,
            } => {
                let trial = self.running(*attempt)?;
                trial.cut(*from_epoch);
                if trial.curve.is_empty() {
                    trial.from_zero = *from_zero;
                }
                // Of a program nothing is known.
                trial.parameters = Some(*parameters).filter(|count| *count > 0);
                trial.train_examples = Some(*train_examples).filter(|count| *count > 0);
                trial.validation_examples = Some(*validation_examples).filter(|count| *count > 0);
                if !warnings.is_empty() {
                    trial.warnings.clone_from(warnings);
                }
                if let Some(before) = self.handed_out.remove(&attempt.trial) {
                    self.untidied.retain(|_, end| *end > before);
                }
            }
            Entry::Epoch { attempt, metrics, others } => {
                let trial = self.running(*attempt)?;
                let next = trial.curve.len() as u32 + 1;
                if metrics.epoch != next {
                    return Err(format!("{attempt} reports epoch {} where epoch {next} is due", metrics.epoch));
                }
                trial.curve.push(*metrics);
                for (name, value) in others {
                    if trial.others.len() < MOST_OTHERS || trial.others.contains_key(name) {
                        trial.others.entry(name.clone()).or_default().push((next, *value));
                    }
                }
            }
            Entry::Row { attempt, metrics, others, read } => {
                let trial = self.running(*attempt)?;
                if metrics.epoch == 0 {
                    return Err(format!("{attempt} reports epoch 0, and epochs are counted from 1"));
                }
                trial.read = read.or(trial.read);
                trial.postponed = 0;
                match trial.curve.binary_search_by_key(&metrics.epoch, |epoch| epoch.epoch) {
                    Ok(at) => trial.curve[at].update(metrics),
                    Err(at) => trial.curve.insert(at, *metrics),
                }
                for (name, value) in others {
                    if trial.others.len() >= MOST_OTHERS && !trial.others.contains_key(name) {
                        continue;
                    }
                    let values = trial.others.entry(name.clone()).or_default();
                    match values.binary_search_by_key(&metrics.epoch, |(epoch, _)| *epoch) {
                        Ok(at) => values[at].1 = *value,
                        Err(at) => values.insert(at, (metrics.epoch, *value)),
                    }
                }
            }
            Entry::Spared { attempt, by, epoch, .. } => self.running(*attempt)?.spared = Some((*by, *epoch)),
            Entry::Paused { at, attempt, unsaved, later } => {
                let trial = self.running(*attempt)?;
                trial.leave(*at, Status::Waiting);
                trial.unsaved.clone_from(unsaved);
                trial.postponed = if *later { trial.postponed + 1 } else { 0 };
            }
            Entry::Lost { at, attempt, fault, crowded } => {
                let trial = self.running(*attempt)?;
                trial.leave(*at, Status::Waiting);
                trial.faults += 1;
                trial.last_fault = Some(fault.clone());
                trial.crowded |= crowded;
            }
            Entry::Used { attempt, joules } => {
                let trial = self.running(*attempt)?;
                trial.joules = Some(trial.joules.unwrap_or(0.0) + joules);
            }
            Entry::Learnt { shape, fact, .. } => self.shapes.entry(shape.clone()).or_default().learn(*fact),
            Entry::Ended { at, attempt, outcome } => {
                match self.waiting(*attempt) {
                    Some(trial) if matches!(outcome, Outcome::Stopped { .. } | Outcome::Skipped) => {
                        trial.end(outcome);
                    }
                    _ => self.running(*attempt)?.leave(*at, Status::Ended(outcome.clone())),
                }
                self.ends += 1;
                self.untidied.insert(attempt.trial, self.ends);
            }
            Entry::Reopened { trial: id, kept, .. } => {
                let trial = self.trial_mut(*id).ok_or_else(|| format!("trial {id} was never started"))?;
                trial.reopen(*kept);
            }
            Entry::Steered { id, request, said, .. } => {
                if let Some(request) = request {
                    self.steer(request)?;
                }
                self.steering.answered(id, said);
            }
            Entry::Skipped { at, trial, settings, seed, place } => {
                let attempt = Attempt { trial: *trial, number: 1 };
                self.start(*at, attempt, "", (Some(settings), *place))?;
                let trial = self.running(attempt)?;
                (trial.attempts, trial.seed) = (0, Some(*seed));
                trial.leave(*at, Status::Ended(Outcome::Skipped));
            }
            Entry::Device { slot, held, .. } => {
                self.held.remove(slot);
                if let Some(reason) = held {
                    self.held.insert(slot.clone(), reason.clone());
                }
            }
            Entry::Left { complete, .. } => {
                self.complete = *complete;
                self.untidied.clear();
            }
        }
        Ok(())
    }

    /// Only one controller runs at a time, so trials still marked running belonged to a dead one.
    fn abandon(&mut self) {
        for trial in self.trials.iter_mut().filter(|trial| trial.status == Status::Running) {
            trial.status = Status::Waiting;
        }
    }

    fn start(
        &mut self,
        at: f64,
        attempt: Attempt,
        slot: &str,
        (settings, place): (Option<&Settings>, Option<u64>),
    ) -> Result<(), String> {
        let next = self.trials.len() as u64 + 1;
        if attempt.trial.0 == next && attempt.number == 1 {
            let settings = settings.cloned().ok_or_else(|| format!("{attempt} starts without settings"))?;
            let place = place.unwrap_or(next);
            self.places.begin(place);
            self.steering.skipped.remove(&place);
            self.steering.first.retain(|first| first.0 != place);
            self.trials.push(TrialRecord {
                id: attempt.trial,
                repeat: count(&mut self.repeats, &settings),
                settings,
                status: Status::Running,
                attempts: 1,
                faults: 0,
                postponed: 0,
                unsaved: None,
                last_fault: None,
                crowded: false,
                wish: None,
                place,
                seed: None,
                from_zero: false,
                read: None,
                group: None,
                joules: None,
                curve: Vec::new(),
                others: BTreeMap::new(),
                slot: slot.to_owned(),
                started_at: at,
                first_started_at: at,
                ended_at: None,
                spared: None,
                seconds: 0.0,
                seconds_before: 0.0,
                parameters: None,
                train_examples: None,
                validation_examples: None,
                warnings: Vec::new(),
            });
            return Ok(());
        }
        self.steering.first.retain(|first| *first != attempt.trial);
        let trial = self.trial_mut(attempt.trial).ok_or_else(|| format!("{attempt} starts before trial {next}"))?;
        if trial.status != Status::Waiting || attempt.number != trial.attempts + 1 {
            return Err(format!(
                "{attempt} starts, but the trial is {} after {} attempts",
                trial.status.name(),
                trial.attempts
            ));
        }
        trial.status = Status::Running;
        trial.attempts = attempt.number;
        trial.slot = slot.to_owned();
        trial.started_at = at;
        Ok(())
    }

    /// Carries out what the user asked for, as far as it concerns the state of the sweep.
    fn steer(&mut self, request: &Request) -> Result<(), String> {
        match request {
            Request::Stop { trials } => trials.iter().try_for_each(|id| self.wish(*id, Wish::Stop))?,
            Request::Skip { trials } => {
                for id in trials {
                    if self.trial(*id).is_some() {
                        self.wish(*id, Wish::Skip)?;
                    } else {
                        self.steering.skipped.insert(id.0);
                    }
                }
            }
            Request::Retry { trials, from_scratch } => {
                for id in trials {
                    if *from_scratch {
                        // Should the controller die before old checkpoints are removed, the next one removes them.
                        self.untidied.insert(*id, self.ends);
                    }
                    match self.trial_mut(*id) {
                        Some(trial) if trial.outcome().is_some() => trial.reopen(!from_scratch),
                        Some(_) => return Err(format!("trial {id} is retried, but it has not ended")),
                        None => drop(self.steering.skipped.remove(&id.0)),
                    }
                }
            }
            Request::Pause => self.steering.paused = true,
            Request::Continue => self.steering.paused = false,
            Request::First { trials } => {
                self.steering.first.retain(|first| !trials.contains(first));
                self.steering.first.splice(0..0, trials.iter().copied());
            }
            Request::Slots { most } => self.steering.most = *most,
            Request::Tag { trial, text } => {
                self.steering.tags.remove(trial);
                if !text.is_empty() {
                    self.steering.tags.insert(*trial, text.clone());
                }
            }
        }
        Ok(())
    }

    fn wish(&mut self, id: TrialId, wish: Wish) -> Result<(), String> {
        let trial = self.trial_mut(id).ok_or_else(|| format!("trial {id} was never started"))?;
        if trial.outcome().is_some() {
            return Err(format!("trial {id} is to {wish:?}, but it has ended"));
        }
        trial.wish = Some(wish);
        Ok(())
    }

    fn trial_mut(&mut self, id: TrialId) -> Option<&mut TrialRecord> {
        self.trials.get_mut(usize::try_from(id.0.checked_sub(1)?).ok()?)
    }

    /// Returns the trial of an attempt that was its last and did not end it.
    fn waiting(&mut self, attempt: Attempt) -> Option<&mut TrialRecord> {
        let trial = self.trial_mut(attempt.trial)?;
        (trial.status == Status::Waiting && trial.attempts == attempt.number).then_some(trial)
    }

    fn running(&mut self, attempt: Attempt) -> Result<&mut TrialRecord, String> {
        let trial = self.trial_mut(attempt.trial).ok_or_else(|| format!("{attempt} was never started"))?;
        if trial.status != Status::Running || trial.attempts != attempt.number {
            return Err(format!("{attempt} is not under way: the trial is {}", trial.status.name()));
        }
        Ok(trial)
    }
}

/// Counts a trial with these parameters and returns which of them it is, from 1.
fn count(repeats: &mut HashMap<u64, u32>, settings: &Settings) -> u32 {
    let count = repeats.entry(fingerprint(settings)).or_default();
    *count += 1;
    *count
}

impl TrialRecord {
    /// Drops the epochs after `epoch`.
    fn cut(&mut self, epoch: u32) {
        self.curve.retain(|one| one.epoch <= epoch);
        self.others.values_mut().for_each(|values| values.retain(|(at, _)| *at <= epoch));
        self.others.retain(|_, values| !values.is_empty());
    }

    /// Makes `new` the metric that ranks the trials, and `old` one of the others.
    fn rank_by(&mut self, old: &str, new: &str) {
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
    fn end(&mut self, outcome: &Outcome) {
        (self.status, self.wish) = (Status::Ended(outcome.clone()), None);
    }

    /// Lets an ended trial run again: on from its epochs if they are `kept`, or else from the start.
    fn reopen(&mut self, kept: bool) {
        self.status = Status::Waiting;
        (self.faults, self.postponed) = (0, 0);
        (self.crowded, self.wish) = (false, None);
        (self.ended_at, self.spared) = (None, None);
        self.seconds_before = self.seconds;
        if !kept {
            self.cut(0);
            self.read = None;
        }
    }

    fn leave(&mut self, at: f64, status: Status) {
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
