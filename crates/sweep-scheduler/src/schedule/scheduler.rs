//! The scheduler decides which trial goes to which slot, what is retried, and when the sweep is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::config::{Config, TrialSource};
use super::ends::Longest;
use super::keep::Keep;
use super::messages::{Action, Condition, Event, Leftover, Now, SlotEvent, SlotId};
use super::silence;
use super::slots::{Slot, Slots, State};
use sweep_core::history::{Entry, History};
use sweep_core::stop::Standings;
use sweep_core::trial::{Attempt, Outcome, Settings, TrialId};

/// Time that a trainer has to finish its batch and save before it is killed.
pub(super) const PAUSE_LIMIT: Duration = Duration::from_secs(60);

/// Number of consecutive trainers that may exit before they are ready; then their slot is given up.
const FALSE_STARTS: u32 = 3;

/// Time between two looks at all slots. What is found there is due after a minute or so.
const LOOK: Duration = Duration::from_secs(1);

/// Delay before a lost trial's second attempt. It doubles with each further loss.
pub(super) const FIRST_DELAY: Duration = Duration::from_millis(500);

/// Number of times that the delay doubles.
pub(super) const MOST_DOUBLINGS: u32 = 10;

/// Number of trials that may be lost on a slot without a success in between; then the slot is given up, unless it is
/// the last.
const LOST_IN_A_ROW: usize = 3;

/// Number of trials that may fail before any trial ends without an error; then the sweep is stopped.
const HOPELESS: u32 = 8;

/// The same for programs that end of their own accord and have not reported the metric, or that cannot be started.
/// Neither depends on the trial's parameters.
const HOPELESS_PROGRAMS: u32 = 2;

/// State of a running sweep.
pub struct Scheduler {
    pub(super) config: Config,
    pub(super) source: Box<dyn TrialSource>,
    pub(super) history: History,
    pub(super) slots: Slots,
    /// Begun trials that will continue, each with the earliest time for it.
    pub(super) waiting: BTreeMap<TrialId, Duration>,
    /// Begun trials that continue only if others show that they are worth it.
    pub(super) parked: BTreeSet<TrialId>,
    /// Standings by which trials are compared, if a rule compares them.
    pub(super) standings: Option<Standings>,
    /// Parameters of the next new trial, once they are drawn.
    pub(super) drawn: Option<Settings>,
    /// The trial that needs a device to itself, and the device reserved for it.
    pub(super) kept: Option<(TrialId, usize)>,
    pub(super) keep: Keep,
    pub(super) mode: Mode,
    /// Time of the last tick.
    pub(super) ticked: Duration,
    /// When all slots were last looked at.
    pub(super) looked: Duration,
    /// Number of failed trials in this run, and the last error. `None` once a trial has ended without an error.
    pub(super) failed: Option<(u32, String)>,
    /// Number of programs in a row that failed without a crash.
    pub(super) without_metric: u32,
    /// Why the sweep was stopped, unless the user stopped it.
    pub(super) hopeless: Option<String>,
    /// Trials that have run for as long as they may, and were asked to leave.
    pub(super) over_time: BTreeSet<TrialId>,
    /// Whether the time of this run is over.
    pub(super) out_of_time: bool,
    /// Running time of earlier controllers.
    pub(super) before: Duration,
    /// Whether no trial begins any more, because it would not fit into the budget.
    pub(super) is_closed: bool,
    /// Whether the budget is used up.
    pub(super) is_spent: bool,
    /// Trials that a killed controller gave to other hosts, where they may still run, each with the host's name.
    pub(super) elsewhere: BTreeMap<TrialId, String>,
    /// Whether slots may still join.
    pub(super) expects: bool,
    /// Trials whose programs began anew after a rule had paused them.
    pub(super) started_over: BTreeSet<TrialId>,
    /// The ways in which programs have failed before any reported an epoch.
    pub(super) gists: BTreeSet<String>,
    /// How long trials and trainers need before they can be interrupted.
    pub(super) longest: Longest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Trials are assigned.
    Running,
    /// Trials save and leave.
    Draining,
    /// Every trainer is being killed.
    Killed,
}

impl Scheduler {
    /// Returns the state that the journal adds up to.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns the state that the journal adds up to, at the end of a run.
    pub fn into_history(self) -> History {
        self.history
    }

    /// Returns the slots, indexed by [`SlotId`].
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Returns the slots of another host.
    pub fn slots_of(&self, node: &str) -> &[SlotId] {
        self.slots.of_node(node)
    }

    /// Returns the slots that will not be used again in this run.
    pub fn given_up(&self) -> impl Iterator<Item = &Slot> {
        self.slots.out().iter().map(|id| &self.slots[id.0])
    }

    /// Returns the other hosts with slots that get no more trials.
    pub fn leaving(&self) -> BTreeSet<&str> {
        self.slots.leaving().iter().filter_map(|id| self.slots[id.0].node.as_deref()).collect()
    }

    /// Returns the total number of trials. `None` if there is no end.
    pub fn total(&self) -> Option<u64> {
        self.config.total
    }

    /// Returns whether the user interrupted the sweep, or the sweep was stopped because every trial failed.
    pub fn interrupted(&self) -> bool {
        self.mode != Mode::Running
    }

    /// Returns why the sweep was stopped early, if every trial failed.
    pub fn hopeless(&self) -> Option<&str> {
        self.hopeless.as_deref()
    }

    /// Returns whether this run ends because its time is over.
    pub fn is_out_of_time(&self) -> bool {
        self.out_of_time
    }

    /// Returns whether this run is over, because no trainer is left.
    pub fn is_done(&self) -> bool {
        self.slots.iter().all(Slot::is_still)
            && (self.mode != Mode::Running
                || !self.has_work()
                || (!self.expects && self.slots.iter().all(Slot::is_out)))
    }

    /// Returns whether every trial of the sweep has ended.
    pub fn is_complete(&self) -> bool {
        self.is_at_rest() && (self.is_closed || self.source.round(&self.history).is_none())
    }

    /// Handles an event and returns the actions that follow.
    pub fn on_event(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.take(now, event, &mut actions);
        self.conclude(now, &mut actions);
        actions
    }

    /// Takes in an event. [`Scheduler::conclude`] must follow, for one event or for several of the same moment.
    pub fn take(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::On(slot, event) => self.on_slot(now, slot, event, actions),
            Event::Sight { slot, memory, room, joules } => self.on_sight(now, slot, (memory, room), joules, actions),
            Event::Joined { node, machine, slots } => self.on_joined(now, &node, machine, slots, actions),
            Event::Silent { node, until, why } => self.on_silent(now, node, until, why, actions),
            Event::Back { node } => self.on_back(now, node, actions),
            Event::Leaving { node } => self.give_back(now, &node, actions),
            Event::Departed { node, why } => self.on_departed(now, node, why, actions),
            Event::Expects(expects) => self.expects = expects,
            Event::Asked(asked) => self.on_asked(now, asked, actions),
            Event::Interrupt => self.on_interrupt(now, actions),
            Event::Tick => self.on_tick(now, actions),
        }
    }

    fn on_slot(&mut self, now: Now, slot: SlotId, event: SlotEvent, actions: &mut Vec<Action>) {
        match event {
            SlotEvent::Said(message) => {
                self.slots[slot.0].heard = now.since;
                self.on_said(now, slot, message, actions);
            }
            SlotEvent::Program(message) => {
                self.slots[slot.0].heard = now.since;
                self.on_program(now, slot, message, actions);
            }
            SlotEvent::Unstartable { attempt, error } => {
                if self.slots[slot.0].attempt() == Some(attempt) {
                    self.end_on(now, slot, attempt, Outcome::Failed { error }, actions);
                }
            }
            SlotEvent::Gone { how, out_of_memory } => self.on_gone(now, slot, how, out_of_memory, actions),
            SlotEvent::Device(condition) => self.on_device(now, slot, condition, actions),
        }
    }

    /// Decides what the slots do next that have no trial.
    pub fn conclude(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.give_up_hope(now, actions);
        self.fill(now, actions);
    }

    /// Ends this run's part of the journal.
    pub fn leave(&mut self, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        let complete = self.is_complete();
        self.record(&mut actions, Entry::Left { at: now.unix, complete });
        actions
    }

    fn on_gone(&mut self, now: Now, id: SlotId, how: String, out_of_memory: bool, actions: &mut Vec<Action>) {
        // A trainer that the controller killed is not a failure. The trial resumes from its checkpoint.
        if self.mode == Mode::Running
            && let State::Pausing { attempt, .. } = self.slots[id.0].state
        {
            let unsaved = Some(format!("{} {how}", self.config.subject()));
            self.record(actions, Entry::Paused { at: now.unix, attempt, unsaved, later: false, signal: None });
            self.settle(now, attempt.trial, Duration::ZERO, actions);
        } else if self.mode == Mode::Running {
            let error = format!("{} {how}", self.config.subject());
            let outcome = if out_of_memory { Outcome::OutOfMemory { error } } else { Outcome::Failed { error } };
            self.lose(now, id, outcome, actions);
        } else if let Some(attempt) = self.slots[id.0].attempt() {
            self.account(attempt, actions);
            self.waiting.insert(attempt.trial, Duration::ZERO);
        }
        let slot = &mut self.slots[id.0];
        match &slot.state {
            State::Out { .. } => {}
            State::Starting if slot.false_starts + 1 == FALSE_STARTS => {
                let reason = format!("its trainer {how} before it was ready, {FALSE_STARTS} times in a row");
                self.slots.turn(id, State::Out { reason });
            }
            state => {
                slot.false_starts += u32::from(*state == State::Starting);
                self.slots.turn(id, State::Empty);
            }
        }
        let Slot { place, lost, .. } = &self.slots[id.0];
        let (place, lost) = (*place, lost.clone());
        if lost.len() >= LOST_IN_A_ROW && self.slots.iter().any(|slot| slot.place != place && !slot.is_out()) {
            let trials: Vec<String> = lost.iter().map(ToString::to_string).collect();
            let reason = format!("trials {} were lost on it one after another", trials.join(", "));
            for id in self.slots.on(place).to_vec() {
                self.on_device(now, id, Condition::Broken(reason.clone()), actions);
            }
        }
    }

    /// Handles the loss of the attempt on the slot, if there is one. Its trial is retried, or ends with the failure
    /// `outcome`.
    pub(super) fn lose(&mut self, now: Now, id: SlotId, mut outcome: Outcome, actions: &mut Vec<Action>) {
        let Some(attempt) = self.slots[id.0].attempt() else { return };
        if let Outcome::OutOfMemory { error } = outcome {
            return self.lack(now, id, attempt, error, actions);
        }
        let faults = self.history.trial(attempt.trial).map_or(0, |trial| trial.faults);
        let place = self.slots[id.0].place;
        for other in self.slots.on(place).to_vec() {
            let lost = &mut self.slots[other.0].lost;
            if !lost.contains(&attempt.trial) {
                lost.push(attempt.trial);
            }
        }
        if faults >= self.config.retries {
            if let Outcome::Failed { error } = &mut outcome
                && faults > 0
            {
                *error += &format!("; given up after {} failures", faults + 1);
            }
            self.end(now, attempt, outcome, actions);
        } else {
            let fault = outcome.error().unwrap_or_default();
            self.record(actions, Entry::Lost { at: now.unix, attempt, fault, crowded: false });
            self.settle(now, attempt.trial, now.since + FIRST_DELAY * (1 << faults.min(MOST_DOUBLINGS)), actions);
        }
    }

    fn on_device(&mut self, now: Now, id: SlotId, condition: Condition, actions: &mut Vec<Action>) {
        let held = match condition {
            Condition::Free => None,
            Condition::Busy(reason) => {
                if self.config.yields {
                    self.leave_slot(now, id, actions);
                }
                Some(reason)
            }
            Condition::Broken(reason) => {
                if self.slots[id.0].is_out() {
                    return;
                }
                let error = format!("{} was lost: {reason}", self.slots[id.0].name);
                self.lose(now, id, Outcome::Failed { error }, actions);
                if !self.slots[id.0].is_still() {
                    actions.push(Action::Kill(id));
                }
                self.slots.turn(id, State::Out { reason: reason.clone() });
                Some(reason)
            }
        };
        if self.slots[id.0].held != held {
            self.slots[id.0].held.clone_from(&held);
            let slot = self.slots[id.0].name.clone();
            self.record(actions, Entry::Device { at: now.unix, slot, held });
        }
    }

    fn on_interrupt(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.mode = if self.mode == Mode::Running { Mode::Draining } else { Mode::Killed };
        self.clear(now, actions);
    }

    /// Makes trainers leave, depending on the mode.
    pub(super) fn clear(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.forget_silent(now, actions);
        for id in self.slots.ids() {
            match (self.mode, &self.slots[id.0].state) {
                (_, State::Empty | State::Out { .. }) => {}
                (Mode::Killed, _) => actions.push(Action::Kill(id)),
                (_, State::Training { .. } | State::Starting) => self.leave_slot(now, id, actions),
                // Pausing and ending trainers are already leaving. `fill` ends those that are ready.
                _ => {}
            }
        }
    }

    fn on_tick(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.mode == Mode::Running && self.config.run_for.is_some_and(|most| now.since >= most) {
            self.out_of_time = true;
            self.on_interrupt(now, actions);
        }
        let was_away = now.since > self.ticked + silence::AWAY;
        self.ticked = now.since;
        if now.since < self.looked + LOOK {
            return;
        }
        self.looked = now.since;
        self.keep_time(now, actions);
        for id in self.slots.ids() {
            if was_away {
                self.slots[id.0].heard = now.since;
            }
            if let Some(absence) = &self.slots[id.0].absent {
                if absence.until <= now.since {
                    let why = absence.why.clone();
                    self.depart(now, id, &why, actions);
                }
                continue;
            }
            let silent = now.since.saturating_sub(self.slots[id.0].heard);
            match self.slots[id.0].state {
                State::Pausing { deadline, .. } if deadline <= now.since => actions.push(Action::Kill(id)),
                State::Starting if silent > self.longest_silence(None) => actions.push(Action::Kill(id)),
                State::Training { attempt, .. } if silent > self.longest_silence(Some(attempt.trial)) => {
                    let error = format!(
                        "{} produced no output for {} s and was ended",
                        self.config.subject(),
                        silent.as_secs()
                    );
                    self.lose(now, id, Outcome::Failed { error }, actions);
                    self.slots.turn(id, State::Ending);
                    actions.push(Action::Kill(id));
                }
                _ => {}
            }
        }
    }

    fn longest_silence(&self, trial: Option<TrialId>) -> Duration {
        let curve = trial.and_then(|id| self.history.trial(id)).map_or(&[][..], |trial| &trial.curve);
        self.config.silence.unwrap_or_else(|| silence::limit(curve))
    }

    pub(super) fn end(&mut self, now: Now, attempt: Attempt, outcome: Outcome, actions: &mut Vec<Action>) {
        self.failed = match (&outcome, self.failed.take()) {
            (Outcome::Failed { error }, Some((count, _))) => Some((count + 1, error.clone())),
            // A network that is too large, a configuration that cannot run, or the user's word says nothing about the
            // other trials.
            (Outcome::OutOfMemory { .. } | Outcome::Impossible { .. } | Outcome::Skipped, failed) => failed,
            _ => None,
        };
        self.record(actions, Entry::Ended { at: now.unix, attempt, outcome });
        self.tidy(actions, attempt.trial);
    }

    /// Stops the sweep if every trial so far has failed and no running trial shows that others can succeed.
    fn give_up_hope(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Some((failed, error)) = &self.failed else { return };
        if *failed < HOPELESS && self.without_metric < HOPELESS_PROGRAMS {
            return;
        }
        let learns = |slot: &Slot| {
            slot.attempt()
                .and_then(|attempt| self.history.trial(attempt.trial))
                .is_some_and(|trial| self.config.metric.best(&trial.curve).is_some())
        };
        if self.mode == Mode::Running && self.has_work() && !self.slots.iter().any(learns) {
            self.hopeless = Some(error.clone());
            self.mode = Mode::Draining;
            self.clear(now, actions);
        }
    }

    /// Removes the files of an ended trial, except the best weights of the best trials. A stopped trial has its best
    /// weights only in its checkpoint.
    pub(super) fn tidy(&mut self, actions: &mut Vec<Action>, trial: TrialId) {
        let record = self.history.trial(trial).filter(|trial| trial.outcome() != Some(&Outcome::Skipped));
        let metric = &self.config.metric;
        let value = record.and_then(|trial| metric.best(&trial.curve)?.get(&metric.name));
        let stopped = record.is_some_and(|trial| matches!(trial.outcome(), Some(Outcome::Stopped { .. })));
        if !stopped {
            actions.push(Action::Remove { trial, leftover: Leftover::Checkpoints });
        }
        self.keep.forget(trial);
        if let Some(trial) = self.keep.ended(trial, value) {
            actions.push(Action::Remove { trial, leftover: Leftover::Checkpoints });
            actions.push(Action::Remove { trial, leftover: Leftover::BestWeights });
        }
    }

    pub(super) fn record(&mut self, actions: &mut Vec<Action>, entry: Entry) {
        if let Entry::Paused { attempt, .. } | Entry::Lost { attempt, .. } | Entry::Ended { attempt, .. } = &entry {
            self.account(*attempt, actions);
        }
        self.history.apply(&entry).expect("the scheduler's own entries follow from its history");
        self.follow(&entry);
        actions.push(Action::Record(entry));
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("slots", &self.slots).field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
