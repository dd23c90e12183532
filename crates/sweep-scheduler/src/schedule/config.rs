//! The configuration of a scheduler.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::search::Search;
use sweep_core::budget::Budget;
use sweep_core::history::{History, Round};
use sweep_core::stop::Stopping;
use sweep_core::trial::{Metric, Settings, TrialId};

/// Source of trials: produces the parameters of each trial.
pub trait TrialSource {
    /// Returns the parameters of the next trial, from its number and the history. `None` past the last trial.
    fn next(&mut self, trial: TrialId, history: &History) -> Option<Settings>;

    /// Number of leading trials that must have ended or paused before this trial's parameters can be computed.
    fn needs(&self, _trial: TrialId) -> u64 {
        0
    }

    /// Returns the next round of a race, once every trial so far has ended. `None` if there is no race, or if it is over.
    fn round(&self, _history: &History) -> Option<Round> {
        None
    }

    /// Whether a race follows the search.
    fn races(&self) -> bool {
        false
    }

    /// Whether parameters of new trials depend on results, so that trials begin in the order of their numbers.
    fn learns(&self) -> bool {
        false
    }
}

impl TrialSource for Search {
    fn next(&mut self, trial: TrialId, history: &History) -> Option<Settings> {
        Search::next(self, trial, history)
    }

    fn needs(&self, trial: TrialId) -> u64 {
        Search::needs(self, trial)
    }

    fn round(&self, history: &History) -> Option<Round> {
        Search::round(self, history)
    }

    fn races(&self) -> bool {
        Search::races(self)
    }

    fn learns(&self) -> bool {
        Search::learns(self)
    }
}

impl<F: FnMut(TrialId, &History) -> Option<Settings>> TrialSource for F {
    fn next(&mut self, trial: TrialId, history: &History) -> Option<Settings> {
        self(trial, history)
    }
}

/// Maps a trial's parameters to the name of its shape.
#[derive(Clone)]
pub struct Shapes(pub Rc<dyn Fn(&Settings) -> String>);

impl fmt::Debug for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shapes")
    }
}

impl Default for Shapes {
    /// Gives all trials the same shape.
    fn default() -> Shapes {
        Shapes(Rc::new(|_| String::new()))
    }
}

/// The parts of the sweep file that the scheduler uses.
#[derive(Debug, Clone)]
pub struct Config {
    /// The sweep's seed, from which each trial's follows.
    pub seed: u64,
    /// Trials in all; `None`: no end.
    pub total: Option<u64>,
    /// Number of times that a lost trial is retried.
    pub retries: u32,
    /// Number of trials that keep their best weights.
    pub keep_best: u32,
    /// Metric that ranks the trials.
    pub metric: Metric,
    /// Rules that end trials early, if any.
    pub stop: Option<Stopping>,
    /// Function that names the shape of a trial from its parameters.
    pub shape: Shapes,
    /// Whether trials leave a GPU when another process starts using it.
    pub yields: bool,
    /// Time that a trial may run, over all its attempts.
    pub max_time: Option<Duration>,
    /// What all runs may cost together.
    pub budget: Budget,
    /// Whether the budget decides about early stopping, because the sweep file does not.
    pub chooses_rule: bool,
    /// Time after which this run saves its trials and ends.
    pub run_for: Option<Duration>,
    /// Whether an interrupted trial resumes where it stopped. For programs this is not known.
    pub saves: bool,
    /// Whether a program that is tried once more at the user's word begins in an empty folder.
    pub from_scratch: bool,
    /// Time between SIGTERM and SIGKILL for a program that is asked to leave. Zero for trainers, which are not signaled.
    pub stop_grace: Duration,
    /// Time for which the agent of another host may go on without a word from the controller, and some more to be sure.
    /// What a killed controller gave to another host is not given to a third before that.
    pub lease: Duration,
    /// The longest silence of a trainer; `None`: as follows from the epochs seen.
    pub silence: Option<Duration>,
}

impl Config {
    /// What a slot runs, as the subject of a sentence about how it ended.
    pub(super) fn subject(&self) -> &'static str {
        if self.saves { "the trainer" } else { "the program" }
    }
}
