//! What has happened in a sweep: the journal's entries and the state that they add up to.
//!
//! Running and resuming share [`History::apply`], so they cannot disagree. This module is pure; the `sweep-store` crate
//! reads and writes the files.

mod entry;
mod record;
mod steer;

pub use entry::{Entry, FORMAT};
pub use record::{Status, TrialRecord};

use std::collections::{BTreeMap, HashMap};

use crate::shape::Shape;
use crate::steering::{Places, Steering};
use crate::trial::{Attempt, EpochMetrics, MOST_OTHERS, Metric, Outcome, Settings, TrialId, fingerprint};
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
