//! A Parzen estimator: the density of configurations around those already seen, over the quantiles of a space.
//!
//! Quantiles are uniform under the file's distributions. Those distributions are therefore the prior, and the prior is
//! flat. Densities here are relative to it.

use rand::{Rng, RngExt};
use statrs::function::erf::{erf, erf_inv};

use crate::search::learner::Places;

/// Weight of the prior, compared with that of a configuration.
const PRIOR: f64 = 1.0;

/// Minimum width of kernels around few configurations, to be divided by their number plus one.
const FEW: f64 = 0.3;

/// A mixture of one kernel per configuration and the prior.
#[derive(Debug)]
pub struct Parzen {
    /// Kernels by configuration, then by choice.
    kernels: Vec<Vec<Option<Kernel>>>,
    /// Weights of the kernels, then of the prior. Their sum is 1.
    weights: Vec<f64>,
}

/// The density around one configuration, in one choice.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    /// Most of the density is at the configuration's category. The rest follows the prior.
    Category { from: f64, to: f64, rest: f64 },
    /// A normal density around the value, truncated at 0 and 1.
    Bell { middle: f64, sigma: f64 },
}

impl Parzen {
    /// Creates the estimator around `points`, each with its weight. `categorical` says for each choice whether its
    /// values have no order. `width` is the standard deviation of a kernel, as a share of the range.
    pub fn new(points: &[Vec<Places>], weights: &[f64], categorical: &[bool], width: f64) -> Parzen {
        let one = 1.0 / (points.len() as f64 + 1.0);
        let sigma = width.max(FEW * one);
        let kernel = |((from, to), categorical): ((f64, f64), bool)| match categorical {
            // The prior's part of each category equals that of one configuration among all.
            true => Kernel::Category { from, to, rest: one / (one + to - from) },
            false => Kernel::Bell { middle: (from + to) / 2.0, sigma },
        };
        let kernels = points.iter().map(|point| {
            point
                .iter()
                .zip(categorical)
                .map(|(places, categorical)| places.map(|places| kernel((places, *categorical))))
        });
        let all = weights.iter().sum::<f64>() + PRIOR;
        Parzen {
            kernels: kernels.map(Iterator::collect).collect(),
            weights: weights.iter().chain([&PRIOR]).map(|weight| weight / all).collect(),
        }
    }

    /// Returns the logarithm of the density at a configuration.
    pub fn log_density(&self, point: &[Places]) -> f64 {
        let kernel = |kernels: &Vec<Option<Kernel>>| {
            let known =
                kernels.iter().zip(point).filter_map(|(kernel, place)| Some(kernel.as_ref()?.density((*place)?)));
            known.map(f64::ln).sum::<f64>()
        };
        let logs: Vec<f64> = self.kernels.iter().map(kernel).chain([0.0]).collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().zip(&self.weights).map(|(log, weight)| weight * (log - most).exp()).sum();
        most + sum.ln()
    }

    /// Draws the index of a kernel by weight. An index past the last kernel means the prior.
    pub fn draw_kernel(&self, chance: &mut impl Rng) -> usize {
        let mut left = chance.random_range(0.0..1.0);
        let hit = self.weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        hit.unwrap_or(self.kernels.len())
    }

    /// Draws a quantile of a choice from that kernel. If the kernel's configuration does not have the choice, it is
    /// drawn from the prior.
    pub fn draw(&self, kernel: usize, choice: usize, chance: &mut impl Rng) -> f64 {
        let even = chance.random_range(0.0..1.0);
        self.kernels.get(kernel).and_then(|kernels| kernels[choice]).map_or(even, |kernel| kernel.place(even))
    }
}

impl Kernel {
    /// Returns the density relative to the prior, at a quantile or as the mean between two.
    fn density(self, (from, to): (f64, f64)) -> f64 {
        match self {
            Kernel::Category { from: own, to: end, rest } => {
                let is_own = own <= (from + to) / 2.0 && (from + to) / 2.0 < end;
                rest + if is_own { (1.0 - rest) / (end - own) } else { 0.0 }
            }
            Kernel::Bell { middle, sigma } => {
                let below = |x: f64| normal((x - middle) / sigma);
                let whole = below(1.0) - below(0.0);
                let density = if to - from > 1e-9 {
                    (below(to) - below(from)) / (to - from)
                } else {
                    (-((from - middle) / sigma).powi(2) / 2.0).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt())
                };
                // The density at a distant quantile is small, but never 0.
                (density / whole).max(f64::MIN_POSITIVE)
            }
        }
    }

    /// Returns the quantile below which this share of the kernel lies, 0 to below 1.
    fn place(self, share: f64) -> f64 {
        match self {
            Kernel::Category { from, to, rest } if share >= rest => from + (share - rest) / (1.0 - rest) * (to - from),
            Kernel::Category { rest, .. } => share / rest,
            Kernel::Bell { middle, sigma } => {
                let below = |x: f64| normal((x - middle) / sigma);
                let place = below(0.0) + share * (below(1.0) - below(0.0));
                let x = middle + sigma * std::f64::consts::SQRT_2 * erf_inv(2.0 * place - 1.0);
                x.clamp(0.0, 1.0 - f64::EPSILON)
            }
        }
    }
}

fn normal(x: f64) -> f64 {
    0.5 + 0.5 * erf(x / std::f64::consts::SQRT_2)
}
