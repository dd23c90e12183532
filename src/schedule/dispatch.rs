//! The scheduler's part in handing out trials: to which slot goes which.

use super::messages::{Action, Now, SlotId};
use super::scheduler::{Mode, Scheduler};
use super::slots::{Progress, Slot, State};
use crate::history::Entry;
use crate::trial::{Attempt, Settings, TrialId};

impl Scheduler {
    /// Hands trials to trainers that wait, starts trainers where there is work for them, ends them where there is none.
    pub(super) fn fill(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.mode == Mode::Running {
            self.close(now, actions);
        }
        for id in (0..self.slots.len()).map(SlotId) {
            if self.slots[id.0].state != State::Ready {
                continue;
            }
            if self.mode == Mode::Running
                && let Some((attempt, settings, new)) = self.next_trial(now)
            {
                let slot = self.slots[id.0].name.clone();
                let in_journal = new.then(|| settings.clone());
                self.record(actions, Entry::Started { at: now.unix, attempt, slot, settings: in_journal });
                let slot = &mut self.slots[id.0];
                (slot.state, slot.heard) = (State::Training { attempt, progress: Progress::default() }, now.since);
                actions.push(Action::Train { slot: id, attempt, settings });
            } else if self.mode != Mode::Running || self.is_complete() {
                self.slots[id.0].state = State::Ending;
                actions.push(Action::End(id));
            }
        }
        if self.mode == Mode::Running {
            self.start_trainers(now, actions);
        }
    }

    fn start_trainers(&mut self, now: Now, actions: &mut Vec<Action>) {
        let on_hand = |slot: &&Slot| matches!(slot.state, State::Starting | State::Ready);
        let on_hand = self.slots.iter().filter(on_hand).count() as u64;
        let mut wanted = self.work().unwrap_or(u64::MAX).saturating_sub(on_hand);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if wanted > 0 && slot.state == State::Empty && slot.held.is_none() {
                (slot.state, slot.heard) = (State::Starting, now.since);
                actions.push(Action::Start(SlotId(index)));
                wanted -= 1;
            }
        }
    }

    /// The trial to hand out next: a begun one before a new one. Whether it is new comes with it.
    fn next_trial(&mut self, now: Now) -> Option<(Attempt, Settings, bool)> {
        if let Some(id) = self.waiting.iter().find(|(_, due)| **due <= now.since).map(|(id, _)| *id) {
            self.waiting.remove(&id);
            let trial = self.history.trial(id).expect("a trial that waits was started before");
            return Some((Attempt { trial: id, number: trial.attempts + 1 }, trial.settings.clone(), false));
        }
        let id = TrialId(self.history.trials.len() as u64 + 1);
        if self.rules.total.is_some_and(|total| id.0 > total) {
            return None;
        }
        let Some(settings) = (self.points)(id, &self.history) else {
            // The search knew of no end, and has found one.
            self.rules.total = Some(id.0 - 1);
            return None;
        };
        Some((Attempt { trial: id, number: 1 }, settings, true))
    }

    /// Trials that could be handed out, now or after their delay; `None`: no end of them.
    pub(super) fn work(&self) -> Option<u64> {
        let new = self.rules.total?.saturating_sub(self.history.trials.len() as u64);
        Some(new + self.waiting.len() as u64)
    }

    /// Whether any could be.
    pub(super) fn has_work(&self) -> bool {
        self.work() != Some(0)
    }
}
