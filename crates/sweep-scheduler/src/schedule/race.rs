//! The part of the scheduler that lets a race go on. What is repeated is decided by the source of trials; a round begins
//! only once every trial before it has ended, so it does not depend on which trials end first.

use super::messages::{Action, Now};
use super::scheduler::Scheduler;
use sweep_core::history::Entry;

impl Scheduler {
    /// Begins the next round of the race, if there is one and everything before it has ended.
    pub(super) fn race(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.is_closed || !self.is_at_rest() {
            return;
        }
        if let Some(round) = self.source.round(&self.history) {
            self.config.total = Some(round.after + round.again.len() as u64);
            self.record(actions, Entry::Raced { at: now.unix, round });
        }
    }

    /// Returns whether every trial so far has ended and none can be assigned.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.has_work() && self.parked.is_empty() && !self.slots.are_busy()
    }
}
