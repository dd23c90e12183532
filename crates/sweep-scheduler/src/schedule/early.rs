//! The part of the scheduler that applies `early_terminate`: it asks the rules and acts on their verdicts.

use std::time::Duration;

use super::messages::{Action, Now, SlotId};
use super::scheduler::Scheduler;
use super::slots::State;
use sweep_core::history::Entry;
use sweep_core::steering::Request;
use sweep_core::stop::{Moment, Rule, Verdict};
use sweep_core::trial::{Attempt, Outcome, Stopper, TrialId};
use sweep_core::warning::Warning;

impl Scheduler {
    /// Judges the trial on the slot, which has reported an epoch. The trial may have to leave, and parked trials may
    /// continue because of its result.
    pub(super) fn compare(&mut self, now: Now, id: SlotId, actions: &mut Vec<Action>) {
        let State::Training { attempt, .. } = self.slots[id.0].state else { return };
        let verdict = self.verdict(attempt.trial, Moment::Epoch);
        // It would be paused at the same epoch for ever.
        if matches!(verdict, Verdict::Pause(_)) && self.started_over.contains(&attempt.trial) {
            return;
        }
        if let Verdict::Pause(by) | Verdict::Stop(by) = verdict {
            if self.config.stop.as_ref().is_some_and(|stop| stop.spares(attempt.trial)) {
                let epoch = self.history.trial(attempt.trial).map_or(0, |trial| trial.curve.len() as u32);
                self.record(actions, Entry::Spared { at: now.unix, attempt, by, epoch });
            } else {
                self.leave_slot(now, id, actions);
            }
        }
        self.promote(Moment::Rest);
    }

    /// Decides about a begun trial that no trainer has any more. The trial continues, no earlier than `due`, or waits
    /// for other trials, or ends.
    pub(super) fn settle(&mut self, now: Now, trial: TrialId, due: Duration, actions: &mut Vec<Action>) {
        if self.end_unwanted(now, trial, actions) {
            return;
        }
        match self.verdict(trial, Moment::Rest) {
            Verdict::GoOn => drop(self.waiting.insert(trial, due)),
            Verdict::Pause(_) => drop(self.parked.insert(trial)),
            Verdict::Stop(_) => self.stop(now, trial, Moment::Rest, actions),
        }
    }

    /// Resolves the parked trials once no trial is running and none can be assigned. No other trial can arrive, so the
    /// best of them continue. If none does, all of them end.
    pub(super) fn close(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.parked.is_empty() || self.slots.are_busy() || self.work() != Some(0) {
            return;
        }
        self.promote(Moment::Closed);
        if self.waiting.is_empty() {
            for trial in std::mem::take(&mut self.parked) {
                self.stop(now, trial, Moment::Closed, actions);
            }
        }
    }

    /// Lets parked trials continue that have turned out to be good enough.
    fn promote(&mut self, moment: Moment) {
        let Some(standings) = self.standings.as_mut().filter(|_| !self.parked.is_empty()) else { return };
        if !standings.take_changed() && moment == Moment::Rest {
            return;
        }
        let (standings, waiting) = (&*standings, &mut self.waiting);
        self.parked.retain(|trial| {
            let goes_on = standings.verdict(*trial, moment) == Verdict::GoOn;
            if goes_on {
                waiting.insert(*trial, Duration::ZERO);
            }
            !goes_on
        });
    }

    /// Updates the standings after an entry. The history has already applied it.
    pub(super) fn follow(&mut self, entry: &Entry) {
        if let (Some(standings), Entry::Row { attempt, metrics, .. }) = (&mut self.standings, entry)
            && let Some(trial) = self.history.trial(attempt.trial)
        {
            return standings.revise(trial, &self.config.metric, metrics.epoch);
        }
        if let (Some(standings), Entry::Steered { request: Some(Request::Retry { trials, .. }), .. }) =
            (&mut self.standings, entry)
        {
            let again = trials.iter().filter_map(|id| self.history.trial(*id));
            return again.for_each(|trial| standings.update(trial, &self.config.metric));
        }
        let (Entry::Started { attempt: Attempt { trial, .. }, .. }
        | Entry::Began { attempt: Attempt { trial, .. }, .. }
        | Entry::Epoch { attempt: Attempt { trial, .. }, .. }
        | Entry::Spared { attempt: Attempt { trial, .. }, .. }
        | Entry::Ended { attempt: Attempt { trial, .. }, .. }
        | Entry::Skipped { trial, .. }
        | Entry::Reopened { trial, .. }) = entry
        else {
            return;
        };
        if let (Some(standings), Some(trial)) = (&mut self.standings, self.history.trial(*trial)) {
            standings.update(trial, &self.config.metric);
        }
    }

    fn stop(&mut self, now: Now, id: TrialId, moment: Moment, actions: &mut Vec<Action>) {
        let (Verdict::Pause(by) | Verdict::Stop(by)) = self.verdict(id, moment) else { return };
        let trial = self.history.trial(id).expect("a trial that is stopped was started before");
        let (attempt, epoch) = (Attempt { trial: id, number: trial.attempts }, trial.curve.len() as u32);
        self.end(now, attempt, Outcome::Stopped { by, epoch }, actions);
    }

    /// The rule that has paused the trial until others have shown whether it is worth continuing, if one has.
    pub fn parks(&self, trial: TrialId) -> Option<Stopper> {
        match self.verdict(trial, Moment::Rest) {
            Verdict::Pause(by) if self.parked.contains(&trial) => Some(by),
            _ => None,
        }
    }

    /// Handles a program that begins anew what a rule has paused, because it has no checkpoint of its own. Its trial is not
    /// paused any more. A warning says so once in a sweep.
    pub(super) fn start_over(&mut self, now: Now, id: SlotId, attempt: Attempt, actions: &mut Vec<Action>) {
        const NAME: &str = "starts_over";
        let rule = self.config.stop.as_ref().and_then(|stop| stop.terms.rule.as_ref());
        let trial = self.history.trial(attempt.trial).filter(|trial| !trial.curve.is_empty());
        let (Some(Rule::Asha(_)), Some(trial)) = (rule, trial) else { return };
        self.started_over.insert(attempt.trial);
        if self.history.trials.iter().flat_map(|trial| &trial.warnings).any(|warning| warning.name == NAME) {
            return;
        }
        let text = format!(
            "it starts over after {} epochs: asha pauses trials and continues the best, but the program does not continue \
             from its own checkpoint. It is not paused again. Save a checkpoint in SWEEP_TRIAL_DIR and load it if \
             SWEEP_RESUME is 1, or use hyperband or median, which pause no trial",
            trial.epochs()
        );
        let warning = Warning { name: NAME.to_owned(), serious: false, text };
        self.record_said(now, id, Entry::Warned { attempt, warning }, actions);
    }

    fn verdict(&self, trial: TrialId, moment: Moment) -> Verdict {
        let (Some(stop), Some(trial)) = (&self.config.stop, self.history.trial(trial)) else { return Verdict::GoOn };
        // The repeats of a race run as far as the trials that they are compared with.
        let standings = self.standings.as_ref().filter(|_| !self.history.is_raced(trial.id));
        stop.verdict(trial, standings, &self.config.metric, moment)
    }
}
