//! `early_terminate`: when a trial is ended because others do better, or because its curve has shown enough. One rule a
//! file, pure: what every trial has measured so far in, a verdict on one of them out.

mod asha;
mod hyperband;
mod median;
mod standings;

pub use asha::Asha;
pub use hyperband::Hyperband;
pub use median::Median;
pub use standings::Standings;

use std::fmt;
use std::rc::Rc;

use rand::RngExt;

use crate::history::TrialRecord;
use crate::random::{Purpose, stream};
use crate::trial::{Metric, Settings, Stopper, TrialId};

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

    /// Whether the rule compares trials by their value at this number of values.
    fn is_rung(&self, values: usize) -> bool {
        match self {
            Rule::Hyperband(rule) => rule.is_rung(values),
            Rule::Asha(rule) => rule.is_rung(values),
            Rule::Median(_) => false,
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

/// The epochs that a trial with these settings is to train, if that is known.
pub type Planned = dyn Fn(&Settings) -> Option<u32>;

/// Whether a trial overfits by what it has shown so far, where this is the metric of the sweep.
pub type Overfits = dyn Fn(&TrialRecord, &Metric) -> bool;

/// All that judging a trial needs beside the history.
#[derive(Clone)]
pub struct Stopping {
    /// What the sweep file asks for.
    pub terms: EarlyTerminate,
    /// The sweep's seed: it decides which trials are spared.
    pub seed: u64,
    /// The epochs that a trial with these settings is to train, if that is known before it runs.
    pub planned: Rc<Planned>,
    /// `stop_on: overfit`: whether a trial clearly overfits. Passed in, so that the rules need no verdicts.
    pub overfits: Rc<Overfits>,
}

impl Stopping {
    /// What is to become of a trial. One that has trained to its last epoch, or was spared before, goes on. `standings` are
    /// those of all trials, if they are compared with each other.
    pub fn verdict(
        &self,
        trial: &TrialRecord,
        standings: Option<&Standings>,
        metric: &Metric,
        moment: Moment,
    ) -> Verdict {
        if (self.planned)(&trial.settings).is_some_and(|planned| trial.curve.len() >= planned as usize) {
            return Verdict::GoOn;
        }
        if self.terms.overfit && trial.spared.is_none() && (self.overfits)(trial, metric) {
            return Verdict::Stop(Stopper::Overfit);
        }
        standings.map_or(Verdict::GoOn, |standings| standings.verdict(trial.id, moment))
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
