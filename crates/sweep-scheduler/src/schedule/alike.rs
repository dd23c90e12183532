//! Programs that fail in the same way before any has reported an epoch: a usage error, a module that is missing. Another
//! attempt does not fix those.

use std::time::Duration;

use super::messages::{Action, Now, SlotId};
use super::scheduler::{Mode, Scheduler};
use super::slots::State;

/// A program that has run for this many times as long as one that failed shows that not all fail as that one did. Programs
/// that start together on a busy machine do not fail together.
const OUTLIVED: f64 = 1.5;

/// It must also have run this much longer.
const MARGIN: Duration = Duration::from_millis(500);

/// Maximum number of ways to fail that are remembered.
const MOST_GISTS: usize = 100;

impl Scheduler {
    /// Handles a program that failed. `gist` is what attempts that fail alike have in common, however long they took.
    /// `None` if the failure may be the attempt's own.
    pub(super) fn on_failed(
        &mut self,
        now: Now,
        id: SlotId,
        gist: Option<String>,
        error: String,
        actions: &mut Vec<Action>,
    ) {
        let works = self.history.trials.iter().any(|trial| !trial.curve.is_empty() || trial.ended_well());
        let Some(gist) = gist.filter(|_| !works && self.mode == Mode::Running) else { return };
        let took = now.since.saturating_sub(self.slots[id.0].assigned);
        let outlives = |other: &super::Slot| {
            let runs = now.since.saturating_sub(other.assigned);
            matches!(&other.state, State::Training { .. }) && runs > took.mul_f64(OUTLIVED) + MARGIN
        };
        if self.gists.contains(&gist) && !self.slots.iter().any(outlives) {
            self.hopeless = Some(error);
            self.mode = Mode::Draining;
            self.clear(now, actions);
        } else if self.gists.len() < MOST_GISTS {
            self.gists.insert(gist);
        }
    }
}
