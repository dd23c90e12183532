//! The only transition: how an entry changes the state of a sweep.

use std::collections::{BTreeMap, HashMap};

use super::{Curve, Entry, Extension, FORMAT, NodeChange, NodeRecord, State, Status, TrialRecord};
use crate::steering::{Request, Wish};
use crate::trial::{Attempt, MOST_OTHERS, Outcome, Settings, TrialId, fingerprint};

/// Number of trials that ended last whose curves are not packed.
const RECENT: usize = 256;

impl State {
    #[expect(clippy::too_many_lines, reason = "one transition, with all entries side by side")]
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        if let Some(at) = entry.at_of_run() {
            self.seen_at = self.seen_at.max(at);
        }
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
            Entry::Extended { at, base, start, before, file, changes, trials, settings, metric, stage, .. } => {
                if let Some((old, new)) = metric {
                    self.trials.iter_mut().for_each(|trial| trial.rank_by(old, new));
                }
                for (id, settings) in settings {
                    let trial = self.trial_mut(*id).ok_or_else(|| format!("trial {id} was never started"))?;
                    trial.settings.clone_from(settings);
                }
                self.rounds.clear();
                self.purchase = None;
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
                    stage: stage.clone(),
                });
                (self.base, self.complete) = (base.clone(), false);
                self.places.anew(self.trials.len() as u64);
                self.steering.first.clear();
                self.steering.skipped.clear();
                self.start.clone_from(start);
            }
            Entry::Run { at, slots, version, mps, lag, on, .. } => {
                self.spent += (self.seen_at - self.run_at).max(0.0);
                (self.run_at, self.seen_at) = (*at, *at);
                self.runs += 1;
                self.lag = lag.or(self.lag);
                self.version.clone_from(version);
                self.slots = slots.clone();
                self.mps.clone_from(mps);
                self.held.clear();
                self.nodes.clear();
                self.on.clone_from(on);
                self.complete = false;
                (self.steering.paused, self.steering.most) = (false, None);
                self.abandon();
            }
            Entry::Node { at, node, what } => self.node(*at, node, what)?,
            Entry::Kept { attempt, .. } => {
                let trial = self.waiting(*attempt).ok_or_else(|| format!("{attempt} is kept, but was not left"))?;
                trial.status = Status::Running;
            }
            Entry::Backend { backend, .. } => self.backends.push(backend.clone()),
            Entry::Started { at, attempt, slot, settings, seed, place } => {
                self.start(*at, *attempt, slot, (settings.as_ref(), *place))?;
                if let Some(seed) = seed {
                    self.running(*attempt)?.seed = Some(*seed);
                }
                self.handed_out.insert(attempt.trial, self.ends);
            }
            Entry::Process { attempt, group, script } => {
                let trial = self.running(*attempt)?;
                trial.group.clone_from(group);
                let is_new = |script: &&String| trial.scripts.last() != Some(script);
                let script = script.iter().find(is_new).cloned();
                trial.scripts.extend(script);
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
            Entry::Warned { attempt, warning } => self.running(*attempt)?.warnings.push(warning.clone()),
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
            Entry::Row { attempt, metrics, others, read, planned, source } => {
                let trial = self.running(*attempt)?;
                if metrics.epoch == 0 {
                    return Err(format!("{attempt} reports epoch 0, and epochs are counted from 1"));
                }
                trial.read = read.or(trial.read);
                trial.planned = planned.or(trial.planned);
                trial.source = source.clone().or(trial.source.take());
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
            Entry::Imported { import, .. } => self.imports.push(import.clone()),
            Entry::Spared { attempt, by, epoch, .. } => self.running(*attempt)?.spared = Some((*by, *epoch)),
            Entry::Paused { at, attempt, unsaved, later, .. } => {
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
                self.settle(attempt.trial);
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
            Entry::Bought { purchase, .. } => self.purchase = Some(*purchase),
            Entry::Raced { round, .. } => {
                if round.after != self.trials.len() as u64 {
                    let begun = self.trials.len();
                    return Err(format!("a round follows trial {}, but {begun} trials have begun", round.after));
                }
                if let Some(unknown) = round.again.iter().find(|id| self.trial(**id).is_none()) {
                    return Err(format!("a round repeats trial {unknown}, which was never started"));
                }
                self.rounds.push(round.clone());
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
            Entry::Left { at, complete } => {
                let gone = Some((*at, "the controller has ended".to_owned()));
                self.nodes.values_mut().for_each(|node| node.left = node.left.take().or_else(|| gone.clone()));
                self.complete = *complete;
                self.untidied.clear();
            }
        }
        Ok(())
    }

    /// Packs the curve of a trial that ended a while ago. `ended` has ended now.
    fn settle(&mut self, ended: TrialId) {
        self.recent.push_back(ended);
        if self.recent.len() > RECENT
            && let Some(id) = self.recent.pop_front()
            && let Some(trial) = self.trial_mut(id)
        {
            trial.curve.pack();
        }
    }

    /// Only one controller runs at a time, so trials still marked running belonged to a dead one.
    pub(super) fn abandon(&mut self) {
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
                planned: None,
                source: None,
                scripts: Vec::new(),
                group: None,
                joules: None,
                curve: Curve::default(),
                others: BTreeMap::new(),
                slot: slot.to_owned(),
                started_at: at,
                first_started_at: at,
                ended_at: None,
                spared: None,
                seconds: 0.0,
                discarded: 0,
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

    /// Takes in what happened to another host.
    fn node(&mut self, at: f64, name: &str, what: &NodeChange) -> Result<(), String> {
        if let NodeChange::Joined { slots, machine } = what {
            let (own, machine) = (slots.clone(), machine.clone());
            let record = NodeRecord { joined_at: at, slots: own, machine, silent: None, left: None };
            // There may be thousands of slots, and those of a host that is new are, too.
            if let Some(old) = self.nodes.insert(name.to_owned(), record) {
                self.slots.retain(|slot| !old.slots.contains(slot));
            }
            self.slots.extend(slots.iter().cloned());
            return Ok(());
        }
        let node = self.nodes.get_mut(name).ok_or_else(|| format!("{name} changes, but has not joined"))?;
        match what {
            NodeChange::Joined { .. } => {}
            NodeChange::Silent { why } => node.silent = Some((at, why.clone())),
            NodeChange::Back => node.silent = None,
            NodeChange::Left { why } => {
                (node.silent, node.left) = (None, Some((at, why.clone())));
                let gone = std::mem::take(&mut node.slots);
                self.slots.retain(|slot| !gone.contains(slot));
                self.held.retain(|slot, _| !gone.contains(slot));
                if let Some(node) = self.nodes.get_mut(name) {
                    node.slots = gone;
                }
            }
        }
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
            Request::Join { on } => {
                let new: Vec<String> = on.iter().filter(|one| !self.on.contains(one)).cloned().collect();
                self.on.extend(new);
            }
            Request::Leave { node } => self.on.retain(|one| one.rsplit(':').next() != Some(node.as_str())),
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
