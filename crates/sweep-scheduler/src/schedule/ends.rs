//! Jobs that end soon: a slot gets no trial that could not reach a checkpoint before its host's job ends.
//!
//! The built-in trainer saves between two batches, so a trial only has to begin. A program may save after each epoch. How
//! long both take is measured; before the first measurement, nothing is held back.

use std::time::Duration;

use super::messages::{Action, Now, SlotId};
use super::scheduler::Scheduler;
use super::slots::{Ends, State};
use sweep_core::history::{Entry, History};

/// The longest times seen so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Longest {
    /// From the start of a trainer until it was ready.
    start: Duration,
    /// From the assignment of a trial until it began, or reported its first epoch if it is a program.
    checkpoint: Duration,
}

impl Longest {
    /// Takes over what programs reported in earlier runs.
    pub fn of(history: &History, saves: bool) -> Longest {
        let epochs = history.trials.iter().flat_map(|trial| &trial.curve).filter_map(|epoch| epoch.seconds);
        let longest = epochs.filter(|_| !saves).fold(0.0, f64::max);
        Longest { start: Duration::ZERO, checkpoint: Duration::try_from_secs_f64(longest).unwrap_or_default() }
    }
}

impl Scheduler {
    /// Measures how long a trainer took to be ready.
    pub(super) fn has_started(&mut self, now: Now, id: SlotId) {
        let took = now.since.saturating_sub(self.slots[id.0].assigned);
        self.longest.start = self.longest.start.max(took);
    }

    /// Measures how long an attempt took until it could be interrupted without loss.
    pub(super) fn can_go_on(&mut self, now: Now, id: SlotId) {
        let took = now.since.saturating_sub(self.slots[id.0].assigned);
        self.longest.checkpoint = self.longest.checkpoint.max(took);
    }

    /// Takes idle slots out of use whose hosts' jobs end too soon. If even a whole job is too short, it is used anyway.
    pub(super) fn hold_back(&mut self, now: Now, actions: &mut Vec<Action>) {
        if !self.has_work() {
            return;
        }
        for id in self.slots.empty().union(self.slots.ready()).copied().collect::<Vec<_>>() {
            let slot = &self.slots[id.0];
            let needed =
                self.longest.checkpoint + if slot.state == State::Empty { self.longest.start } else { Duration::ZERO };
            let Some(Ends { at, whole, is_near: false }) = slot.ends else { continue };
            let left = at.saturating_sub(now.since);
            if needed <= left || needed > whole || slot.leaving || slot.absent.is_some() {
                continue;
            }
            let held = Some(format!(
                "its job has {} left, and a trial may need {} until it can be interrupted",
                rounded(left),
                rounded(needed)
            ));
            self.slots.set_leaving(id, true);
            let slot = &mut self.slots[id.0];
            slot.ends = Some(Ends { at, whole, is_near: true });
            slot.held.clone_from(&held);
            let slot = slot.name.clone();
            self.record(actions, Entry::Device { at: now.unix, slot, held });
        }
    }
}

fn rounded(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
