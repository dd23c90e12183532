//! The part of the scheduler that records how trials use their devices: memory, time, and energy. It also handles lack
//! of memory.

use super::messages::{Action, Now, SlotId};
use super::scheduler::{FIRST_DELAY, Scheduler};
use super::slots::{Slot, Use};
use sweep_core::describe::gibibytes;
use sweep_core::history::Entry;
use sweep_core::shape::{Fact, MEASUREMENTS};
use sweep_core::trial::{Attempt, EpochMetrics, Outcome};

impl Scheduler {
    /// Handles an attempt that ran out of memory. Other trials may have held the memory, so the trial is retried alone.
    /// From now on, fewer trials of its shape share a device. A trial that was already alone fails.
    pub(super) fn lack(&mut self, now: Now, id: SlotId, attempt: Attempt, error: String, actions: &mut Vec<Action>) {
        let slot = &self.slots[id.0];
        if self.history.trial(attempt.trial).is_some_and(|trial| trial.crowded) {
            let had = Some(slot.used.memory).filter(|bytes| *bytes > 0).map(gibibytes);
            let had = had.map_or(String::new(), |had| format!("; it used {had}"));
            let room = slot.room.map_or("all of the memory".into(), gibibytes);
            let error = format!("{error}; it does not fit alone on {} either, with {room}{had}", slot.name);
            return self.end(now, attempt, Outcome::OutOfMemory { error }, actions);
        }
        let (together, shape) = (self.together(slot.place), slot.used.shape.clone().unwrap_or_default());
        let fault = format!("out of memory: {error}");
        self.record(actions, Entry::Lost { at: now.unix, attempt, fault, crowded: true });
        if together > 1 {
            self.record(actions, Entry::Learnt { at: now.unix, shape, fact: Fact::Most(together - 1) });
        }
        self.settle(now, attempt.trial, now.since + FIRST_DELAY, actions);
    }

    /// Records a measurement of a slot's GPU.
    pub(super) fn on_sight(
        &mut self,
        now: Now,
        id: SlotId,
        (memory, room): (Option<u64>, Option<u64>),
        joules: f64,
        actions: &mut Vec<Action>,
    ) {
        let slot = &mut self.slots[id.0];
        slot.room = room.or(slot.room);
        slot.used.memory = memory.unwrap_or(slot.used.memory);
        if slot.attempt().is_none() {
            return;
        }
        slot.used.joules += joules;
        let Use { shape: Some(shape), memory, left, epoch_at, .. } = slot.used.clone() else { return };
        let known = self.history.shapes.get(&shape).and_then(|shape| shape.memory);
        // Before its first epoch has ended, the trial may still need more. Small changes are not worth an entry.
        let is_told = epoch_at.is_some() || known.is_some();
        if slot.auto && memory > left && is_told && known.is_none_or(|known| memory > known + known / 50) {
            self.record(actions, Entry::Learnt { at: now.unix, shape, fact: Fact::Memory(memory) });
        }
    }

    /// Records the duration of an epoch that the trial on the slot reported, if the same trials shared the device
    /// throughout.
    pub(super) fn measure(&mut self, now: Now, id: SlotId, metrics: &EpochMetrics, actions: &mut Vec<Action>) {
        let before = self.slots[id.0].used.epoch_at.replace(now.since);
        let Slot { auto: true, place, .. } = self.slots[id.0] else { return };
        let together = self.together(place);
        let used = &mut self.slots[id.0].used;
        let steady = std::mem::replace(&mut used.steady, true);
        let (Some(before), true, Some(shape)) = (before, steady, used.shape.clone()) else { return };
        let seconds = metrics.seconds.unwrap_or_else(|| now.since.saturating_sub(before).as_secs_f64());
        let known = self.history.shapes.get(&shape).and_then(|shape| shape.epochs.get(&together));
        if seconds > 0.0 && known.is_none_or(|(count, _)| *count < MEASUREMENTS) {
            let fact = Fact::Epoch { together, seconds };
            self.record(actions, Entry::Learnt { at: now.unix, shape, fact });
        }
    }

    /// Records the usage of an attempt that is about to leave its slot.
    pub(super) fn account(&mut self, attempt: Attempt, actions: &mut Vec<Action>) {
        let Some(id) = self.slots.of_trial(attempt.trial) else { return };
        let slot = &mut self.slots[id.0];
        if slot.attempt() != Some(attempt) {
            return;
        }
        let (joules, place) = (std::mem::take(&mut slot.used.joules), slot.place);
        self.unsettle(place);
        if joules > 0.0 {
            self.record(actions, Entry::Used { attempt, joules });
        }
    }
}
