//! The part of the scheduler that assigns trials to slots.

use super::messages::{Action, Now, SlotId};
use super::packing::{DeviceLoad, Occupant};
use super::scheduler::{Mode, PAUSE_LIMIT, Scheduler};
use super::slots::{Progress, Slot, State, Use};
use sweep_core::history::Entry;
use sweep_core::random::trial_seed;
use sweep_core::trial::{Attempt, Settings, TrialId};

/// A trial that could be assigned to a slot.
pub(super) struct Candidate {
    attempt: Attempt,
    settings: Settings,
    shape: String,
    /// Whether an attempt of the trial ran out of memory.
    crowded: bool,
    /// Whether the trial needs a device to itself: it ran out of memory, or the memory that its shape needs is unknown.
    alone: bool,
}

impl Scheduler {
    /// Assigns trials to ready trainers, starts trainers where there is work for them, and ends them where there is
    /// none.
    pub(super) fn fill(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.mode == Mode::Running {
            self.keep_budget(now, actions);
            self.pass_over(now, actions);
            self.close(now, actions);
            self.race(now, actions);
            self.hold_back(now, actions);
            self.hand_out(now, actions);
            self.clear_kept(now, actions);
        }
        for id in self.slots.ready().iter().copied().collect::<Vec<_>>() {
            if self.mode != Mode::Running || self.is_complete() || self.is_in_the_way(id) {
                self.slots.turn(id, State::Ending);
                actions.push(Action::End(id));
            }
        }
        if self.mode == Mode::Running {
            self.start_trainers(now, actions);
        }
    }

    fn hand_out(&mut self, now: Now, actions: &mut Vec<Action>) {
        if let Some((id, place)) = self.kept {
            let usable =
                |slot: &Slot| slot.place == place && slot.held.is_none() && slot.absent.is_none() && !slot.is_out();
            if !self.candidate(id).is_some_and(|candidate| candidate.alone) || !self.slots.iter().any(usable) {
                self.kept = None;
            }
        }
        let is_usable = |id: &SlotId| self.slots[id.0].absent.is_none() && !self.must_leave(*id);
        let mut ready: Vec<SlotId> = self.slots.ready().iter().copied().filter(is_usable).collect();
        for id in self.due(now) {
            // No trainer is ready, but a trial that ran out of memory can make others leave.
            if ready.is_empty() && !self.history.trial(id).is_some_and(|trial| trial.crowded) {
                continue;
            }
            if let Some(candidate) = self.candidate(id) {
                self.offer(now, candidate, &mut ready, actions);
            }
        }
        while !ready.is_empty() {
            self.keep_budget(now, actions);
            let next = self.draw().and_then(|id| self.candidate(id));
            if !next.is_some_and(|candidate| self.offer(now, candidate, &mut ready, actions)) {
                return;
            }
        }
    }

    /// Assigns the trial to one of the trainers, if one is suitable. A device is reserved for a trial that needs one to
    /// itself. A new trial gets such a reservation only if no begun trial waits.
    fn offer(&mut self, now: Now, trial: Candidate, ready: &mut Vec<SlotId>, actions: &mut Vec<Action>) -> bool {
        let Some(at) = ready.iter().position(|slot| self.suits(*slot, &trial)) else {
            if trial.alone && self.kept.is_none() && (trial.attempt.number > 1 || self.waiting.is_empty()) {
                self.kept = self.emptiest().map(|place| (trial.attempt.trial, place));
            }
            return false;
        };
        let id = ready.remove(at);
        let Candidate { attempt, settings, shape, .. } = trial;
        self.kept = self.kept.filter(|(trial, _)| *trial != attempt.trial);
        let in_journal = if self.waiting.remove(&attempt.trial).is_some() { None } else { self.drawn.take() };
        let slot = self.slots[id.0].name.clone();
        let own_seed = |settings: &Settings| trial_seed(self.config.seed, settings, self.history.next_repeat(settings));
        let seed = in_journal.as_ref().map(own_seed);
        // Its parameters may be those of a later number, which the user wanted first.
        let place = in_journal.as_ref().map(|_| self.next_place()).filter(|place| *place != attempt.trial);
        let place = place.map(|place| place.0);
        self.record(actions, Entry::Started { at: now.unix, attempt, slot, settings: in_journal, seed, place });
        self.slots.turn(id, State::Training { attempt, progress: Progress::default() });
        let slot = &mut self.slots[id.0];
        (slot.taken_over, slot.heard, slot.assigned) = (false, now.since, now.since);
        let left = if slot.is_pure(&shape) { 0 } else { slot.used.memory };
        slot.used = Use { shape: Some(shape), left, memory: slot.used.memory, ..Use::default() };
        let place = slot.place;
        self.unsettle(place);
        actions.push(Action::Train { slot: id, attempt, settings });
        true
    }

    /// Returns whether the trial may go to the slot, whose trainer is ready.
    fn suits(&self, id: SlotId, trial: &Candidate) -> bool {
        let slot = &self.slots[id.0];
        if self.kept.is_some_and(|(other, place)| place == slot.place && other != trial.attempt.trial) {
            return false;
        }
        if trial.alone {
            let mut others = self.slots.on(slot.place).iter().filter(|other| **other != id);
            let fresh = if trial.crowded { slot.used.shape.is_none() } else { slot.is_pure(&trial.shape) };
            return fresh && others.all(|other| self.slots[other.0].is_still());
        }
        self.load(slot.place, id).takes(self.occupant(&trial.shape, slot.used.memory, trial.crowded))
    }

    /// Returns the slots of a device.
    fn on(&self, place: usize) -> impl Iterator<Item = &Slot> {
        self.slots.on(place).iter().map(|id| &self.slots[id.0])
    }

    /// Returns the state of a device as seen by a trial that joins it on slot `except`.
    fn load(&self, place: usize, except: SlotId) -> DeviceLoad<'_> {
        let mut load = DeviceLoad::default();
        for slot in self.on(place) {
            (load.auto, load.room) = (slot.auto, slot.room);
            if let Some(attempt) = slot.attempt() {
                let crowded = self.history.trial(attempt.trial).is_some_and(|trial| trial.crowded);
                let shape = slot.used.shape.as_deref().unwrap_or_default();
                load.trials.push(self.occupant(shape, slot.used.memory, crowded));
            } else if !std::ptr::eq(slot, &self.slots[except.0]) {
                load.idle += slot.used.memory;
            }
        }
        load
    }

    fn occupant(&self, shape: &str, held: u64, crowded: bool) -> Occupant<'_> {
        Occupant { shape: self.history.shapes.get(shape), held, crowded }
    }

    /// Returns the usable device with the fewest trials.
    fn emptiest(&self) -> Option<usize> {
        let is_usable = |slot: &&Slot| slot.held.is_none() && slot.absent.is_none() && !slot.is_out();
        let usable = self.slots.iter().filter(is_usable);
        usable.map(|slot| slot.place).min_by_key(|place| (self.together(*place), *place))
    }

    /// Returns the number of trials on a device.
    pub(super) fn together(&self, place: usize) -> u32 {
        self.on(place).filter(|slot| slot.attempt().is_some()).count() as u32
    }

    /// Records that a trial has joined or left a device.
    pub(super) fn unsettle(&mut self, place: usize) {
        for id in self.slots.on(place).to_vec() {
            self.slots[id.0].used.steady = false;
        }
    }

    /// Clears the device that is reserved for a trial. Everything leaves except one trainer that is suitable for it.
    fn clear_kept(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Some((_, place)) = self.kept else { return };
        let taken = self.together(place) > 0;
        let gives_way = self.config.saves && self.load(place, SlotId(0)).gives_way();
        let mut fit = 0;
        for id in self.slots.on(place).to_vec() {
            let slot = &self.slots[id.0];
            let is_fit = slot.used.shape.is_none();
            match &slot.state {
                State::Training { .. } if gives_way => self.leave_slot(now, id, actions),
                State::Ready | State::Starting => {
                    fit += u32::from(is_fit);
                    if taken || !is_fit || fit > 1 {
                        self.leave_slot(now, id, actions);
                    }
                }
                _ => {}
            }
        }
    }

    /// Makes a slot's trainer save its trial, or ends the trainer if it has no trial.
    pub(super) fn leave_slot(&mut self, now: Now, id: SlotId, actions: &mut Vec<Action>) {
        // A program is killed by the agent first, after its own time.
        let deadline = now.since + PAUSE_LIMIT.max(self.config.stop_grace + PAUSE_LIMIT / 2);
        match self.slots[id.0].state {
            State::Training { attempt, .. } => {
                self.slots.turn(id, State::Pausing { attempt, deadline });
                actions.push(Action::Pause { slot: id, attempt });
            }
            State::Starting | State::Ready => {
                self.slots.turn(id, State::Ending);
                actions.push(Action::End(id));
            }
            _ => {}
        }
    }

    /// Returns whether other processes use the slot's device and the sweep gives way to them, or the user wants it back.
    fn must_leave(&self, id: SlotId) -> bool {
        self.config.yields && self.slots[id.0].held.is_some() || self.is_given_back(id)
    }

    /// Returns whether a ready trainer holds memory that others need. That is so if another trainer is on its device,
    /// because no trial was assigned to this one.
    fn is_in_the_way(&self, id: SlotId) -> bool {
        let slot = &self.slots[id.0];
        let shares = || self.slots.on(slot.place).iter().any(|other| *other != id && !self.slots[other.0].is_still());
        self.must_leave(id) || (slot.auto && self.kept.is_none_or(|(_, place)| place != slot.place) && shares())
    }

    fn start_trainers(&mut self, now: Now, actions: &mut Vec<Action>) {
        let on_hand = (self.slots.starting().len() + self.slots.ready().len()) as u64;
        let mut wanted = self.work().unwrap_or(u64::MAX).saturating_sub(on_hand);
        for id in self.slots.empty().iter().copied().collect::<Vec<_>>() {
            let slot = &self.slots[id.0];
            // Existing idle trainers are not suitable for a trial with a reserved device.
            let is_wanted = wanted > 0 || self.kept.is_some_and(|(_, place)| place == slot.place);
            let is_free = slot.held.is_none() && slot.absent.is_none();
            let is_usable = is_free && !self.is_given_back(id);
            if is_wanted && is_usable && self.has_use_for(id) {
                self.slots.turn(id, State::Starting);
                let slot = &mut self.slots[id.0];
                (slot.used, slot.heard, slot.assigned) = (Use::default(), now.since, now.since);
                actions.push(Action::Start(id));
                wanted = wanted.saturating_sub(1);
            }
        }
    }

    /// Returns whether the next trial could run on a trainer in this empty slot, in addition to the trials on its
    /// device.
    fn has_use_for(&mut self, id: SlotId) -> bool {
        let (place, auto) = (self.slots[id.0].place, self.slots[id.0].auto);
        let is_alone = self.on(place).all(Slot::is_still);
        if is_alone || self.kept.is_some_and(|(_, kept)| kept == place) {
            return is_alone;
        }
        let first = self.waiting.keys().next().copied();
        let next = first.or_else(|| if auto { self.draw() } else { self.drawn_id() }).and_then(|id| self.candidate(id));
        if auto && next.as_ref().is_none_or(|next| next.alone) {
            return false;
        }
        let shape = next.as_ref().map_or("", |next| &next.shape);
        let mut load = self.load(place, id);
        // Ready and starting trainers will get trials like the next one.
        for slot in self.on(place) {
            if matches!(&slot.state, State::Starting | State::Ready) {
                load.trials.push(self.occupant(shape, slot.used.memory, false));
                load.idle -= slot.used.memory;
            }
        }
        load.takes(self.occupant(shape, 0, next.as_ref().is_some_and(|next| next.crowded)))
    }

    /// Returns the trial with that number as a candidate, if it is waiting or is the next new trial.
    fn candidate(&self, id: TrialId) -> Option<Candidate> {
        let begun = self.history.trial(id).filter(|_| self.waiting.contains_key(&id));
        let (settings, number, crowded) = match begun {
            Some(trial) => (trial.settings.clone(), trial.attempts + 1, trial.crowded),
            None => (self.drawn.clone().filter(|_| self.drawn_id() == Some(id))?, 1, false),
        };
        let shape = (self.config.shape.0)(&settings);
        let alone = crowded
            || (self.slots.has_auto() && self.history.shapes.get(&shape).is_none_or(|shape| shape.memory.is_none()));
        Some(Candidate { attempt: Attempt { trial: id, number }, settings, shape, crowded, alone })
    }

    /// Returns the number of the next new trial, once it is drawn.
    fn drawn_id(&self) -> Option<TrialId> {
        self.drawn.as_ref().map(|_| TrialId(self.history.trials.len() as u64 + 1))
    }

    /// Draws the next new trial, if there is one and everything that determines its parameters is known.
    pub(super) fn draw(&mut self) -> Option<TrialId> {
        let id = TrialId(self.history.trials.len() as u64 + 1);
        if self.config.total.is_some_and(|total| id.0 > total) {
            return None;
        }
        if self.drawn.is_none() {
            // A parked trial counts as ended, because the trials that it waits for might not begin before this one has.
            let at_rest = |id| self.history.trial(id).is_some_and(|trial| trial.outcome().is_some());
            if !(1..=self.source.needs(id)).rev().map(TrialId).all(|id| at_rest(id) || self.parked.contains(&id)) {
                return None;
            }
            self.drawn = self.source.next(self.next_place(), &self.history);
        }
        if self.drawn.is_none() {
            // The search had no known end, and has reached it now.
            self.config.total = Some(id.0 - 1);
        }
        self.drawn_id()
    }

    /// Returns the number of trials that can be assigned now or after their delay. `None` if there is no end of them.
    pub(super) fn work(&self) -> Option<u64> {
        let new = self.config.total?.saturating_sub(self.history.trials.len() as u64);
        Some(new + self.waiting.len() as u64)
    }

    /// Returns whether any trial can be assigned, now or later.
    pub(super) fn has_work(&self) -> bool {
        self.work() != Some(0)
    }
}
