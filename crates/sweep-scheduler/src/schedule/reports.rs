//! What trainers and programs report, and what follows from it.

use super::messages::{Action, FromProgram, Left, Now, SlotId};
use super::scheduler::{FIRST_DELAY, MOST_DOUBLINGS, Scheduler};
use super::slots::{Progress, State};
use sweep_core::history::Entry;
use sweep_core::program::LATER;
use sweep_core::protocol::{self, FromTrainer};
use sweep_core::trial::{Attempt, Outcome};

/// Number of attempts in a row that may ask to be started again later without reporting an epoch. With the longest delay
/// between them this takes most of a day.
const POSTPONED: u32 = 150;

impl Scheduler {
    /// Handles a message from a trainer. A message about an attempt that is over is ignored.
    pub(super) fn on_said(&mut self, now: Now, id: SlotId, message: FromTrainer, actions: &mut Vec<Action>) {
        let current = self.slots[id.0].attempt();
        let is_current = |attempt: &Attempt| current == Some(*attempt);
        match message {
            FromTrainer::Ready { protocol, device, backend } if self.slots[id.0].state == State::Starting => {
                if protocol == protocol::VERSION {
                    self.ready(now, id, device, backend, actions);
                } else {
                    let reason = format!(
                        "its trainer uses protocol {protocol}, but this sweep uses {}; install both programs from the \
                         same build",
                        protocol::VERSION
                    );
                    self.slots.turn(id, State::Out { reason });
                    actions.push(Action::End(id));
                }
            }
            FromTrainer::Unusable { reason } => self.slots.turn(id, State::Out { reason }),
            FromTrainer::Began {
                attempt,
                from_epoch,
                parameters,
                train_examples,
                validation_examples,
                warnings,
                ..
            } if is_current(&attempt) => {
                let from_zero = false;
                let entry = Entry::Began {
                    attempt,
                    from_epoch,
                    parameters,
                    train_examples,
                    validation_examples,
                    warnings,
                    from_zero,
                };
                self.can_go_on(now, id);
                self.record_said(now, id, entry, actions);
            }
            FromTrainer::Progress { attempt, epoch, step, steps } if is_current(&attempt) => {
                self.slots[id.0].advance(Progress { epoch, step, steps });
            }
            FromTrainer::Epoch { attempt, metrics, others } if is_current(&attempt) => {
                if self.is_known(id, attempt, metrics.epoch) {
                    return;
                }
                self.record_said(now, id, Entry::Epoch { attempt, metrics, others }, actions);
                self.measure(now, id, &metrics, actions);
                self.compare(now, id, actions);
            }
            FromTrainer::Paused { attempt } if is_current(&attempt) => self.paused(now, id, attempt, None, actions),
            FromTrainer::Ended { attempt, outcome } if is_current(&attempt) => {
                self.end_on(now, id, attempt, outcome, actions);
            }
            // A late message from an attempt that has ended, or one that changes nothing.
            _ => {}
        }
    }

    /// Handles what the agent found out about a program. What is about an attempt that is over is ignored.
    pub(super) fn on_program(&mut self, now: Now, id: SlotId, message: FromProgram, actions: &mut Vec<Action>) {
        let current = self.slots[id.0].attempt();
        let is_current = |attempt: &Attempt| current == Some(*attempt);
        match message {
            FromProgram::Ready { device } if self.slots[id.0].state == State::Starting => {
                self.ready(now, id, device, "program".to_owned(), actions);
            }
            FromProgram::Started { attempt, group, script } if is_current(&attempt) => {
                self.record_said(now, id, Entry::Process { attempt, group, script }, actions);
            }
            FromProgram::Began { attempt, from_epoch, from_zero } if is_current(&attempt) => {
                if from_epoch == 0 {
                    self.start_over(now, id, attempt, actions);
                }
                let (parameters, train_examples, validation_examples, warnings) = (0, 0, 0, Vec::new());
                let entry = Entry::Began {
                    attempt,
                    from_epoch,
                    parameters,
                    train_examples,
                    validation_examples,
                    warnings,
                    from_zero,
                };
                self.record_said(now, id, entry, actions);
            }
            FromProgram::Epoch { attempt, metrics, others, read, planned, source } if is_current(&attempt) => {
                let epochs =
                    |scheduler: &Scheduler| scheduler.history.trial(attempt.trial).map_or(0, |trial| trial.curve.len());
                let before = epochs(self);
                self.gists.clear();
                self.record_said(now, id, Entry::Row { attempt, metrics, others, read, planned, source }, actions);
                // More of the same epoch says nothing about how long epochs take.
                if epochs(self) > before {
                    if self.slots[id.0].used.epoch_at.is_none() {
                        self.can_go_on(now, id);
                    }
                    self.measure(now, id, &metrics, actions);
                }
                self.compare(now, id, actions);
            }
            FromProgram::Warned { attempt, warning } if is_current(&attempt) => {
                self.record_said(now, id, Entry::Warned { attempt, warning }, actions);
            }
            FromProgram::Paused { attempt, left: Left::Saved } if is_current(&attempt) => {
                self.paused(now, id, attempt, None, actions);
            }
            FromProgram::Paused { attempt, left: Left::Unsaved { reason } } if is_current(&attempt) => {
                self.paused(now, id, attempt, Some(reason), actions);
            }
            FromProgram::Paused { attempt, left: Left::Later { signal } } if is_current(&attempt) => {
                self.postponed(now, id, attempt, signal, actions);
            }
            FromProgram::Failed { attempt, gist, error } if is_current(&attempt) => {
                self.on_failed(now, id, gist, error, actions);
            }
            FromProgram::Ended { attempt, outcome } if is_current(&attempt) => {
                self.end_on(now, id, attempt, outcome, actions);
            }
            _ => {}
        }
    }

    pub(super) fn ready(&mut self, now: Now, id: SlotId, device: String, backend: String, actions: &mut Vec<Action>) {
        self.has_started(now, id);
        self.slots.turn(id, State::Ready);
        let slot = &mut self.slots[id.0];
        (slot.device, slot.false_starts) = (device, 0);
        if self.history.backends.last() != Some(&backend) {
            let slot = slot.name.clone();
            self.record(actions, Entry::Backend { at: now.unix, slot, backend });
        }
    }

    fn paused(&mut self, now: Now, id: SlotId, attempt: Attempt, unsaved: Option<String>, actions: &mut Vec<Action>) {
        self.record(actions, Entry::Paused { at: now.unix, attempt, unsaved, later: false, signal: None });
        self.slots.turn(id, State::Ready);
        self.settle(now, attempt.trial, std::time::Duration::ZERO, actions);
    }

    /// Handles a program that wants to be started again later, or that a signal from elsewhere made end.
    fn postponed(&mut self, now: Now, id: SlotId, attempt: Attempt, signal: Option<i32>, actions: &mut Vec<Action>) {
        let postponed = self.history.trial(attempt.trial).map_or(0, |trial| trial.postponed);
        if postponed >= POSTPONED {
            let error = format!(
                "the program asked {} times in a row to be started again later (exit code {LATER}, or 0 after a signal), \
                 without reporting an epoch in between",
                postponed + 1
            );
            self.end(now, attempt, Outcome::Failed { error }, actions);
        } else {
            self.record(actions, Entry::Paused { at: now.unix, attempt, unsaved: None, later: true, signal });
            let delay = FIRST_DELAY * (1 << postponed.min(MOST_DOUBLINGS));
            self.settle(now, attempt.trial, now.since + delay, actions);
        }
        self.slots.turn(id, State::Ready);
    }

    /// Ends the attempt on a slot, whose trainer stays.
    pub(super) fn end_on(
        &mut self,
        now: Now,
        id: SlotId,
        attempt: Attempt,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        match outcome {
            // Other trials may have held the memory that this one needed.
            Outcome::OutOfMemory { .. } => self.lose(now, id, outcome, actions),
            _ => {
                let is_mute = !self.config.saves && matches!(outcome, Outcome::Failed { .. });
                self.without_metric = if is_mute { self.without_metric + 1 } else { 0 };
                for other in self.slots.on(self.slots[id.0].place).to_vec() {
                    self.slots[other.0].lost.clear();
                }
                self.end(now, attempt, outcome, actions);
            }
        }
        self.slots.turn(id, State::Ready);
    }

    /// Records what a trainer reported. A report that cannot be true is not recorded, and its trainer is no longer
    /// trusted.
    pub(super) fn record_said(&mut self, now: Now, id: SlotId, entry: Entry, actions: &mut Vec<Action>) {
        match self.history.apply(&entry) {
            Ok(()) => {
                self.follow(&entry);
                actions.push(Action::Record(entry));
            }
            Err(nonsense) => {
                let error = format!("the trainer sent an invalid message: {nonsense}");
                self.lose(now, id, Outcome::Failed { error }, actions);
                self.slots.turn(id, State::Ending);
                actions.push(Action::Kill(id));
            }
        }
    }
}
