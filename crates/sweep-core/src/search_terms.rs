//! What a search is asked to do: the part of a sweep file that decides which configurations are tried, in which order.

use crate::space::{Condition, Space};
use crate::trial::{Metric, Settings};

/// All that decides which configurations are tried. Borrowed from the sweep file, which has the rest.
#[derive(Debug, Clone, Copy)]
pub struct SearchTerms<'a> {
    /// What varies.
    pub space: &'a Space,
    /// How points are chosen.
    pub method: Method,
    /// In which order a grid is gone through.
    pub order: Order,
    /// Which of a grid's points go first: those of the first condition, then those of the second, and so on.
    pub priority: &'a [Condition],
    /// Points that are tried first, each with the values that the file gives it.
    pub enqueue: &'a [Settings],
    /// How often every point is run.
    pub repeats: u32,
    /// At most this many trials.
    pub run_cap: Option<u64>,
    /// For `tpe`: the number of trials just before a trial whose results its settings do not depend on. `None`: the
    /// value that the journal has.
    pub lag: Option<u32>,
    /// What trials are ranked by.
    pub metric: &'a Metric,
    /// Once a trial reaches this value of the metric, no other begins.
    pub target: Option<f64>,
    /// The sweep's seed.
    pub seed: u64,
}

/// How points are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every combination, in the order of the file, the last parameter fastest.
    Grid,
    /// Independent draws.
    Random,
    /// Sobol's sequence, scrambled: draws that fill the space evenly.
    Sobol,
    /// The tree-structured Parzen estimator: draws near those that came out well.
    Tpe,
}

/// In which order a grid is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// That of the file, the last parameter fastest.
    File,
    /// One that looks random; the sweep's seed decides which.
    Shuffled,
}
