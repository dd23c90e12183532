//! The part of the scheduler that keeps to the budget of the sweep.
//!
//! What an epoch costs is measured in the first trials. From that and from the budget follows whether trials are compared
//! with each other, and how early (`sweep_core::budget`). A trial begins only if it fits into what is left. When the
//! budget is used up, what still runs is saved and ends, and its best epoch counts.

use super::messages::{Action, Now};
use super::scheduler::Scheduler;
use super::slots::Slot;
use sweep_core::budget::{self, ETA, Purchase};
use sweep_core::history::{Entry, TrialRecord};
use sweep_core::stop::{Asha, Hyperband, Rule, Standings};
use sweep_core::trial::TrialId;

/// Share of the budget that the search may use if a race follows.
const SEARCH_SHARE: f64 = 2.0 / 3.0;

/// Epochs of a network after which their cost is known. The first one includes what is done once.
const MEASURED: usize = 2;

/// An amount of one kind, and its limit.
struct Limit {
    used: f64,
    /// What a new trial is expected to use, together with the rest of those that run.
    next: f64,
    limit: f64,
}

impl Scheduler {
    /// Decides what the budget buys once that is known, begins no trial that does not fit into it, and ends the sweep
    /// once it is used up.
    pub(super) fn keep_budget(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.config.budget.is_none() {
            return;
        }
        if self.history.purchase.is_none()
            && let Some(purchase) = self.purchase()
        {
            self.record(actions, Entry::Bought { at: now.unix, purchase });
            self.follow_purchase();
        }
        let begun = self.history.trials.len() as u64;
        let limits = self.limits(now);
        if limits.iter().any(|one| one.used >= one.limit) {
            (self.config.total, self.is_closed, self.is_spent) = (Some(begun), true, true);
            self.end_all(now, actions);
        } else if limits.iter().any(|one| one.used + one.next > one.limit * self.share()) && begun > 0 {
            self.config.total = Some(begun);
            self.is_closed = self.share() >= 1.0;
        }
    }

    /// Applies the rule that follows from the budget, if the sweep file names none.
    pub(super) fn follow_purchase(&mut self) {
        if !self.config.chooses_rule {
            return;
        }
        let Some(min_iter) = self.history.purchase.and_then(|purchase| purchase.min_iter) else { return };
        let Some(stop) = &mut self.config.stop else { return };
        // Nothing shows that a program resumes where it was paused.
        let rule = match self.config.saves {
            true => Rule::Asha(Asha::new(min_iter, ETA.into())),
            false => Rule::Hyperband(Hyperband::upwards(min_iter, ETA.into(), true)),
        };
        stop.terms.rule = Some(rule.clone());
        let mut standings = Standings::new(rule);
        self.history.trials.iter().for_each(|trial| standings.update(trial, &self.config.metric));
        self.standings = Some(standings);
    }

    /// Returns what the budget buys, once a trial has shown what an epoch costs.
    fn purchase(&self) -> Option<Purchase> {
        let planned = |trial: &TrialRecord| (self.config.stop.as_ref()?.planned)(&trial.settings);
        let is_measured = |trial: &&TrialRecord| {
            let is_whole = trial.ended_well() && !trial.curve.is_empty();
            is_whole || (planned(trial).is_some() && trial.curve.len() >= MEASURED)
        };
        let trial = self.history.trials.iter().find(is_measured)?;
        let epochs = planned(trial).unwrap_or(trial.curve.len() as u32);
        let times: Vec<f64> = trial.curve.iter().filter_map(|epoch| epoch.seconds).collect();
        let seconds = times.last().copied().filter(|seconds| *seconds > 0.0);
        let slots = self.slots.iter().filter(|slot| !slot.is_out()).count().max(1) as f64;
        let of_time = self.config.budget.seconds(self.gpus()).zip(seconds);
        let of_time = of_time.map(|(limit, seconds)| limit * slots / seconds / f64::from(epochs));
        let of_epochs = self.config.budget.epochs.map(|limit| limit as f64 / f64::from(epochs));
        let of_energy = self.config.budget.joules.zip(trial.joules).filter(|(_, used)| *used > 0.0);
        let of_energy = of_energy.map(|(limit, used)| limit / used * trial.curve.len() as f64 / f64::from(epochs));
        let whole = [of_time, of_epochs, of_energy].into_iter().flatten().reduce(f64::min)?;
        let parameters = trial.settings.len();
        let wanted = budget::wanted(parameters, self.config.total);
        Some(Purchase { seconds, ..budget::purchase(whole * self.share(), epochs, wanted, self.config.total) })
    }

    /// Returns the share of the budget that new trials may use.
    fn share(&self) -> f64 {
        let is_search = self.history.rounds.is_empty();
        if is_search && self.source.races() { SEARCH_SHARE } else { 1.0 }
    }

    fn limits(&self, now: Now) -> Vec<Limit> {
        let budget = &self.config.budget;
        let running = || self.slots.iter().filter_map(Slot::attempt).filter_map(|one| self.history.trial(one.trial));
        let mean = |of: &dyn Fn(&TrialRecord) -> f64| {
            let ended = self.history.trials.iter().filter(|trial| trial.ended_well());
            let (sum, count) = ended.fold((0.0, 0.0), |(sum, count), trial| (sum + of(trial), count + 1.0));
            if count > 0.0 { sum / count } else { 0.0 }
        };
        let rest = |whole: f64, of: &dyn Fn(&TrialRecord) -> f64| {
            whole + running().map(|trial| (whole - of(trial)).max(0.0)).sum::<f64>()
        };
        let mut limits = Vec::new();
        if let Some(limit) = budget.seconds(self.gpus()) {
            let used = self.before.as_secs_f64() + now.since.as_secs_f64();
            limits.push(Limit { used, next: mean(&|trial| trial.seconds), limit });
        }
        let epochs = |trial: &TrialRecord| trial.curve.len() as f64;
        if let Some(limit) = budget.epochs {
            let used = self.history.trials.iter().map(epochs).sum();
            limits.push(Limit { used, next: rest(mean(&epochs), &epochs), limit: limit as f64 });
        }
        let joules = |trial: &TrialRecord| trial.joules.unwrap_or(0.0);
        if let Some(limit) = budget.joules {
            let now: f64 = self.slots.iter().map(|slot| slot.used.joules).sum();
            let used = self.history.trials.iter().map(joules).sum::<f64>() + now;
            limits.push(Limit { used, next: rest(mean(&joules), &joules), limit });
        }
        limits
    }

    /// Returns the number of GPUs in use. `gpu:0+1` is a slot of two, and a slot of the CPU has none.
    fn gpus(&self) -> usize {
        let used = self.slots.iter().filter(|slot| !slot.is_out());
        let gpus = used.filter_map(|slot| Some((slot.place, slot.name.split_once("gpu:")?.1.matches('+').count() + 1)));
        gpus.collect::<std::collections::BTreeMap<_, _>>().into_values().sum()
    }

    /// Ends every trial that waits, and asks those that run to save and leave.
    fn end_all(&mut self, now: Now, actions: &mut Vec<Action>) {
        let waiting: Vec<TrialId> = self.waiting.keys().chain(&self.parked).copied().collect();
        for id in waiting {
            self.end_unwanted(now, id, actions);
        }
        for id in self.slots.ids() {
            if self.slots[id.0].attempt().is_some() {
                self.leave_slot(now, id, actions);
            }
        }
    }
}
