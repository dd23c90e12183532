//! One metric over the epochs: its level, noise, and trend. All three are robust against single outliers.

use super::finding::Unit;
use sweep_core::trial::Goal;

/// Minimum number of values needed to measure their noise.
const NOISE_FROM: usize = 7;
/// Noise is measured over the later half of the values, or over this many if that is more.
const NOISE_OVER: usize = 8;
/// Curves of at least this many values, with at most this share of steps back, are measured over their later half only.
const LEAST_HALVED: usize = 9;
const SMOOTH: f64 = 0.15;
/// Noise assumed for fewer values, as a share of the value. Validation losses of published curves move by 1% to 3% from
/// epoch to epoch.
const ASSUMED_NOISE: f64 = 0.03;
/// The noise assumed for an accuracy is that of a validation set of so many examples.
const ASSUMED_EXAMPLES: f64 = 1000.0;
/// Minimum noise, as a share of the value, because logs are rounded to four digits.
const LEAST_NOISE: f64 = 5e-4;
/// Ratio of the standard deviation of a normal distribution to its median absolute deviation (Hampel 1974).
const MAD_TO_SIGMA: f64 = 1.4826;
/// Ratio of a median's standard error to that of a mean (asymptotically, √(π/2)).
const MEDIAN_ERROR: f64 = 1.2533;
/// Values above this count as infinite, because their sums would be infinite.
pub const LARGEST: f64 = 1e30;
/// Maximum difference of accuracies that are the same.
const CONSTANT: f64 = 5e-5;
/// Levels closer to the best than this many standard deviations of a single value may be as good.
const BEST_SIGMAS: f64 = 3.0;
/// A last value farther than this from the expected one, in standard deviations or steps, is odd.
const ODD_SIGMAS: f64 = 4.0;
/// Share of a value by which a later one is much better.
const BETTER: f64 = 0.1;
/// Minimum number of values in a third of the curve for [`Series::wanders`].
const LEAST_WANDERING: usize = 5;
/// Maximum number of points in a trend, which examines all pairs.
const TREND_POINTS: usize = 200;

/// Finite values of one metric, by ascending epoch.
#[derive(Debug, Clone)]
pub struct Series {
    /// Direction in which the metric is better.
    pub goal: Goal,
    /// Name of the metric, if it is neither a loss nor an accuracy.
    pub name: Option<String>,
    /// Unit of the values.
    pub unit: Unit,
    /// Epochs, strictly ascending.
    pub epochs: Vec<u32>,
    /// Values of the metric, one per epoch.
    pub values: Vec<f64>,
    /// `values` after a running median over [`Series::window`] values.
    pub smooth: Vec<f64>,
    /// Standard deviation of a value around the smooth curve.
    pub noise: f64,
}

/// A linear trend with its standard error.
#[derive(Debug, Clone, Copy)]
pub struct Trend {
    /// Change per epoch, positive if the metric improves.
    pub gain: f64,
    /// Standard error of `gain`.
    pub error: f64,
    /// Number of epochs from the first to the last point.
    pub span: f64,
}

impl Trend {
    /// Returns whether the metric improved from the first point to the last: by at least `least`, and by this many standard
    /// errors.
    pub fn improves(self, sigmas: f64, least: f64) -> bool {
        self.gain > 0.0 && self.gain >= sigmas * self.error && self.gain * self.span >= least
    }
}

impl Series {
    /// Creates the series. `None` if there is no value. Epochs out of order and non-finite values (or values above
    /// [`LARGEST`]) are left out.
    pub fn new(goal: Goal, points: impl Iterator<Item = (u32, f64)>) -> Option<Series> {
        let unit = if goal == Goal::Minimize { Unit::Loss } else { Unit::Accuracy };
        let (epochs, values, smooth) = Default::default();
        let mut series = Series { goal, name: None, unit, epochs, values, smooth, noise: 0.0 };
        for (epoch, value) in points {
            if value.abs() <= LARGEST && series.epochs.last().is_none_or(|last| *last < epoch) {
                series.epochs.push(epoch);
                series.values.push(value);
            }
        }
        let half = series.window() / 2;
        series.smooth = (0..series.len())
            .map(|at| {
                // The window is symmetric at the ends too, so that a steep start is not cut off.
                let half = half.min(at).min(series.len() - 1 - at);
                median(&mut series.values[at - half..=at + half].to_vec())
            })
            .collect();
        series.noise = series.measure_noise();
        (!series.values.is_empty()).then_some(series)
    }

    /// The same series of a metric that is neither a loss nor an accuracy, on any scale.
    pub fn named(self, name: &str) -> Series {
        let name =
            ["val_", "eval_", "validation_", "valid_"].iter().find_map(|part| name.strip_prefix(part)).unwrap_or(name);
        let unit = if self.goal == Goal::Minimize { Unit::Loss } else { Unit::Number };
        Series { name: Some(name.to_owned()), unit, ..self }
    }

    /// Returns the largest of the values.
    pub fn most(&self) -> f64 {
        self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Returns whether all values are the same, except for the last digit of a log. A network that gives one answer to every
    /// input has such an accuracy.
    pub fn is_constant(&self) -> bool {
        let close = |value: &f64| (value - self.values[0]).abs() <= CONSTANT;
        self.len() > 1 && self.values.iter().all(close)
    }

    /// Returns the unit of the last digit that was printed: 0.01 if all values have two digits after the point. It is 0 for
    /// more than six.
    pub fn resolution(&self) -> f64 {
        let whole = |scale: f64| self.values.iter().all(|value| (value * scale - (value * scale).round()).abs() < 1e-6);
        (0..=6).map(|digits| 10f64.powi(digits)).find(|scale| whole(*scale)).map_or(0.0, f64::recip)
    }

    /// Returns the share of steps, in the later half of the curve, in which the metric got worse.
    pub fn steps_back(&self) -> f64 {
        self.back(self.len() / 2)
    }

    /// Returns the share of steps, from this value on, in which the metric got worse.
    fn back(&self, from: usize) -> f64 {
        let later = &self.values[from..];
        let back = later.windows(2).filter(|pair| self.gain(pair[1], pair[0]) < 0.0).count();
        back as f64 / later.len().saturating_sub(1).max(1) as f64
    }

    /// Returns the noise, or `None` if it is assumed because there are too few values.
    pub fn measured_noise(&self) -> Option<f64> {
        (self.len() > NOISE_FROM).then_some(self.noise)
    }

    /// Returns whether the values of the last third are no better than those of the first, except for noise, nor much better than
    /// the second value.
    pub fn wanders(&self) -> bool {
        let third = self.len() / 3;
        let error = std::f64::consts::SQRT_2 * median_error(self.noise, third);
        third >= LEAST_WANDERING && !self.is_better_than(1) && !self.got_better() && self.gained(third) < 2.0 * error
    }

    /// Returns whether the values of the last third are much better than those of the first, whatever the noise is.
    pub fn got_better(&self) -> bool {
        let third = self.len().div_ceil(3);
        self.gained(third) >= BETTER * median(&mut self.values[..third].to_vec()).abs()
    }

    /// Returns whether the end is much better than the value with this index.
    pub fn is_better_than(&self, at: usize) -> bool {
        self.gain(self.end(), self.values[at]) >= BETTER * self.values[at].abs()
    }

    /// Returns by how much the last values are better than the first.
    fn gained(&self, values: usize) -> f64 {
        let level = |values: &[f64]| median(&mut values.to_vec());
        self.gain(level(&self.values[self.len() - values..]), level(&self.values[..values]))
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns the number of values in a running median: a tenth of the curve, odd, from 3 to 25. It is 1 if there are
    /// too few values to smooth.
    pub fn window(&self) -> usize {
        if self.len() < NOISE_FROM { 1 } else { ((self.len() / 10) | 1).clamp(3, 25) }
    }

    /// Returns the standard error of a median over [`Series::window`] values.
    pub fn level_error(&self) -> f64 {
        median_error(self.noise, self.window())
    }

    /// Returns by how much `a` is better than `b`.
    pub fn gain(&self, a: f64, b: f64) -> f64 {
        match self.goal {
            Goal::Minimize => b - a,
            Goal::Maximize => a - b,
        }
    }

    /// Returns the level at the end: the median of the last [`Series::window`] values.
    pub fn end(&self) -> f64 {
        median(&mut self.values[self.len() - self.window()..].to_vec())
    }

    /// Returns the value to name as that of the end: the last one, as the reader of a log knows it. If it is far from the
    /// trend of the last values, it is [`Series::end`].
    pub fn last_shown(&self) -> f64 {
        let last = self.values[self.len() - 1];
        let before = &self.smooth[..self.len() - 1];
        let step = before.windows(2).next_back().map_or(0.0, |pair| pair[1] - pair[0]);
        let expected = before.last().map_or(last, |level| level + step);
        if (last - expected).abs() <= ODD_SIGMAS * self.noise.max(step.abs()) { last } else { self.end() }
    }

    /// Returns the smooth value at an epoch, or at the nearest epoch before it, or at the first epoch.
    pub fn at(&self, epoch: u32) -> f64 {
        self.smooth[self.epochs.partition_point(|one| *one <= epoch).saturating_sub(1)]
    }

    /// Returns the index of the best single value among the epochs at which the smooth curve was best, within noise. A
    /// lucky epoch elsewhere does not count.
    pub fn best(&self) -> usize {
        let best = self.best_level();
        let near = |at: &usize| self.gain(best, self.smooth[*at]) <= BEST_SIGMAS * self.noise;
        let better = |a: &usize, b: &usize| self.gain(self.values[*b], self.values[*a]).total_cmp(&0.0).then(a.cmp(b));
        (0..self.len()).filter(near).min_by(better).expect("the best of the smooth course is near itself")
    }

    /// Returns the index of the best single value, of equal ones the last.
    pub fn best_value(&self) -> usize {
        let better = |a, b| if self.gain(self.values[b], self.values[a]) > 0.0 { b } else { a };
        (0..self.len()).rev().reduce(better).expect("a series has a value")
    }

    /// Returns the best value of the smooth curve.
    pub fn best_level(&self) -> f64 {
        self.best_smooth(self.len())
    }

    /// Returns the best value of the first half of the smooth curve.
    pub fn best_of_first_half(&self) -> f64 {
        self.best_smooth(self.len().div_ceil(2))
    }

    fn best_smooth(&self, values: usize) -> f64 {
        let better = |a: f64, b: f64| if self.goal.better(b, a) { b } else { a };
        self.smooth[..values].iter().copied().reduce(better).expect("a series has a value")
    }

    /// Returns the trend of the last third of the curve, over at least five points. It is the Theil-Sen slope, the
    /// median over all pairs (Sen 1968). `None` for fewer points.
    pub fn trend(&self) -> Option<Trend> {
        self.trend_over(self.len() / 3)
    }

    /// Returns the trend of the last half of the curve, which is surer of its sign, but may be over in the last third.
    pub fn trend_of_half(&self) -> Option<Trend> {
        self.trend_over(self.len() / 2)
    }

    fn trend_over(&self, values: usize) -> Option<Trend> {
        let from = self.len() - self.len().min(values.max(5));
        let step = (self.len() - from).div_ceil(TREND_POINTS);
        let points: Vec<(f64, f64)> =
            (from..self.len()).step_by(step).map(|at| (f64::from(self.epochs[at]), self.values[at])).collect();
        if points.len() < 5 {
            return None;
        }
        let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
        for (at, a) in points.iter().enumerate() {
            slopes.extend(points[at + 1..].iter().map(|b| (b.1 - a.1) / (b.0 - a.0)));
        }
        let middle = points.iter().map(|point| point.0).sum::<f64>() / points.len() as f64;
        let spread = points.iter().map(|point| (point.0 - middle).powi(2)).sum::<f64>().sqrt();
        let span = points[points.len() - 1].0 - points[0].0;
        Some(Trend { gain: self.gain(median(&mut slopes), 0.0), error: self.noise / spread, span })
    }

    /// Measures noise from each value's distance to the line between its neighbors. The trend itself hardly matters
    /// there, and the median of the distances ignores outliers.
    fn measure_noise(&self) -> f64 {
        let Some(last) = self.values.last() else { return 0.0 };
        if self.len() < NOISE_FROM {
            return match self.goal {
                Goal::Maximize if (0.0..=1.0).contains(last) => (last * (1.0 - last) / ASSUMED_EXAMPLES).sqrt(),
                _ => ASSUMED_NOISE * last.abs(),
            };
        }
        // The bends at the start of a short curve that hardly ever steps back are no noise.
        let over = if self.len() >= LEAST_HALVED && self.back(0) <= SMOOTH { 0 } else { NOISE_OVER };
        let from = (self.len() / 2).min(self.len().saturating_sub(over));
        let mut deviations: Vec<f64> = (from + 1..self.len() - 1)
            .map(|at| {
                let [a, b, c] = [at - 1, at, at + 1].map(|at| f64::from(self.epochs[at]));
                let share = (b - a) / (c - a);
                let between = self.values[at - 1] * (1.0 - share) + self.values[at + 1] * share;
                (self.values[at] - between).abs() / (1.0 + share.powi(2) + (1.0 - share).powi(2)).sqrt()
            })
            .collect();
        (MAD_TO_SIGMA * median(&mut deviations)).max(LEAST_NOISE * last.abs())
    }
}

/// Returns the standard error of the median of `count` values with this standard deviation.
pub fn median_error(noise: f64, count: usize) -> f64 {
    if count > 1 { noise * MEDIAN_ERROR / (count as f64).sqrt() } else { noise }
}

/// Returns the middle value, or the mean of the two middle values.
///
/// # Panics
/// If there is no value.
pub fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).expect("an even number of values has two in the middle");
    lower + (upper - lower) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(values: &[f64]) -> Series {
        Series::new(Goal::Minimize, (1..).zip(values.iter().copied())).expect("there are values")
    }

    #[test]
    fn the_noise_of_a_smooth_curve_is_its_rounding() {
        let falling: Vec<f64> = (0..40).map(|t| 0.5 + 2.0 * (-f64::from(t) / 8.0).exp()).collect();
        assert!(loss(&falling).noise < 2e-3, "{}", loss(&falling).noise);
    }

    #[test]
    fn alternating_values_have_the_noise_of_their_swing() {
        // Alternating ±0.1 has a standard deviation of 0.1. The noise of neighbors is not independent here, so a factor
        // remains.
        let swinging: Vec<f64> = (0..40).map(|t| 1.0 + if t % 2 == 0 { 0.1 } else { -0.1 }).collect();
        assert!((0.1..0.3).contains(&loss(&swinging).noise), "{}", loss(&swinging).noise);
    }

    #[test]
    fn one_odd_epoch_changes_neither_noise_nor_best_nor_trend() {
        let mut values: Vec<f64> = (0..30).map(|t| 1.0 + 0.01 * f64::from(t % 3) + 0.01 * f64::from(t)).collect();
        let calm = loss(&values);
        values[24] = -50.0;
        let odd = loss(&values);
        assert!((odd.noise - calm.noise).abs() < 0.01);
        assert_eq!(odd.best(), calm.best());
        let (calm, odd) = (calm.trend().expect("30 points"), odd.trend().expect("30 points"));
        assert!((calm.gain - odd.gain).abs() < 0.004, "{} {}", calm.gain, odd.gain);
    }

    #[test]
    fn a_trend_is_positive_where_the_metric_gets_better() {
        let falling: Vec<f64> = (0..20).map(|t| 2.0 - 0.05 * f64::from(t)).collect();
        assert!((loss(&falling).trend().expect("20 points").gain - 0.05).abs() < 1e-9);
        let accuracy = Series::new(Goal::Maximize, (1..).zip(falling)).expect("there are values");
        assert!((accuracy.trend().expect("20 points").gain + 0.05).abs() < 1e-9);
        assert!(loss(&[1.0, 0.9, 0.8, 0.7]).trend().is_none());
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
    }
}
