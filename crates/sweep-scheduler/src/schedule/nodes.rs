//! The part of the scheduler that follows other hosts: their slots join, fall silent, and leave while the sweep runs.
//!
//! A trial on a host that is gone goes on elsewhere, and that costs no retry, since the trial is not the cause. While a
//! host is silent its trials may still run there. They are given to another slot only once the host's lease has surely
//! run out: then its agent has ended them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::messages::{Action, Joining, Now, SlotId};
use super::scheduler::{Mode, Scheduler};
use super::slots::{Absence, Slot, State, Use};
use sweep_core::history::{Entry, History, Machine, NodeChange, Status};
use sweep_core::steering::Request;
use sweep_core::trial::{Attempt, TrialId};

/// Whether nothing of the sweep runs on a host any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    Surely,
    Perhaps,
}

/// Returns the trials that run on other hosts by the journal, each with the host's name.
pub fn elsewhere(history: &History) -> BTreeMap<TrialId, String> {
    let running = history.trials.iter().filter(|trial| trial.status == Status::Running);
    running.filter_map(|trial| Some((trial.id, history.node_of(&trial.slot)?.to_owned()))).collect()
}

impl Scheduler {
    /// Takes in the slots of a host. What an earlier agent of that host had is gone, except what this one still has.
    pub(super) fn on_joined(
        &mut self,
        now: Now,
        node: &str,
        machine: Machine,
        slots: Vec<Joining>,
        actions: &mut Vec<Action>,
    ) {
        self.forget(now, node, "a new agent was started on its host", Gone::Surely, actions);
        let names = slots.iter().map(|joining| joining.slot.name.clone()).collect();
        let what = NodeChange::Joined { slots: names, machine };
        self.record(actions, Entry::Node { at: now.unix, node: node.to_owned(), what });
        let base = self.slots.next_place();
        for Joining { slot, has_trainer, attempt } in slots {
            let id = self.slots.seat(Slot { place: base + slot.place, node: Some(node.to_owned()), ..slot });
            self.slots.turn(id, if has_trainer { State::Starting } else { State::Empty });
            let slot = &mut self.slots[id.0];
            (slot.heard, slot.assigned) = (now.since, now.since);
            if let (name, held @ Some(_)) = (slot.name.clone(), slot.held.clone()) {
                self.record(actions, Entry::Device { at: now.unix, slot: name, held });
            }
            if let Some(attempt) = attempt {
                self.take_over(now, id, attempt, actions);
            }
        }
        // What the host does not have runs nowhere.
        let gone: Vec<TrialId> = self.elsewhere.iter().filter(|(_, at)| *at == node).map(|(trial, _)| *trial).collect();
        for trial in gone {
            self.elsewhere.remove(&trial);
            if let Some(due) = self.waiting.get_mut(&trial) {
                *due = now.since;
            }
        }
    }

    /// Takes over an attempt that runs on a host that joins, if it is the trial's newest and the trial still needs it.
    fn take_over(&mut self, now: Now, id: SlotId, attempt: Attempt, actions: &mut Vec<Action>) {
        let trial = attempt.trial;
        let is_newest = self.history.trial(trial).is_some_and(|record| record.attempts == attempt.number);
        if self.mode == Mode::Running && is_newest && self.elsewhere.contains_key(&trial) && self.waits(trial) {
            self.elsewhere.remove(&trial);
            self.waiting.remove(&trial);
            self.parked.remove(&trial);
            self.record(actions, Entry::Kept { at: now.unix, attempt });
            let shape = self.history.trial(trial).map(|record| (self.config.shape.0)(&record.settings));
            self.slots.turn(id, State::Training { attempt, progress: Default::default() });
            let slot = &mut self.slots[id.0];
            slot.used = Use { shape, ..Use::default() };
            slot.taken_over = true;
        } else {
            self.slots.turn(id, State::Ending);
            actions.push(Action::Kill(id));
        }
    }

    fn waits(&self, trial: TrialId) -> bool {
        self.waiting.contains_key(&trial) || self.parked.contains(&trial)
    }

    /// Stops using a host without a word from it. Its trials stay where they are, until the lease runs out.
    pub(super) fn on_silent(
        &mut self,
        now: Now,
        node: String,
        until: Duration,
        why: String,
        actions: &mut Vec<Action>,
    ) {
        if !self.belongs(&node) {
            return;
        }
        for id in self.slots.of_node(&node).to_vec() {
            let slot = &mut self.slots[id.0];
            slot.absent = (!slot.is_out()).then(|| Absence { until, why: why.clone() });
        }
        self.record(
            actions,
            Entry::Node { at: now.unix, node: node.clone(), what: NodeChange::Silent { why: why.clone() } },
        );
        if self.mode != Mode::Running {
            // Whoever resumes finds the trials there, or waits for the lease.
            self.forget(now, &node, &why, Gone::Perhaps, actions);
        }
    }

    /// Uses a host again that was silent, and from which nothing was lost.
    pub(super) fn on_back(&mut self, now: Now, node: String, actions: &mut Vec<Action>) {
        let own = self.slots.of_node(&node).to_vec();
        if own.iter().all(|id| self.slots[id.0].absent.is_none()) {
            return;
        }
        for id in own {
            let slot = &mut self.slots[id.0];
            (slot.absent, slot.heard) = (None, now.since);
        }
        self.record(actions, Entry::Node { at: now.unix, node, what: NodeChange::Back });
    }

    pub(super) fn on_departed(&mut self, now: Now, node: String, why: String, actions: &mut Vec<Action>) {
        self.forget(now, &node, &why, Gone::Surely, actions);
    }

    /// Gives up a slot whose host is gone, or whose lease has run out.
    pub(super) fn depart(&mut self, now: Now, id: SlotId, why: &str, actions: &mut Vec<Action>) {
        if let Some(node) = self.slots[id.0].node.clone() {
            self.forget(now, &node, why, Gone::Surely, actions);
        }
    }

    /// Gives up the silent hosts of a sweep that is stopped. Whoever resumes finds their trials there, or waits for the
    /// lease.
    pub(super) fn forget_silent(&mut self, now: Now, actions: &mut Vec<Action>) {
        let silent = self.slots.iter().filter(|slot| slot.absent.is_some()).filter_map(|slot| slot.node.clone());
        for node in silent.collect::<BTreeSet<_>>() {
            self.forget(now, &node, "it did not answer when the sweep was stopped", Gone::Perhaps, actions);
        }
    }

    /// Gives up all slots of a host. Their trials go on elsewhere.
    fn forget(&mut self, now: Now, node: &str, why: &str, gone: Gone, actions: &mut Vec<Action>) {
        if !self.belongs(node) {
            return;
        }
        for id in self.slots.of_node(node).to_vec() {
            if let Some(attempt) = self.slots[id.0].attempt() {
                if self.mode == Mode::Running || gone == Gone::Surely {
                    let unsaved = Some(format!("{node}: {why}"));
                    self.record(actions, Entry::Paused { at: now.unix, attempt, unsaved, later: false, signal: None });
                    self.settle(now, attempt.trial, now.since, actions);
                } else {
                    self.account(attempt, actions);
                    self.waiting.insert(attempt.trial, Duration::ZERO);
                }
            }
            self.slots[id.0].absent = None;
            self.slots.set_leaving(id, false);
            self.slots.turn(id, State::Out { reason: format!("{node}: {why}") });
        }
        let what = NodeChange::Left { why: why.to_owned() };
        self.record(actions, Entry::Node { at: now.unix, node: node.to_owned(), what });
    }

    /// Returns whether a host is in the sweep and has not left.
    fn belongs(&self, node: &str) -> bool {
        self.history.nodes.get(node).is_some_and(|node| node.left.is_none())
    }

    /// Decides about the request to give back a host.
    pub(super) fn decide_leave(&self, node: String) -> (Option<Request>, Vec<String>) {
        if !self.belongs(&node) {
            let there = self.history.nodes.iter().filter(|(_, node)| node.left.is_none());
            let names: Vec<&str> = there.map(|(name, _)| name.as_str()).collect();
            let names = if names.is_empty() {
                "no other host does".into()
            } else {
                format!("these hosts do: {}", names.join(", "))
            };
            return (None, vec![format!("{node} does not train for this sweep; {names}")]);
        }
        let running = self.slots.of_node(&node).iter().filter(|id| self.slots[id.0].attempt().is_some()).count();
        let said = match running {
            0 => format!("{node} leaves; nothing runs there"),
            1 => format!("1 trial on {node} is asked to save; then {node} leaves"),
            _ => format!("{running} trials on {node} are asked to save; then {node} leaves"),
        };
        (Some(Request::Leave { node }), vec![said])
    }

    /// Makes the trials of a host leave it.
    pub(super) fn give_back(&mut self, now: Now, node: &str, actions: &mut Vec<Action>) {
        for id in self.slots.of_node(node).to_vec() {
            self.slots.set_leaving(id, true);
            self.leave_slot(now, id, actions);
        }
    }

    /// Returns whether an epoch that a taken-over attempt reports is in the journal already.
    pub(super) fn is_known(&self, id: SlotId, attempt: Attempt, epoch: u32) -> bool {
        self.slots[id.0].taken_over
            && self.history.trial(attempt.trial).is_some_and(|trial| epoch > 0 && epoch <= trial.epochs())
    }
}
