//! The rules of `early_terminate`: when a trial is ended because others do better, or because its curve has shown
//! enough. Each rule has its own file and is pure. It takes what every trial has measured so far, and returns a verdict
//! on one of them.

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
    /// Rule that compares trials with each other, if any.
    pub rule: Option<Rule>,
    /// Whether a trial that clearly overfits ends.
    pub overfit: bool,
    /// Share of trials that continue to their end whatever the rules decide, from 0 to below 1.
    pub audit: f64,
}

/// Rule that compares trials with each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Hyperband as in W&B.
    Hyperband(Hyperband),
    /// Asynchronous successive halving.
    Asha(Asha),
    /// Median stopping rule.
    Median(Median),
}

impl Rule {
    /// Returns the first epoch after which a trial can be stopped or paused. `None` if that never happens.
    pub fn first(&self) -> Option<u32> {
        match self {
            Rule::Hyperband(rule) => rule.bands().first().copied(),
            Rule::Asha(rule) => Some(rule.min_iter()),
            Rule::Median(rule) => Some(rule.min_iter()),
        }
    }

    /// Returns whether the rule compares trials by their value at this number of values.
    fn is_rung(&self, values: usize) -> bool {
        match self {
            Rule::Hyperband(rule) => rule.is_rung(values),
            Rule::Asha(rule) => rule.is_rung(values),
            Rule::Median(_) => false,
        }
    }
}

/// What happens to a trial next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The trial continues.
    GoOn,
    /// The trial waits until others have shown that it is worth continuing.
    Pause(Stopper),
    /// The trial ends.
    Stop(Stopper),
}

/// State of the trial that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The trial has just reported an epoch, and continues training.
    Epoch,
    /// No trainer has the trial.
    Rest,
    /// No trainer has the trial, and no other trial can arrive to compare it with.
    Closed,
}

/// Function that returns the number of epochs that a trial with these parameters is to train, if it is known.
pub type Planned = dyn Fn(&Settings) -> Option<u32>;

/// Function that returns whether a trial has overfitted so far, given the metric of the sweep.
pub type Overfits = dyn Fn(&TrialRecord, &Metric) -> bool;

/// Everything needed to judge a trial, in addition to the history.
#[derive(Clone)]
pub struct Stopping {
    /// `early_terminate:` of the sweep file.
    pub terms: EarlyTerminate,
    /// Seed of the sweep, which decides which trials are spared.
    pub seed: u64,
    /// Number of epochs that a trial with these parameters is to train, if it is known before the trial runs.
    pub planned: Rc<Planned>,
    /// `stop_on: overfit`: whether a trial clearly overfits. This is passed in, so that the rules do not depend on the
    /// verdicts.
    pub overfits: Rc<Overfits>,
}

impl Stopping {
    /// Decides what happens to a trial next. A trial that has trained its last epoch, or was spared before, continues.
    /// `standings` has those of all trials, if the rule compares trials with each other.
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

    /// Returns whether the trial is one of those that continue to show what stopping them would have cost.
    pub fn spares(&self, id: TrialId) -> bool {
        stream(self.seed, id.0, 0, Purpose::Audit).random_bool(self.terms.audit)
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopping").field("terms", &self.terms).finish_non_exhaustive()
    }
}
