//! What has happened in a sweep: the journal's entries, and the state that they add up to.
//!
//! Running and resuming share [`History::apply`], so they cannot disagree. Pure: files are `store`'s matter.

mod entry;

pub use entry::{Entry, FORMAT};

use std::collections::{BTreeMap, HashMap};

use crate::shape::Shape;
use crate::trial::{Attempt, EpochMetrics, MOST_OTHERS, Metric, Outcome, Settings, Stopper, TrialId, fingerprint};
use crate::warning::Warning;

/// Where a trial stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// An attempt is under way, or was when its controller died.
    Running,
    /// Begun, and to be gone on with: paused, or lost to a fault.
    Waiting,
    /// Over.
    Ended(Outcome),
}

impl Status {
    /// The name in CSV files: `running`, `waiting` or the outcome's.
    pub fn name(&self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Ended(outcome) => outcome.name(),
        }
    }
}

/// One trial that has been started at least once.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialRecord {
    /// Its number.
    pub id: TrialId,
    /// Its settings, in the words of the sweep file that holds now.
    pub settings: Settings,
    /// Which of the trials of these settings it is, from 1.
    pub repeat: u32,
    /// Where it stands.
    pub status: Status,
    /// Attempts so far, those that a fault or a pause ended included.
    pub attempts: u32,
    /// Attempts lost to faults since the trial began or was reopened.
    pub faults: u32,
    /// The last fault, if any.
    pub last_fault: Option<String>,
    /// Whether it has lacked memory, and has its device for itself the next time.
    pub crowded: bool,
    /// Its share of the energy of the devices it was on; `None` where that is not told.
    pub joules: Option<f64>,
    /// The epochs, numbered 1, 2, 3, … without a gap.
    pub curve: Vec<EpochMetrics>,
    /// What programs measured besides: by name, each epoch's number with the value.
    pub others: BTreeMap<String, Vec<(u32, f64)>>,
    /// Its own seed; `None` for one that an older version began, which has the sweep's.
    pub seed: Option<u64>,
    /// Whether it is a program that counts its epochs from 0.
    pub from_zero: bool,
    /// Bytes of its metrics file whose rows are in the curve; `None` where there is no file.
    pub read: Option<u64>,
    /// The slot of the newest attempt.
    pub slot: String,
    /// Unix seconds at which the newest attempt started.
    pub started_at: f64,
    /// Unix seconds at which the trial first started.
    pub first_started_at: f64,
    /// Unix seconds at which it ended or paused.
    pub ended_at: Option<f64>,
    /// The rule that would have ended it and the epochs that it had trained, if it runs on in spite of that.
    pub spared: Option<(Stopper, u32)>,
    /// Wall seconds of all attempts whose end is known.
    pub seconds: f64,
    /// Trainable weights, once known.
    pub parameters: Option<u64>,
    /// Pictures an epoch, once known.
    pub train_examples: Option<u64>,
    /// Pictures held out, once known.
    pub validation_examples: Option<u64>,
    /// What was found wrong with its network before the first step.
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

    /// Whether the trial is over, and has an error.
    pub fn failed(&self) -> bool {
        self.outcome().is_some_and(|outcome| outcome.error().is_some())
    }

    /// Whether the trial is over, and has none.
    pub fn ended_well(&self) -> bool {
        self.outcome().is_some_and(|outcome| outcome.error().is_none())
    }

    /// The outcome, if the trial is over.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            Status::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}

/// Another sweep file took the place of the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// Unix seconds.
    pub at: f64,
    /// How many trials had been begun.
    pub begun: usize,
    /// The text of the file before.
    pub before: String,
    /// The text of the file since.
    pub file: String,
    /// What is different, each in a line.
    pub changes: Vec<String>,
    /// Trials in all by the file before and by the one since; `None` where the search has no end.
    pub trials: (Option<u64>, Option<u64>),
}

/// Everything that the journal says so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The sweep's name.
    pub name: String,
    /// Where relative paths of the sweep file start.
    pub base: std::path::PathBuf,
    /// What was found wrong with the pictures; `None` where they were not looked at.
    pub pictures: Option<Vec<Warning>>,
    /// Unix seconds at which the sweep began.
    pub began_at: f64,
    /// Unix seconds at which the newest controller took over.
    pub run_at: f64,
    /// The version of `sweep` that took over last.
    pub version: String,
    /// The slots that the newest controller found, by name.
    pub slots: Vec<String>,
    /// Where trainers of the newest controller meet the daemon of CUDA MPS, if it runs.
    pub mps: Option<std::path::PathBuf>,
    /// How many trials just before a trial its settings do not know the results of, once `method: tpe` was run.
    pub lag: Option<u32>,
    /// The libraries that trainers calculated with, in the order in which they came; a change means that the same trial
    /// may differ in its last bits.
    pub backends: Vec<String>,
    /// What was learnt of the trials' shapes, by name.
    pub shapes: std::collections::BTreeMap<String, Shape>,
    /// Slots whose devices may not be used, each with the reason.
    pub held: std::collections::BTreeMap<String, String>,
    /// The trials that were started, in the order of their numbers, which have no gap.
    pub trials: Vec<TrialRecord>,
    /// How the sweep grew, the last time last.
    pub extensions: Vec<Extension>,
    /// How many trials have settings of that fingerprint.
    repeats: HashMap<u64, u32>,
    /// Whether the newest controller left in an orderly way with nothing left to do.
    pub complete: bool,
    /// Trials that have ended and may have left something behind, each with how many had ended by then. What an end
    /// leaves is removed before the next trial is handed to a trainer, so that its first word about it proves that.
    pub untidied: BTreeMap<TrialId, u64>,
    /// How often trials have ended.
    ends: u64,
    /// For each attempt that was handed out and has not begun, how often trials had ended before.
    handed_out: BTreeMap<TrialId, u64>,
}

impl History {
    /// The trial of that number, if it was ever started.
    pub fn trial(&self, id: TrialId) -> Option<&TrialRecord> {
        self.trials.get(usize::try_from(id.0.checked_sub(1)?).ok()?)
    }

    /// Whether the pictures were looked at before training, and nothing serious was found.
    pub fn pictures_sound(&self) -> bool {
        self.pictures.as_ref().is_some_and(|found| !found.iter().any(|warning| warning.serious))
    }

    /// Trials that ended well, best first by the metric at their best epoch; those without a value are left out.
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

    /// Which repeat of these settings the next trial would be that has them, from 1.
    pub fn next_repeat(&self, settings: &Settings) -> u32 {
        self.repeats.get(&fingerprint(settings)).map_or(1, |count| count + 1)
    }

    /// Takes one entry in. An entry that cannot follow what came before is an error that says why.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::Sweep { format, name, at, base, pictures, .. } => {
                if *format != FORMAT {
                    return Err(format!("it has format {format}, and this version of sweep reads format {FORMAT}"));
                }
                (self.name, self.began_at, self.base) = (name.clone(), *at, base.clone());
                self.pictures.clone_from(pictures);
            }
            Entry::Extended { at, base, before, file, changes, trials, settings, .. } => {
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
            }
            Entry::Run { at, slots, version, mps, lag, .. } => {
                self.run_at = *at;
                self.lag = lag.or(self.lag);
                self.version.clone_from(version);
                self.slots = slots.clone();
                self.mps.clone_from(mps);
                self.held.clear();
                self.complete = false;
                // Whoever was running is not any more: there is one controller a sweep.
                for trial in self.trials.iter_mut().filter(|trial| trial.status == Status::Running) {
                    trial.status = Status::Waiting;
                }
            }
            Entry::Backend { backend, .. } => self.backends.push(backend.clone()),
            Entry::Started { at, attempt, slot, settings, seed } => {
                self.start(*at, *attempt, slot, settings.as_ref())?;
                if let Some(seed) = seed {
                    self.running(*attempt)?.seed = Some(*seed);
                }
                self.handed_out.insert(attempt.trial, self.ends);
            }
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
            Entry::Paused { at, attempt } => self.running(*attempt)?.leave(*at, Status::Waiting),
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
                    Some(trial) if matches!(outcome, Outcome::Stopped { .. }) => {
                        trial.status = Status::Ended(outcome.clone());
                    }
                    _ => self.running(*attempt)?.leave(*at, Status::Ended(outcome.clone())),
                }
                self.ends += 1;
                self.untidied.insert(attempt.trial, self.ends);
            }
            Entry::Reopened { trial: id, kept, .. } => {
                let trial = self.trial_mut(*id).ok_or_else(|| format!("trial {id} was never started"))?;
                trial.status = Status::Waiting;
                trial.faults = 0;
                trial.crowded = false;
                trial.ended_at = None;
                trial.spared = None;
                if !kept {
                    trial.cut(0);
                    trial.read = None;
                }
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

    fn start(&mut self, at: f64, attempt: Attempt, slot: &str, settings: Option<&Settings>) -> Result<(), String> {
        let next = self.trials.len() as u64 + 1;
        if attempt.trial.0 == next && attempt.number == 1 {
            let settings = settings.cloned().ok_or_else(|| format!("{attempt} starts without settings"))?;
            self.trials.push(TrialRecord {
                id: attempt.trial,
                repeat: count(&mut self.repeats, &settings),
                settings,
                status: Status::Running,
                attempts: 1,
                faults: 0,
                last_fault: None,
                crowded: false,
                seed: None,
                from_zero: false,
                read: None,
                joules: None,
                curve: Vec::new(),
                others: BTreeMap::new(),
                slot: slot.to_owned(),
                started_at: at,
                first_started_at: at,
                ended_at: None,
                spared: None,
                seconds: 0.0,
                parameters: None,
                train_examples: None,
                validation_examples: None,
                warnings: Vec::new(),
            });
            return Ok(());
        }
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

    /// The trial of an attempt that was its last, and did not end it.
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

/// Counts a trial of these settings: which of them it is, from 1.
fn count(repeats: &mut HashMap<u64, u32>, settings: &Settings) -> u32 {
    let count = repeats.entry(fingerprint(settings)).or_default();
    *count += 1;
    *count
}

impl TrialRecord {
    /// Forgets the epochs after that one.
    fn cut(&mut self, epoch: u32) {
        self.curve.retain(|one| one.epoch <= epoch);
        self.others.values_mut().for_each(|values| values.retain(|(at, _)| *at <= epoch));
        self.others.retain(|_, values| !values.is_empty());
    }

    fn leave(&mut self, at: f64, status: Status) {
        self.status = status;
        self.ended_at = Some(at);
        // A clock that was set back must not make a duration negative.
        self.seconds += (at - self.started_at).max(0.0);
    }
}
