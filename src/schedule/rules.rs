//! What a scheduler goes by.

use std::time::Duration;

use crate::trial::{Metric, Settings, TrialId};

/// The settings of a trial, by its number; `None` past the last.
pub type Points = Box<dyn FnMut(TrialId) -> Option<Settings>>;

/// What of the sweep file the scheduler goes by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Trials in all; `None`: no end.
    pub total: Option<u64>,
    /// How often a trial that was lost to a fault is tried again.
    pub retries: u32,
    /// How many trials keep their best weights.
    pub keep_best: u32,
    /// What trials are ranked by.
    pub metric: Metric,
    /// The longest silence of a trainer; `None`: as follows from the epochs seen.
    pub silence: Option<Duration>,
}
