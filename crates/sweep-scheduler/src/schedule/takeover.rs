//! The part of the scheduler that takes over a sweep, which may be a new one, from the controller before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::config::{Config, TrialSource};
use super::ends::Longest;
use super::keep::Keep;
use super::messages::{Action, Leftover, Now};
use super::nodes;
use super::scheduler::{Mode, Scheduler};
use super::slots::{Slot, Slots};
use sweep_core::history::{Entry, History, Status};
use sweep_core::stop::Standings;
use sweep_core::trial::{Outcome, TrialId};

impl Scheduler {
    /// Takes over a sweep in the state of `history`. Returns the scheduler and its first actions: cleaning up after a
    /// killed controller and starting trainers. `retry` retries the trials that failed or diverged.
    pub fn new(
        now: Now,
        config: Config,
        source: Box<dyn TrialSource>,
        history: History,
        slots: Vec<Slot>,
        run: Entry,
        retry: bool,
    ) -> (Scheduler, Vec<Action>) {
        let mut scheduler = Scheduler::idle(now, config, source, history, slots);
        scheduler.follow_purchase();
        let mut actions = Vec::new();
        scheduler.elsewhere = nodes::elsewhere(&scheduler.history);
        scheduler.record(&mut actions, run);
        for index in 0..scheduler.slots.len() {
            let Slot { name: slot, held, .. } = scheduler.slots[index].clone();
            if held.is_some() {
                scheduler.record(&mut actions, Entry::Device { at: now.unix, slot, held });
            }
        }
        let mut untidy = Vec::new();
        for id in (1..=scheduler.history.trials.len() as u64).map(TrialId) {
            match &scheduler.history.trials[id.0 as usize - 1].status {
                Status::Ended(Outcome::Failed { .. } | Outcome::Diverged { .. }) if retry => {
                    scheduler.reopen(now, id, &mut actions)
                }
                Status::Ended(_) if scheduler.history.untidied.contains_key(&id) => untidy.push(id),
                // The files are already gone. Only the trial's rank among the best must be restored.
                Status::Ended(_) => scheduler.tidy(&mut Vec::new(), id),
                Status::Running | Status::Waiting => scheduler.go_on_with(now, id, &mut actions),
            }
        }
        for id in untidy {
            scheduler.tidy(&mut actions, id);
        }
        scheduler.fill(now, &mut actions);
        (scheduler, actions)
    }

    /// Creates a scheduler that has decided nothing yet.
    fn idle(now: Now, config: Config, source: Box<dyn TrialSource>, history: History, slots: Vec<Slot>) -> Scheduler {
        let keep = Keep::new(config.keep_best as usize, config.metric.goal);
        let mut standings = config.stop.as_ref().and_then(|stop| stop.terms.rule.clone()).map(Standings::new);
        if let Some(standings) = &mut standings {
            history.trials[history.apart()..].iter().for_each(|trial| standings.update(trial, &config.metric));
        }
        let before = Duration::from_secs_f64(history.ran());
        let longest = Longest::of(&history, config.saves);
        Scheduler {
            config,
            source,
            history,
            slots: Slots::new(slots),
            waiting: BTreeMap::new(),
            parked: BTreeSet::new(),
            standings,
            drawn: None,
            kept: None,
            keep,
            mode: Mode::Running,
            ticked: now.since,
            looked: now.since,
            failed: Some((0, String::new())),
            without_metric: 0,
            hopeless: None,
            over_time: BTreeSet::new(),
            out_of_time: false,
            before,
            is_closed: false,
            is_spent: false,
            started_over: Default::default(),
            gists: Default::default(),
            elsewhere: BTreeMap::new(),
            expects: false,
            longest,
        }
    }

    /// Retries a trial that failed or diverged under an earlier controller.
    fn reopen(&mut self, now: Now, id: TrialId, actions: &mut Vec<Action>) {
        // A program goes on from its own checkpoint, and what it has told stays.
        let kept = !self.config.saves && !self.config.from_scratch;
        self.record(actions, Entry::Reopened { at: now.unix, trial: id, kept });
        if !kept {
            let leftover = if self.config.saves { Leftover::Checkpoints } else { Leftover::Everything };
            actions.push(Action::Remove { trial: id, leftover });
        }
        self.waiting.insert(id, Duration::ZERO);
    }

    /// Goes on with a trial that had not ended under an earlier controller.
    fn go_on_with(&mut self, now: Now, id: TrialId, actions: &mut Vec<Action>) {
        // The trial ended and was reopened, but the controller died before it removed the old checkpoints. The trial must
        // not resume from them.
        if self.history.untidied.contains_key(&id) {
            let is_anew = self.history.trial(id).is_some_and(|trial| trial.curve.is_empty());
            let program = !self.config.saves && is_anew;
            let leftover = if program { Leftover::Everything } else { Leftover::Checkpoints };
            actions.push(Action::Remove { trial: id, leftover });
        }
        let lease = self.elsewhere.contains_key(&id).then_some(now.since + self.config.lease);
        self.settle(now, id, lease.unwrap_or_default(), actions);
    }
}
