//! The terms of a search: the part of a sweep file that decides which configurations are tried, and in which order.

use crate::space::{Condition, Space};
use crate::trial::{Metric, Settings};

/// Everything that decides which configurations are tried. It borrows from the sweep file, which has the rest.
#[derive(Debug, Clone, Copy)]
pub struct SearchTerms<'a> {
    pub space: &'a Space,
    /// How configurations are chosen.
    pub method: Method,
    /// Order in which a grid is traversed.
    pub order: Order,
    /// Which configurations of a grid go first: those that meet the first condition, then those that meet the second,
    /// and so on.
    pub priority: &'a [Condition],
    /// Configurations to try first, each with the values that the file gives.
    pub enqueue: &'a [Settings],
    /// Number of trials per configuration, before any race.
    pub repeats: u32,
    /// Number of trials that a race may give a configuration. There is no race if it equals `repeats`.
    pub most_repeats: u32,
    /// Maximum number of trials.
    pub run_cap: Option<u64>,
    /// For `tpe` and `bayes`: a trial's parameters do not depend on the results of this many trials just before it.
    /// `None` means the value in the journal.
    pub lag: Option<u32>,
    /// Metric that ranks the trials.
    pub metric: &'a Metric,
    /// Metrics that the method trades off against it.
    pub tradeoffs: &'a [Metric],
    /// Value of the metric that ends the search: once a trial reaches it, no other trial starts.
    pub target: Option<f64>,
    /// Seed of the sweep.
    pub seed: u64,
}

/// How configurations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every combination, in file order; the last parameter changes fastest.
    Grid,
    /// Independent random draws.
    Random,
    /// Scrambled Sobol sequence: draws that fill the space evenly.
    Sobol,
    /// Tree-structured Parzen estimator: draws near configurations with good results.
    Tpe,
    /// Bayesian optimization with a Gaussian process: the configuration with the highest expected improvement.
    Bayes,
}

impl Method {
    /// Returns whether a trial's parameters follow from the results of earlier ones.
    pub fn learns(self) -> bool {
        matches!(self, Method::Tpe | Method::Bayes)
    }
}

/// Order in which a grid is traversed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// File order; the last parameter changes fastest.
    File,
    /// Pseudorandom order, determined by the sweep's seed.
    Shuffled,
}
