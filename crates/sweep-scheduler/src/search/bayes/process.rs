//! A Gaussian process with a Matérn 5/2 kernel (Rasmussen & Williams 2006, chapters 2, 4, and 5), one length scale per
//! choice of a configuration.
//!
//! Values are expected with mean 0 and deviation 1. The scale of the process follows from the values; length scales and
//! noise are the most likely ones given a prior.

use super::cholesky::{Cholesky, dot};

/// A configuration's place in each choice: the middle of its quantiles. `None` if it does not have the choice.
pub type Point = Vec<Option<f64>>;

/// Steps of the search for the most likely length scales and noise.
const STEPS: usize = 40;

/// The prior of a length scale: log-normal, with this median for one choice. The median grows with the root of the number
/// of choices, since distances do (Hvarfner et al. 2024).
const LENGTH: f64 = 0.6;
const LENGTH_DEVIATION: f64 = 1.0;

/// The prior of the noise variance, as a share of the variance of the process: log-normal.
const NOISE: f64 = 1e-3;
const NOISE_DEVIATION: f64 = 2.0;

/// Length scales of a kernel, and its noise as a share of its variance, as logarithms.
#[derive(Debug, Clone)]
pub struct Kernel {
    lengths: Vec<f64>,
    noise: f64,
    categorical: Vec<bool>,
}

/// A process that has seen values.
#[derive(Debug)]
pub struct Process {
    kernel: Kernel,
    points: Vec<Point>,
    factor: Cholesky,
    /// A⁻¹ y.
    weights: Vec<f64>,
    /// Variance of the process.
    variance: f64,
}

impl Kernel {
    /// Fits a kernel to values at points. `categorical` says for each choice whether its values have no order.
    pub fn fit(points: &[Point], values: &[f64], categorical: &[bool]) -> Kernel {
        let median = (LENGTH * (categorical.len() as f64).sqrt()).ln();
        let mut kernel =
            Kernel { lengths: vec![median; categorical.len()], noise: NOISE.ln(), categorical: categorical.to_vec() };
        let apart = kernel.apart(points);
        // Resilient propagation (Riedmiller & Braun 1993): only signs of the gradient count, so no step size to choose.
        let count = categorical.len() + 1;
        let (mut steps, mut before) = (vec![0.3_f64; count], vec![0.0; count]);
        let mut best: Option<(f64, Kernel)> = None;
        for _ in 0..STEPS {
            let Some((likelihood, slopes)) = kernel.likelihood(&apart, values, median) else { break };
            if best.as_ref().is_none_or(|(most, _)| likelihood > *most) {
                best = Some((likelihood, kernel.clone()));
            }
            for at in 0..count {
                let turned = slopes[at] * before[at];
                steps[at] = (steps[at] * if turned < 0.0 { 0.5 } else { 1.2 }).clamp(1e-3, 1.0);
                before[at] = slopes[at];
                let place = kernel.lengths.get_mut(at).unwrap_or(&mut kernel.noise);
                *place += steps[at] * slopes[at].signum();
            }
            kernel.lengths.iter_mut().for_each(|length| *length = length.clamp(-4.0, 5.0));
            kernel.noise = kernel.noise.clamp(-13.0, 0.0);
        }
        best.map_or(kernel, |(_, kernel)| kernel)
    }

    /// Squared distances by choice, then the lower triangle row by row.
    fn apart(&self, points: &[Point]) -> Vec<Vec<f64>> {
        (0..self.lengths.len())
            .map(|choice| {
                (0..points.len())
                    .flat_map(|row| (0..=row).map(move |column| (row, column)))
                    .map(|(row, column)| self.distance(choice, points[row][choice], points[column][choice]))
                    .collect()
            })
            .collect()
    }

    /// Squared distance in a choice. A choice that only one of two configurations has, and two different categories,
    /// are as far apart as the two ends of a range.
    fn distance(&self, choice: usize, a: Option<f64>, b: Option<f64>) -> f64 {
        match (a, b) {
            (Some(a), Some(b)) if self.categorical[choice] => f64::from((a - b).abs() > 1e-9),
            (Some(a), Some(b)) => (a - b).powi(2),
            (None, None) => 0.0,
            _ => 1.0,
        }
    }

    /// The logarithm of the posterior density of the kernel, up to a constant, and its gradient by the logarithms of
    /// length scales and noise.
    fn likelihood(&self, apart: &[Vec<f64>], values: &[f64], median: f64) -> Option<(f64, Vec<f64>)> {
        let count = values.len();
        let shares: Vec<f64> = self.lengths.iter().map(|length| (-2.0 * length).exp()).collect();
        let mut radii = vec![0.0; count * (count + 1) / 2];
        for (apart, share) in apart.iter().zip(&shares) {
            radii.iter_mut().zip(apart).for_each(|(radius, apart)| *radius += share * apart);
        }
        let lambda = self.noise.exp();
        let mut cells = radii.iter().map(|radius| matern(*radius));
        let rows = (0..count).map(|row| {
            let mut own: Vec<f64> = cells.by_ref().take(row + 1).collect();
            own[row] += lambda;
            own
        });
        let factor = Cholesky::new(rows.collect())?;
        let weights = factor.solve(values);
        let variance = (dot(&weights, values) / count as f64).max(1e-12);
        let inverse = factor.inverse();
        // Off the diagonal, each cell counts twice.
        let mut slopes = vec![0.0; apart.len() + 1];
        let mut at = 0;
        let mut pulls = Vec::with_capacity(radii.len());
        for (row, inverse) in inverse.iter().enumerate() {
            for (column, inverse) in inverse.iter().enumerate() {
                let pull = weights[row] * weights[column] / variance - inverse;
                match row == column {
                    true => {
                        slopes[apart.len()] += 0.5 * pull * lambda;
                        pulls.push(0.0);
                    }
                    false => pulls.push(pull * decline(radii[at])),
                }
                at += 1;
            }
        }
        for ((slope, apart), share) in slopes.iter_mut().zip(apart).zip(&shares) {
            *slope = share * dot(&pulls, apart);
        }
        let mut likelihood = -0.5 * (count as f64 * variance.ln() + factor.log_determinant());
        let prior = |value: f64, median: f64, deviation: f64| (value - median) / deviation;
        for (slope, length) in slopes.iter_mut().zip(&self.lengths) {
            let off = prior(*length, median, LENGTH_DEVIATION);
            likelihood -= off * off / 2.0;
            *slope -= off / LENGTH_DEVIATION;
        }
        let off = prior(self.noise, NOISE.ln(), NOISE_DEVIATION);
        slopes[apart.len()] -= off / NOISE_DEVIATION;
        Some((likelihood - off * off / 2.0, slopes))
    }

    fn similarity(&self, a: &Point, b: &Point) -> f64 {
        let parts = self.lengths.iter().enumerate();
        let radius = parts.map(|(choice, length)| self.distance(choice, a[choice], b[choice]) * (-2.0 * length).exp());
        matern(radius.sum())
    }
}

impl Process {
    /// Creates the process that has seen `values` at the first of `points`, and expects at each other point what the
    /// first ones make likely there: trials that are running. `None` if the values do not determine a process.
    pub fn new(kernel: Kernel, points: Vec<Point>, values: &[f64]) -> Option<Process> {
        let mut process = Process::seen(kernel, points[..values.len()].to_vec(), values, None)?;
        if points.len() > values.len() {
            let expected = points[values.len()..].iter().map(|point| process.predict(point).0);
            let all: Vec<f64> = values.iter().copied().chain(expected).collect();
            process = Process::seen(process.kernel, points, &all, Some(process.variance))?;
        }
        Some(process)
    }

    fn seen(kernel: Kernel, points: Vec<Point>, values: &[f64], variance: Option<f64>) -> Option<Process> {
        let rows = (0..points.len()).map(|row| {
            let mut own: Vec<f64> = points[..=row].iter().map(|point| kernel.similarity(&points[row], point)).collect();
            own[row] += kernel.noise.exp();
            own
        });
        let factor = Cholesky::new(rows.collect())?;
        let weights = factor.solve(values);
        let variance = variance.unwrap_or_else(|| (dot(&weights, values) / values.len() as f64).max(1e-12));
        Some(Process { kernel, points, factor, weights, variance })
    }

    /// Returns the mean and the standard deviation of the value at a point, without noise.
    pub fn predict(&self, point: &Point) -> (f64, f64) {
        let near: Vec<f64> = self.points.iter().map(|seen| self.kernel.similarity(seen, point)).collect();
        let known = self.factor.forward(&near);
        let left = (1.0 - dot(&known, &known)).max(1e-12);
        (dot(&near, &self.weights), (self.variance * left).sqrt())
    }
}

/// The Matérn 5/2 kernel at a squared distance.
fn matern(squared: f64) -> f64 {
    let far = (5.0 * squared).sqrt();
    (1.0 + far + far * far / 3.0) * (-far).exp()
}

/// Minus twice the derivative of [`matern`] by the squared distance: what a change of the logarithm of a length scale
/// changes, for each unit of scaled squared distance.
fn decline(squared: f64) -> f64 {
    let far = (5.0 * squared).sqrt();
    5.0 / 3.0 * (1.0 + far) * (-far).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(count: usize) -> (Vec<Point>, Vec<f64>) {
        let places = (0..count).map(|at| at as f64 / (count - 1) as f64);
        // The second choice does not matter.
        places.map(|at| (vec![Some(at), Some((at * 7.3).fract())], (6.0 * at).sin())).unzip()
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_likelihood() {
        let (points, values) = line(9);
        let kernel = Kernel { lengths: vec![-0.7, 0.4], noise: -3.0, categorical: vec![false, true] };
        let apart = kernel.apart(&points);
        let at = |kernel: &Kernel| kernel.likelihood(&apart, &values, 0.1).unwrap();
        let slopes = at(&kernel).1;
        for (place, slope) in slopes.iter().enumerate() {
            let moved = |by: f64| {
                let mut kernel = kernel.clone();
                *kernel.lengths.get_mut(place).unwrap_or(&mut kernel.noise) += by;
                at(&kernel).0
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{place}: {slope}, {expected}");
        }
    }

    #[test]
    fn a_process_follows_what_it_has_seen_and_learns_which_choice_matters() {
        let (points, values) = line(15);
        let kernel = Kernel::fit(&points, &values, &[false, false]);
        assert!(kernel.lengths[1] > kernel.lengths[0] + 1.0, "{:?}", kernel.lengths);
        let process = Process::new(kernel.clone(), points.clone(), &values).unwrap();
        let (mean, near) = process.predict(&vec![Some(0.53), Some(0.2)]);
        assert!((mean - (6.0_f64 * 0.53).sin()).abs() < 0.05, "{mean}");
        // A trial that runs there leaves the mean, and little uncertainty.
        let place = vec![Some(1.4), Some(0.2)];
        let (before, far) = process.predict(&place);
        assert!(far > 3.0 * near, "{far} {near}");
        let waiting = points.into_iter().chain([place.clone()]).collect();
        let (after, known) = Process::new(kernel, waiting, &values).unwrap().predict(&place);
        assert!((before - after).abs() < 0.05 && known < far / 3.0, "{before} {after} {far} {known}");
    }

    #[test]
    fn equal_values_give_a_process_too() {
        let (points, _) = line(12);
        let kernel = Kernel::fit(&points, &[0.0; 12], &[false, true]);
        assert!(Process::new(kernel, points, &[0.0; 12]).is_some());
    }
}
