//! Why a slot does what it does, in words, for the log.

use super::messages::{Now, SlotId};
use super::scheduler::{Mode, Scheduler};
use super::slots::{Progress, State};
use sweep_core::trial::TrialId;

impl Scheduler {
    /// Describes what a slot does. If it trains nothing, the description says what it waits for.
    pub fn why(&self, now: Now, id: SlotId) -> String {
        let slot = &self.slots[id.0];
        let seconds = |duration: std::time::Duration| format!("{} s", duration.as_secs());
        let heard = seconds(now.since.saturating_sub(slot.heard));
        match &slot.state {
            State::Training { attempt, progress: Progress { epoch: 0, .. } } => {
                format!("runs {attempt}, last message {heard} ago")
            }
            State::Training { attempt, progress: Progress { epoch, step, steps } } => {
                format!("runs {attempt}, epoch {epoch}, step {step} of {steps}, last message {heard} ago")
            }
            State::Pausing { attempt, deadline } => {
                let left = seconds(deadline.saturating_sub(now.since));
                format!("waits for {attempt} to save and leave; kills it in {left}")
            }
            State::Starting => format!("its trainer was started and is not ready yet, last message {heard} ago"),
            State::Ending => format!("its trainer was asked to exit, last message {heard} ago"),
            State::Out { reason } => format!("was given up: {reason}"),
            State::Ready => format!("its trainer waits: {}", self.why_idle(now, id)),
            State::Empty => format!("is empty: {}", self.why_idle(now, id)),
        }
    }

    fn why_idle(&self, now: Now, id: SlotId) -> String {
        let slot = &self.slots[id.0];
        if self.mode != Mode::Running {
            return "the sweep is stopping".to_owned();
        }
        if let Some(reason) = &slot.held {
            return reason.clone();
        }
        if let Some((trial, _)) = self.kept.filter(|(_, place)| *place == slot.place) {
            return format!("its device is reserved for trial {trial}, which needs all of it");
        }
        if self.waiting.values().any(|due| *due <= now.since) {
            return "its device runs as many trials as memory and throughput allow".to_owned();
        }
        let retry = self.waiting.iter().min_by_key(|(_, due)| **due);
        let retry = retry.map(|(trial, due)| {
            format!("; trial {trial} continues in {} s", due.saturating_sub(now.since).as_secs().max(1))
        });
        self.why_no_new_trial() + &retry.unwrap_or_default()
    }

    /// Returns why no new trial begins.
    fn why_no_new_trial(&self) -> String {
        let next = TrialId(self.history.trials.len() as u64 + 1);
        if self.config.total.is_some_and(|total| next.0 > total) {
            return match self.parked.len() {
                0 => "every trial has begun".to_owned(),
                parked => {
                    format!(
                        "every trial has begun; {parked} are paused, and continue if they compare well with the \
                    others"
                    )
                }
            };
        }
        let needs = self.source.needs(next);
        let open = |id: &TrialId| {
            self.history.trial(*id).is_none_or(|trial| trial.outcome().is_none()) && !self.parked.contains(id)
        };
        match (1..=needs).map(TrialId).find(open) {
            Some(open) => {
                format!("trial {next} depends on the results of trials 1 to {needs} and waits for trial {open}")
            }
            None => "its device runs as many trials as memory and throughput allow".to_owned(),
        }
    }
}
