//! What a scheduler goes by.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::search::Search;
use sweep_core::history::History;
use sweep_core::stop::Stopping;
use sweep_core::trial::{Metric, Settings, TrialId};

/// What there is to try.
pub trait Points {
    /// The settings of the trial that is to begin, by its number and what has happened; `None` past the last.
    fn next(&mut self, trial: TrialId, history: &History) -> Option<Settings>;

    /// How many of the first trials must have come to rest before those of this one can be told.
    fn needs(&self, _trial: TrialId) -> u64 {
        0
    }
}

impl Points for Search {
    fn next(&mut self, trial: TrialId, history: &History) -> Option<Settings> {
        Search::next(self, trial, history)
    }

    fn needs(&self, trial: TrialId) -> u64 {
        Search::needs(self, trial)
    }
}

impl<F: FnMut(TrialId, &History) -> Option<Settings>> Points for F {
    fn next(&mut self, trial: TrialId, history: &History) -> Option<Settings> {
        self(trial, history)
    }
}

/// Names the shape of trials by their settings.
#[derive(Clone)]
pub struct Shapes(pub Rc<dyn Fn(&Settings) -> String>);

impl fmt::Debug for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shapes")
    }
}

impl Default for Shapes {
    /// All of one shape.
    fn default() -> Shapes {
        Shapes(Rc::new(|_| String::new()))
    }
}

/// What of the sweep file the scheduler goes by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The sweep's seed, from which each trial's follows.
    pub seed: u64,
    /// Trials in all; `None`: no end.
    pub total: Option<u64>,
    /// How often a trial that was lost to a fault is tried again.
    pub retries: u32,
    /// How many trials keep their best weights.
    pub keep_best: u32,
    /// What trials are ranked by.
    pub metric: Metric,
    /// When trials are ended because of others.
    pub stop: Option<Stopping>,
    /// The name of the shape that trials of these settings have.
    pub shape: Shapes,
    /// Whether trials leave a GPU that others come to.
    pub yields: bool,
    /// Whether a trial that is interrupted goes on from where it was: of programs that is not known.
    pub saves: bool,
    /// Whether a program that is tried once more at the user's word begins in an empty folder.
    pub from_scratch: bool,
    /// The longest silence of a trainer; `None`: as follows from the epochs seen.
    pub silence: Option<Duration>,
}
