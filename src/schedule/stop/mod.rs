//! `early_terminate`: when a trial is ended because others do better, or because its curve has shown enough. One rule a
//! file, pure: what every trial has measured so far in, a verdict on one of them out.

mod asha;
mod hyperband;
mod median;
mod overfit;

pub use asha::Asha;
pub use hyperband::Hyperband;
pub use median::Median;

use std::fmt;
use std::rc::Rc;

use rand::RngExt;

use crate::history::{History, TrialRecord};
use crate::random::{Purpose, stream};
use crate::report::fit::Context;
use crate::trial::{Goal, Metric, Outcome, Settings, Stopper, TrialId};

/// `early_terminate:` of the sweep file.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyTerminate {
    /// How trials are compared with each other, if they are.
    pub rule: Option<Rule>,
    /// Whether a trial ends that clearly overfits.
    pub overfit: bool,
    /// The share of trials that run on to their end whatever the rules say, from 0 to below 1.
    pub audit: f64,
}

/// How trials are compared with each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// W&B's hyperband.
    Hyperband(Hyperband),
    /// Asynchronous successive halving.
    Asha(Asha),
    /// Worse than the median.
    Median(Median),
}

impl Rule {
    /// The epoch after which a trial can be judged first; `None` if never.
    pub fn first(&self) -> Option<u32> {
        match self {
            Rule::Hyperband(rule) => rule.bands().first().copied(),
            Rule::Asha(rule) => Some(rule.min_iter()),
            Rule::Median(rule) => Some(rule.min_iter()),
        }
    }
}

/// What is to become of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It trains on.
    GoOn,
    /// It waits until others have shown that it is worth going on with.
    Pause(Stopper),
    /// It ends.
    Stop(Stopper),
}

/// Epochs that rules look at.
const MOST_VALUES: usize = 1_000_000;

/// Where the trial stands that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It has just reported an epoch, and trains on.
    Epoch,
    /// No trainer has it.
    Rest,
    /// No trainer has it, and no other trial can come to compare it with.
    Closed,
}

/// A trial as the rules see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The metric, epoch by epoch as far as it was measured; less is better, whatever the goal. An epoch without a value has
    /// that of the one before.
    pub values: Vec<f64>,
    /// The epoch before the last one with a value.
    pub before: usize,
    /// Whether the trial came to its own end.
    pub completed: bool,
    /// Whether it runs on whatever the rules say.
    pub spared: bool,
}

/// All that judging a trial needs beside the history.
#[derive(Clone)]
pub struct Stopping {
    /// What the sweep file asks for.
    pub terms: EarlyTerminate,
    /// The sweep's seed: it decides which trials are spared.
    pub seed: u64,
    /// What is known of a trial with these settings before it runs.
    pub context: Rc<dyn Fn(&Settings) -> Context>,
}

impl Stopping {
    /// What is to become of a trial. One that has trained to its last epoch, or was spared before, goes on.
    pub fn verdict(&self, id: TrialId, history: &History, metric: &Metric, moment: Moment) -> Verdict {
        let Some(trial) = history.trial(id) else { return Verdict::GoOn };
        let context = (self.context)(&trial.settings);
        if context.epochs_planned.is_some_and(|planned| trial.curve.len() >= planned as usize) {
            return Verdict::GoOn;
        }
        if self.terms.overfit && trial.spared.is_none() && overfit::stops(&trial.curve, &context, metric) {
            return Verdict::Stop(Stopper::Overfit);
        }
        self.compared(history, metric, moment)(id)
    }

    /// What is to become of trials in comparison with the others alone.
    pub fn compared(&self, history: &History, metric: &Metric, moment: Moment) -> impl Fn(TrialId) -> Verdict {
        let is_compared = self.terms.rule.is_some();
        let courses: Vec<Course> =
            history.trials.iter().filter(|_| is_compared).map(|trial| course(trial, metric)).collect();
        let rule = self.terms.rule.clone();
        move |id| {
            let at = id.0 as usize - 1;
            match &rule {
                Some(_) if courses[at].spared => Verdict::GoOn,
                Some(Rule::Hyperband(rule)) if rule.stops(at, &courses) => Verdict::Stop(Stopper::Hyperband),
                Some(Rule::Asha(rule)) if rule.pauses(at, &courses, moment) => Verdict::Pause(Stopper::Asha),
                Some(Rule::Median(rule)) if rule.stops(at, &courses) => Verdict::Stop(Stopper::Median),
                _ => Verdict::GoOn,
            }
        }
    }

    /// Whether the trial is one of those that run on to show what stopping it would have cost.
    pub fn spares(&self, id: TrialId) -> bool {
        stream(self.seed, id.0, 0, Purpose::Audit).random_bool(self.terms.audit)
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopping").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// What a spared trial did after it was spared counts for nobody: without the audit it would not be there.
fn course(trial: &TrialRecord, metric: &Metric) -> Course {
    let seen = trial.spared.map_or(trial.curve.len(), |(_, epoch)| epoch as usize).min(trial.curve.len());
    let sign = if metric.goal == Goal::Minimize { 1.0 } else { -1.0 };
    let (mut values, mut before) = (Vec::new(), 0);
    for epoch in &trial.curve[..seen] {
        let Some(value) = epoch.get(&metric.name) else { continue };
        let last = (epoch.epoch as usize).min(MOST_VALUES);
        before = values.len();
        let carried = values.last().copied().unwrap_or(sign * value);
        values.resize(last.saturating_sub(1).max(before), carried);
        if values.len() < last {
            values.push(sign * value);
        }
    }
    let completed = matches!(trial.outcome(), Some(Outcome::Finished | Outcome::EarlyStopped));
    let spared = trial.spared.is_some();
    Course { values, before, completed: completed && !spared, spared }
}

#[cfg(test)]
fn courses(table: &[&[f64]]) -> Vec<Course> {
    let course = |values: &&[f64]| {
        let before = values.len().saturating_sub(1);
        Course { values: values.to_vec(), before, completed: true, spared: false }
    };
    table.iter().map(course).collect()
}
