//! A search that learns from results: the first configurations are spread evenly, and a model proposes each other one.
//!
//! The module is pure: known results go in, a configuration comes out. Nothing is kept between two calls.

use std::collections::HashSet;

use rand::Rng;

use super::{MOST_DRAWN, bayes, sobol, tpe};
use sweep_core::random::{Purpose, stream};
use sweep_core::space::{Permutation, Space};
use sweep_core::trial::{Settings, fingerprint};

/// Number of evenly spread configurations before a model learns from results.
pub const STARTUP: usize = 10;

/// With a Gaussian process, one configuration in this many is the Parzen estimator's.
const HEDGE: u64 = 4;

/// The same in a space with conditional parameters: a process that has found the optimum of one branch hardly looks at
/// the others, where it knows little.
const CONDITIONAL_HEDGE: u64 = 2;

/// A configuration's first and last quantile in a choice. `None` if the configuration does not have the choice.
pub type Places = Option<(f64, f64)>;

/// A configuration that was tried or is running.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Parameters of the configuration.
    pub settings: Settings,
    /// Its result.
    pub value: Value,
}

/// The result of a configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// The result; smaller is better.
    Measured(f64),
    /// The trial failed: worse than every result.
    Failed,
    /// No result yet, or none that counts.
    Unknown,
}

impl Value {
    /// Returns the result, if there is one.
    pub fn measured(self) -> Option<f64> {
        match self {
            Value::Measured(value) => Some(value),
            Value::Failed | Value::Unknown => None,
        }
    }
}

/// How configurations are proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The tree-structured Parzen estimator.
    Tpe,
    /// A Gaussian process.
    Bayes,
}

/// A space, a model, and the seed of all draws.
#[derive(Debug, Clone)]
pub struct Learner {
    pub(super) space: Space,
    seed: u64,
    /// For each choice whether its values have no order.
    pub(super) categorical: Vec<bool>,
    model: Model,
}

impl Learner {
    /// Creates the search. The seed determines all draws.
    pub fn new(model: Model, space: Space, seed: u64) -> Learner {
        let categorical = (0..space.choices()).map(|choice| space.is_categorical(choice)).collect();
        Learner { space, seed, categorical, model }
    }

    /// Proposes the configuration with that index, from 0. `known` has the known configurations in trial order. `None`
    /// if every configuration is already known.
    pub fn propose(&self, number: u64, known: &[Known]) -> Option<Settings> {
        let tried: HashSet<u64> = known.iter().map(|known| fingerprint(&known.settings)).collect();
        let is_new = |point: &Settings| !tried.contains(&fingerprint(point));
        let measured = known.iter().filter(|known| known.value.measured().is_some()).count();
        let found = match self.model {
            _ if measured < STARTUP => sobol::point(&self.space, self.seed, number).filter(is_new),
            Model::Bayes if !number.is_multiple_of(self.hedge()) => bayes::propose(self, number, known, &is_new),
            Model::Tpe | Model::Bayes => tpe::propose(self, number, known, &is_new),
        };
        found.or_else(|| self.any(number, tried.len() as u64, &is_new))
    }

    /// Returns the random numbers of a proposal.
    pub(super) fn chance(&self, number: u64) -> impl Rng {
        stream(self.seed, number + 1, 0, Purpose::Point)
    }

    /// Returns the first and the last quantile of each choice that give the configuration.
    pub(super) fn places(&self, point: &Settings) -> Vec<Places> {
        (0..self.categorical.len()).map(|choice| self.space.places(choice, point)).collect()
    }

    fn hedge(&self) -> u64 {
        if self.space.is_conditional() { CONDITIONAL_HEDGE } else { HEDGE }
    }

    /// Returns any new configuration: a draw, or the first in a shuffled order of all if no draw is new.
    fn any(&self, number: u64, tried: u64, is_new: &impl Fn(&Settings) -> bool) -> Option<Settings> {
        let draw = |redraw| self.space.draw(&mut stream(self.seed, number + 1, redraw, Purpose::Point));
        let count = self.space.count().filter(|count| *count < u64::MAX);
        let draws = if count.is_some() { 100 } else { u64::from(MOST_DRAWN) };
        (1..=draws).filter_map(draw).find(is_new).or_else(|| {
            let order = Permutation::new(self.seed, count?);
            (0..=tried).filter_map(|at| self.space.point(order.get(at)?)).find(is_new)
        })
    }
}

#[cfg(test)]
mod tests;
