//! Continuous distributions.

use std::fmt;

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution as _, Normal};
use statrs::distribution::{self, ContinuousCDF};

/// Normal distributions are truncated at this many standard deviations. The probability beyond is 1e-16, the relative
/// precision of a double. No distinguishable draw is lost.
const CUT: f64 = 8.3;

/// Probability density of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Curve {
    /// Uniform distribution.
    Uniform {
        /// Lower bound.
        min: f64,
        /// Upper bound, above `min`.
        max: f64,
    },
    /// Log-uniform distribution: the logarithm is uniform. The logarithm of the inverse is uniform too, so this also
    /// covers W&B's `inv_log_uniform_values`.
    LogUniform {
        /// Lower bound, above 0.
        min: f64,
        /// Upper bound, above `min`.
        max: f64,
    },
    /// Normal distribution.
    Normal {
        /// Mean.
        mu: f64,
        /// Standard deviation, above 0.
        sigma: f64,
    },
    /// Log-normal distribution: the logarithm is normal.
    LogNormal {
        /// Mean of the logarithm.
        mu: f64,
        /// Standard deviation of the logarithm, above 0.
        sigma: f64,
    },
    /// Beta distribution, between 0 and 1.
    Beta {
        /// First shape parameter, above 0.
        a: f64,
        /// Second shape parameter, above 0.
        b: f64,
    },
}

impl Curve {
    /// Returns the smallest and the largest value that can be drawn.
    pub fn ends(self) -> (f64, f64) {
        match self {
            Curve::Uniform { min, max } | Curve::LogUniform { min, max } => (min, max),
            Curve::Normal { mu, sigma } => (mu - CUT * sigma, mu + CUT * sigma),
            Curve::LogNormal { mu, sigma } => ((mu - CUT * sigma).exp(), (mu + CUT * sigma).exp()),
            // The ends are excluded, so that a share that must stay below 1 can be drawn from the distribution.
            Curve::Beta { .. } => (f64::EPSILON, 1.0 - f64::EPSILON),
        }
    }

    /// Returns whether the distribution reaches its ends, so that each of its steps is drawn sooner or later.
    pub fn is_bounded(self) -> bool {
        !matches!(self, Curve::Normal { .. } | Curve::LogNormal { .. })
    }

    /// Returns the share of draws that are at most `x`: the cumulative distribution function.
    pub fn share_below(self, x: f64) -> f64 {
        let (least, most) = self.ends();
        let x = x.clamp(least, most);
        match self {
            Curve::Uniform { min, max } => (x - min) / (max - min),
            Curve::LogUniform { min, max } => (x / min).ln() / (max / min).ln(),
            Curve::Normal { mu, sigma } => gauss(mu, sigma).cdf(x),
            Curve::LogNormal { mu, sigma } => gauss(mu, sigma).cdf(x.ln()),
            Curve::Beta { a, b } => beta(a, b).cdf(x),
        }
    }

    /// Returns the quantile of `share`, 0 to 1.
    pub fn at(self, share: f64) -> f64 {
        let (least, most) = self.ends();
        let x = match self {
            Curve::Uniform { min, max } => min + share * (max - min),
            Curve::LogUniform { min, max } => min * (share * (max / min).ln()).exp(),
            Curve::Normal { mu, sigma } => gauss(mu, sigma).inverse_cdf(share),
            Curve::LogNormal { mu, sigma } => gauss(mu, sigma).inverse_cdf(share).exp(),
            Curve::Beta { a, b } => beta(a, b).inverse_cdf(share),
        };
        x.clamp(least, most)
    }

    /// Draws one number.
    pub fn draw(self, chance: &mut impl Rng) -> f64 {
        let normal = |mu, sigma| Normal::new(mu, sigma).expect("a deviation is checked to be a number above 0");
        let drawn = match self {
            Curve::Uniform { min, max } => chance.random_range(min..=max),
            Curve::LogUniform { min, max } => chance.random_range(min.ln()..=max.ln()).exp(),
            Curve::Normal { mu, sigma } => normal(mu, sigma).sample(chance),
            Curve::LogNormal { mu, sigma } => normal(mu, sigma).sample(chance).exp(),
            Curve::Beta { a, b } => Beta::new(a, b).expect("both are checked to be above 0").sample(chance),
        };
        // exp(ln(x)) can differ from x, so the result is clamped to the ends.
        let (least, most) = self.ends();
        drawn.clamp(least, most)
    }
}

fn gauss(mu: f64, sigma: f64) -> distribution::Normal {
    distribution::Normal::new(mu, sigma).expect("a deviation is checked to be a number above 0")
}

fn beta(a: f64, b: f64) -> distribution::Beta {
    distribution::Beta::new(a, b).expect("both are checked to be above 0")
}

impl fmt::Display for Curve {
    /// Writes the distribution as `0.1 to 0.5` or `normal with mean 0, standard deviation 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Curve::Uniform { min, max } => write!(f, "{min:?} to {max:?}"),
            Curve::LogUniform { min, max } => write!(f, "{min:?} to {max:?}, all decades equally likely"),
            Curve::Normal { mu, sigma } => write!(f, "normal with mean {mu}, standard deviation {sigma}"),
            Curve::LogNormal { mu, sigma } => {
                write!(f, "e to the power of a normal number with mean {mu}, standard deviation {sigma}")
            }
            Curve::Beta { a, b } => write!(f, "0 to 1, beta with a {a}, b {b}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    const DRAWS: usize = 20_000;

    /// Kolmogorov-Smirnov test against the distribution function, at a significance level of one in a million.
    fn assert_drawn_from(curve: Curve, cdf: impl Fn(f64) -> f64) {
        let mut chance = stream(1, 2, 3, Purpose::Point);
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| curve.draw(&mut chance)).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let count = DRAWS as f64;
        let apart = drawn.iter().enumerate().map(|(at, &x)| {
            let expected = cdf(x);
            (expected - at as f64 / count).abs().max(((at + 1) as f64 / count - expected).abs())
        });
        let apart = apart.fold(0.0, f64::max) * count.sqrt();
        assert!(apart < 2.69, "{curve:?}: {apart} root-n apart");
        let (least, most) = curve.ends();
        assert!(least <= drawn[0] && drawn[DRAWS - 1] <= most, "{curve:?}");
    }

    /// Normal distribution function, by the series of the integral (Abramowitz and Stegun 26.2.11).
    pub(crate) fn normal(x: f64) -> f64 {
        if x.abs() > 8.0 {
            return if x > 0.0 { 1.0 } else { 0.0 };
        }
        let (mut term, mut sum) = (x, x);
        for odd in (3..400).step_by(2) {
            term *= x * x / f64::from(odd);
            sum += term;
        }
        0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn every_curve_draws_what_its_definition_says() {
        assert_drawn_from(Curve::Uniform { min: -2.0, max: 3.0 }, |x| (x + 2.0) / 5.0);
        assert_drawn_from(Curve::LogUniform { min: 1e-5, max: 1e-1 }, |x| (x.log10() + 5.0) / 4.0);
        assert_drawn_from(Curve::Normal { mu: 3.0, sigma: 0.5 }, |x| normal((x - 3.0) / 0.5));
        assert_drawn_from(Curve::LogNormal { mu: -4.0, sigma: 2.0 }, |x| normal((x.ln() + 4.0) / 2.0));
        assert_drawn_from(Curve::Beta { a: 1.0, b: 1.0 }, |x| x);
        // The probability of at least a successes in a + b - 1 trials.
        assert_drawn_from(Curve::Beta { a: 2.0, b: 3.0 }, |x| {
            6.0 * x.powi(2) * (1.0 - x).powi(2) + 4.0 * x.powi(3) * (1.0 - x) + x.powi(4)
        });
    }

    #[test]
    fn shares_and_numbers_are_each_others_inverse() {
        for curve in [
            Curve::Uniform { min: -2.0, max: 3.0 },
            Curve::LogUniform { min: 1e-5, max: 1e-1 },
            Curve::Normal { mu: 3.0, sigma: 0.5 },
            Curve::LogNormal { mu: -4.0, sigma: 2.0 },
            Curve::Beta { a: 2.0, b: 5.0 },
        ] {
            for share in [0.001, 0.2, 0.5, 0.77, 0.999] {
                let again = curve.share_below(curve.at(share));
                assert!((again - share).abs() < 1e-6, "{curve:?}: {share} comes back as {again}");
            }
            assert_eq!((curve.at(0.0), curve.at(1.0)), curve.ends(), "{curve:?}");
        }
    }

    #[test]
    fn the_test_tells_a_wrong_curve() {
        let wrong = std::panic::catch_unwind(|| {
            assert_drawn_from(Curve::Normal { mu: 0.0, sigma: 1.0 }, |x| normal(x / 1.1));
        });
        assert!(wrong.is_err());
    }

    #[test]
    fn a_beta_number_is_never_0_or_1() {
        let curve = Curve::Beta { a: 0.01, b: 0.01 };
        let mut chance = stream(1, 1, 0, Purpose::Point);
        assert!((0..1000).map(|_| curve.draw(&mut chance)).all(|x| 0.0 < x && x < 1.0));
    }
}
