//! The part of the scheduler that carries out what the user asks for from another terminal.

use std::time::Duration;

use super::messages::{Action, Leftover, Now, SlotId};
use super::scheduler::Scheduler;
use super::slots::State;
use sweep_core::history::{Entry, Status, TrialRecord};
use sweep_core::random::trial_seed;
use sweep_core::steering::{Asked, Request, Wish};
use sweep_core::trial::{Attempt, Outcome, Stopper, TrialId};

/// What a request comes to: what of it is carried out, and the answer.
type Decision = (Option<Request>, Vec<String>);

impl Scheduler {
    /// Carries out a request, unless the journal says that this was done. The answer is then in the history.
    pub(super) fn on_asked(&mut self, now: Now, asked: Asked, actions: &mut Vec<Action>) {
        if self.history.steering.answer(&asked.id).is_some() {
            return;
        }
        let (request, said) = match asked.request {
            Ok(request) => self.decide(request),
            Err(error) => (None, vec![error]),
        };
        let id = asked.id;
        self.record(actions, Entry::Steered { at: now.unix, id, request: request.clone(), said });
        match request {
            Some(Request::Stop { trials } | Request::Skip { trials }) => {
                trials.into_iter().for_each(|trial| self.grant(now, trial, actions));
            }
            Some(Request::Retry { trials, from_scratch }) => {
                trials.into_iter().for_each(|trial| self.retry(trial, from_scratch, actions));
            }
            // What was drawn may not be the next any more.
            Some(Request::First { .. }) => self.drawn = None,
            Some(Request::Leave { node }) => self.give_back(now, &node, actions),
            Some(Request::Pause | Request::Slots { .. }) => {
                for id in self.slots.ids() {
                    if self.is_given_back(id) && matches!(&self.slots[id.0].state, State::Training { .. }) {
                        self.leave_slot(now, id, actions);
                    }
                }
            }
            Some(Request::Continue | Request::Tag { .. } | Request::Join { .. }) | None => {}
        }
    }

    fn decide(&self, request: Request) -> Decision {
        let is_paused = self.history.steering.paused;
        match request {
            Request::Stop { trials } => self.each(trials, |trials| Request::Stop { trials }, Scheduler::decide_stop),
            Request::Skip { trials } => self.each(trials, |trials| Request::Skip { trials }, Scheduler::decide_skip),
            Request::Retry { trials, from_scratch } => {
                // A built-in trial that has ended has no checkpoint to go on from.
                let from_scratch = from_scratch || self.config.saves;
                let whole = |trials| Request::Retry { trials, from_scratch };
                self.each(trials, whole, |scheduler, id| scheduler.decide_retry(id, from_scratch))
            }
            Request::First { trials } => self.each(trials, |trials| Request::First { trials }, Scheduler::decide_first),
            Request::Pause if is_paused => (None, vec!["the sweep is paused already".to_owned()]),
            Request::Pause => {
                let count = self.slots.iter().filter(|slot| slot.attempt().is_some()).count();
                let what = match count {
                    0 => "no trial starts until `sweep continue`".to_owned(),
                    1 => "1 running trial is asked to save; none starts until `sweep continue`".to_owned(),
                    _ => format!("{count} running trials are asked to save; none starts until `sweep continue`"),
                };
                (Some(Request::Pause), vec![what])
            }
            Request::Continue if !is_paused => (None, vec!["the sweep is not paused".to_owned()]),
            Request::Continue => (Some(Request::Continue), vec!["the sweep continues".to_owned()]),
            Request::Slots { most } => {
                let all = self.slots.iter().filter(|slot| !slot.is_out()).count();
                let used = most.map_or(all, |most| all.min(most as usize));
                let busy = self.slots.iter().filter(|slot| slot.attempt().is_some()).count();
                let saves = match busy.saturating_sub(used) {
                    0 => String::new(),
                    1 => "; 1 running trial is asked to save".to_owned(),
                    many => format!("; {many} running trials are asked to save"),
                };
                let are = if used == 1 { "is" } else { "are" };
                (Some(Request::Slots { most }), vec![format!("{used} of {all} slots {are} used{saves}")])
            }
            Request::Join { on } => {
                let said = on.iter().map(|one| format!("{one} is prepared, and then joins")).collect();
                (Some(Request::Join { on }), said)
            }
            Request::Leave { node } => self.decide_leave(node),
            Request::Tag { trial, text } => match self.standing(trial) {
                Err(error) => (None, vec![error]),
                Ok(_) if text.is_empty() => {
                    (Some(Request::Tag { trial, text }), vec![format!("trial {trial} has no tag any more")])
                }
                Ok(_) => (Some(Request::Tag { trial, text }), vec![format!("trial {trial} is tagged")]),
            },
        }
    }

    fn decide_stop(&self, id: TrialId) -> Result<String, String> {
        match self.standing(id)? {
            None => Err(format!("trial {id} has not begun; `sweep skip` leaves it out")),
            Some(Status::Ended(outcome)) => Err(format!("trial {id} has ended: {}", outcome.name())),
            Some(Status::Running) => Ok(format!("trial {id} is asked to save and end; its best epoch counts")),
            Some(Status::Waiting) => Ok(format!("trial {id} has ended; its best epoch counts")),
        }
    }

    fn decide_skip(&self, id: TrialId) -> Result<String, String> {
        match self.standing(id)? {
            Some(Status::Ended(outcome)) => Err(format!("trial {id} has ended: {}", outcome.name())),
            Some(Status::Running) => Ok(format!("trial {id} is asked to end, and will not be ranked")),
            None | Some(Status::Waiting) => Ok(format!("trial {id} is skipped")),
        }
    }

    fn decide_retry(&self, id: TrialId, from_scratch: bool) -> Result<String, String> {
        match self.standing(id)? {
            None if self.history.steering.skipped.contains(&id.0) => Ok(format!("trial {id} is no longer skipped")),
            None => Err(format!("trial {id} has not begun")),
            Some(Status::Running | Status::Waiting) => Err(format!("trial {id} has not ended")),
            Some(Status::Ended(outcome @ (Outcome::Finished | Outcome::EarlyStopped))) => {
                Err(format!("trial {id} is {}, and such a trial never runs again", outcome.name()))
            }
            Some(Status::Ended(_)) if from_scratch => Ok(format!("trial {id} runs again, from the start")),
            Some(Status::Ended(_)) => Ok(format!("trial {id} runs again, from its own checkpoint if it has one")),
        }
    }

    fn decide_first(&self, id: TrialId) -> Result<String, String> {
        match self.standing(id)? {
            Some(Status::Ended(outcome)) => Err(format!("trial {id} has ended: {}", outcome.name())),
            Some(Status::Running) => Err(format!("trial {id} is running")),
            Some(Status::Waiting) => Ok(format!("trial {id} continues as soon as a slot is free")),
            None if self.source.learns() => {
                Err(format!("trial {id} has no parameters yet: the search chooses them from results"))
            }
            None => Ok(format!("the parameters of trial {id} are the next to run")),
        }
    }

    /// Decides about each trial of a request.
    fn each(
        &self,
        trials: Vec<TrialId>,
        whole: impl Fn(Vec<TrialId>) -> Request,
        decide: impl Fn(&Scheduler, TrialId) -> Result<String, String>,
    ) -> Decision {
        let (mut granted, mut said) = (Vec::new(), Vec::new());
        for id in trials {
            match decide(self, id) {
                Ok(_) if granted.contains(&id) => {}
                Ok(answer) => {
                    granted.push(id);
                    said.push(answer);
                }
                Err(answer) => said.push(answer),
            }
        }
        ((!granted.is_empty()).then(|| whole(granted)), said)
    }

    /// Returns the status of a trial, `None` if it has not begun. A number that the sweep does not have is an error.
    fn standing(&self, id: TrialId) -> Result<Option<Status>, String> {
        if let Some(trial) = self.history.trial(id) {
            return Ok(Some(trial.status.clone()));
        }
        if let Some(ahead) = self.history.trials.iter().find(|trial| trial.place == id.0) {
            return Err(format!("the parameters of trial {id} began earlier, as trial {}", ahead.id));
        }
        match self.config.total {
            Some(total) if id.0 > total || id.0 == 0 => Err(format!("trial {id} does not exist: there are {total}")),
            _ if id.0 == 0 => Err("trials are counted from 1".to_owned()),
            _ => Ok(None),
        }
    }

    /// Ends a trial that the user does not want any more, or asks it to save first.
    fn grant(&mut self, now: Now, id: TrialId, actions: &mut Vec<Action>) {
        match self.history.trial(id).map(|trial| &trial.status) {
            Some(Status::Running) => {
                if let Some(slot) = self.slots.of_trial(id) {
                    self.leave_slot(now, slot, actions);
                }
            }
            Some(Status::Waiting) => drop(self.end_unwanted(now, id, actions)),
            _ => {}
        }
    }

    /// Ends a trial that no trainer has, if the user or the clock has said so. Returns whether it has ended.
    pub(super) fn end_unwanted(&mut self, now: Now, id: TrialId, actions: &mut Vec<Action>) -> bool {
        let Some(trial) = self.history.trial(id) else { return false };
        let (attempt, epoch) = (Attempt { trial: id, number: trial.attempts }, trial.curve.len() as u32);
        let outcome = match trial.wish {
            Some(Wish::Stop) => Outcome::Stopped { by: Stopper::User, epoch },
            Some(Wish::Skip) => Outcome::Skipped,
            None if self.over_time.contains(&id) || self.is_over_time(trial, Duration::ZERO) => {
                Outcome::Stopped { by: Stopper::Time, epoch }
            }
            None if self.is_spent => Outcome::Stopped { by: Stopper::Budget, epoch },
            None => return false,
        };
        self.waiting.remove(&id);
        self.parked.remove(&id);
        self.over_time.remove(&id);
        self.end(now, attempt, outcome, actions);
        true
    }

    /// Whether the trial has run for as long as it may, `more` included.
    fn is_over_time(&self, trial: &TrialRecord, more: Duration) -> bool {
        let so_far = trial.seconds - trial.seconds_before + more.as_secs_f64();
        self.config.max_time.is_some_and(|most| so_far >= most.as_secs_f64())
    }

    fn retry(&mut self, id: TrialId, from_scratch: bool, actions: &mut Vec<Action>) {
        if self.history.trial(id).is_none() {
            return;
        }
        if from_scratch {
            let leftover = if self.config.saves { Leftover::Checkpoints } else { Leftover::Everything };
            actions.push(Action::Remove { trial: id, leftover });
        }
        self.waiting.insert(id, Duration::ZERO);
    }

    /// Returns whether the user wants the slot back: the sweep is paused, or enough slots before this one are used.
    pub(super) fn is_given_back(&self, id: SlotId) -> bool {
        let steering = &self.history.steering;
        let before = || self.slots[..id.0].iter().filter(|slot| !slot.is_out()).count();
        self.slots[id.0].leaving || steering.paused || steering.most.is_some_and(|most| before() >= most as usize)
    }

    /// Returns the number in the plan of the next new trial.
    pub(super) fn next_place(&self) -> TrialId {
        let places = &self.history.places;
        let wanted =
            self.history.steering.first.iter().find(|id| self.history.trial(**id).is_none() && !places.has_begun(id.0));
        wanted.copied().filter(|_| !self.source.learns()).unwrap_or(TrialId(places.next()))
    }

    /// Ends the trials that the user skips and whose turn it is, without an attempt.
    pub(super) fn pass_over(&mut self, now: Now, actions: &mut Vec<Action>) {
        loop {
            let place = self.next_place();
            if !self.history.steering.skipped.contains(&place.0) || self.draw().is_none() {
                return;
            }
            let Some(settings) = self.drawn.take() else { return };
            let trial = TrialId(self.history.trials.len() as u64 + 1);
            let seed = trial_seed(self.config.seed, &settings, self.history.next_repeat(&settings));
            let place = (place != trial).then_some(place.0);
            self.record(actions, Entry::Skipped { at: now.unix, trial, settings, seed, place });
        }
    }

    /// The begun trials that are due, those first that the user wants first.
    pub(super) fn due(&self, now: Now) -> Vec<TrialId> {
        let first = &self.history.steering.first;
        let mut due: Vec<TrialId> =
            self.waiting.iter().filter(|(_, due)| **due <= now.since).map(|(id, _)| *id).collect();
        due.sort_by_key(|id| first.iter().position(|wanted| wanted == id).unwrap_or(usize::MAX));
        due
    }

    /// Asks trials to leave that have run for as long as they may.
    pub(super) fn keep_time(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.config.max_time.is_none() {
            return;
        }
        for id in self.slots.ids() {
            let slot = &self.slots[id.0];
            if let State::Training { attempt, .. } = slot.state
                && let Some(trial) = self.history.trial(attempt.trial)
                && self.is_over_time(trial, now.since.saturating_sub(slot.assigned))
            {
                // The journal's times follow the clock, which may have been set back.
                self.over_time.insert(attempt.trial);
                self.leave_slot(now, id, actions);
            }
        }
    }
}
