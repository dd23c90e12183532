//! Forecasts what more epochs would bring. A decaying power or an exponential is fitted to the later part of a curve.
//!
//! Both families are common for learning curves (Domhan et al., IJCAI 2015). A good fit does not tell whether the network
//! begins to overfit later, or whether its learning rate is lowered. So the width of the interval was measured, on forecasts
//! from the first half or two thirds of published curves whose end is known.

use super::series::Series;
use sweep_core::trial::Goal;

/// A curve fits about as well as the best one if its squared residuals exceed the best by at most this times the noise
/// variance. It is the 95% quantile of χ² with one degree of freedom.
const CHI_SQUARED_95: f64 = 3.84;
/// Minimum number of points in the later two thirds for an extrapolation.
const LEAST_POINTS: usize = 6;
/// Minimum distance of the trend from zero, in standard errors.
const TREND_SIGMAS: f64 = 2.5;
/// Factor from the last epoch to the forecast, which adds half the number of epochs. Beyond that the families diverge.
const HORIZON: f64 = 1.5;
/// Exponents of the power of the epoch.
const POWERS: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7, 2.2];
/// Time constants of the exponential, as shares of the epochs fitted.
const TIMES: [f64; 12] = [0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 8.0];
/// The interval reaches at least from no gain at all to this multiple of the expected one. Of 161 forecasts for published
/// curves, that covers 89%. The curves that fit alone cover 71%.
const MOST_GAIN: f64 = 3.0;
/// Minimum half-width of the interval, as a share of the level. No curve is so regular that its future is certain.
const LEAST_MARGIN: f64 = 0.005;
/// A value farther from the smooth curve than this many standard deviations is replaced by it.
const ODD_SIGMAS: f64 = 4.0;

/// Forecast of a metric that still improves.
#[derive(Debug, Clone, Copy)]
pub struct Outlook {
    /// Epoch of the forecast.
    pub until: u32,
    /// Value of the metric at that epoch, by the best-fitting curve.
    pub expected: f64,
    /// Interval that covers what comes in about 90% of cases: the worse end, then the better end.
    pub between: [f64; 2],
    /// Improvement from the current level to `expected`.
    pub gain: f64,
    /// Smallest improvement by any curve that fits about as well as the best one (a profile likelihood).
    pub least_gain: f64,
}

impl Outlook {
    /// Computes the forecast. `None` if the last third shows no improvement beyond noise, or if there are too few
    /// points.
    pub fn new(series: &Series) -> Option<Outlook> {
        let trend = series.trend()?;
        if trend.gain <= TREND_SIGMAS * trend.error {
            return None;
        }
        let from = (series.len() / 3).min(series.len().saturating_sub(LEAST_POINTS));
        let (first, last) = (f64::from(*series.epochs.get(from)?), f64::from(*series.epochs.last()?));
        let tame = |at: usize| {
            let odd = (series.values[at] - series.smooth[at]).abs() > ODD_SIGMAS * series.noise;
            if odd { series.smooth[at] } else { series.values[at] }
        };
        let points: Vec<(f64, f64)> = (from..series.len()).map(|at| (f64::from(series.epochs[at]), tame(at))).collect();
        if points.len() < LEAST_POINTS || last <= first {
            return None;
        }
        let until = (last * HORIZON).ceil();
        let powers = POWERS.map(Basis::Power);
        let times = TIMES.map(|share| Basis::Exponential { first, time: share * (last - first) });
        let fits: Vec<Fit> =
            powers.into_iter().chain(times).filter_map(|basis| Fit::new(basis, &points, series, until)).collect();
        let best = fits.iter().min_by(|a, b| a.squares.total_cmp(&b.squares))?;
        // A curve that ends farther from the network's than it would still go is none that the network follows.
        if best.off.abs() > best.change.abs() {
            return None;
        }
        let variance = series.noise.powi(2).max(best.squares / (points.len() - 3) as f64);
        let likely = fits.iter().filter(|fit| fit.squares <= best.squares + CHI_SQUARED_95 * variance);
        let forecasts: Vec<f64> = likely.map(|fit| fit.forecast).collect();
        let (end, [floor, ceiling]) = (series.end(), bounds(series));
        let expected = best.forecast;
        let gain = series.gain(expected, end);
        let error = 2.0 * series.level_error();
        let low = forecasts.iter().copied().fold(f64::INFINITY, f64::min) - error;
        let high = forecasts.iter().copied().fold(f64::NEG_INFINITY, f64::max) + error;
        let now = series.last_shown();
        let (margin, most) = (LEAST_MARGIN * end.abs(), end + MOST_GAIN * (expected - end));
        let least = low.min(now).min(most).min(expected - margin).clamp(floor, ceiling);
        let most = high.max(now).max(most).max(expected + margin).clamp(floor, ceiling);
        let (between, worst) = match series.goal {
            Goal::Minimize => ([most, least], high),
            Goal::Maximize => ([least, most], low),
        };
        Some(Outlook { until: until as u32, expected, between, gain, least_gain: series.gain(worst, end) })
    }
}

/// Returns the least and the largest value that the metric can have. A loss that was never negative is none that can
/// be; a score that was never above 1 is a share.
fn bounds(series: &Series) -> [f64; 2] {
    let positive = series.values.iter().all(|value| *value >= 0.0);
    let floor = if positive { 0.0 } else { f64::NEG_INFINITY };
    let share = series.goal == Goal::Maximize && series.most() <= 1.0;
    [floor, if share { 1.0 } else { f64::INFINITY }]
}

/// A function that decays to 0.
#[derive(Debug, Clone, Copy)]
enum Basis {
    Power(f64),
    Exponential { first: f64, time: f64 },
}

impl Basis {
    fn at(self, epoch: f64) -> f64 {
        match self {
            Basis::Power(power) => epoch.max(1.0).powf(-power),
            Basis::Exponential { first, time } => (-(epoch - first) / time).exp(),
        }
    }
}

/// Limit plus scale times basis function, fitted by least squares.
#[derive(Debug)]
struct Fit {
    squares: f64,
    forecast: f64,
    /// From its value at the last epoch to the forecast.
    change: f64,
    /// From the level of the last epochs to its value at the last one.
    off: f64,
}

impl Fit {
    /// Fits the basis. `None` if the fit does not improve, or leaves the metric's range.
    fn new(basis: Basis, points: &[(f64, f64)], series: &Series, until: f64) -> Option<Fit> {
        let count = points.len() as f64;
        let shape: Vec<f64> = points.iter().map(|(epoch, _)| basis.at(*epoch)).collect();
        let (mean_x, mean_y) = (shape.iter().sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
        let pairs = || shape.iter().zip(points).map(|(x, point)| (x - mean_x, point.1 - mean_y));
        let scale = pairs().map(|(x, y)| x * y).sum::<f64>() / pairs().map(|(x, _)| x * x).sum::<f64>();
        let limit = mean_y - scale * mean_x;
        let squares = pairs().map(|(x, y)| (y - scale * x).powi(2)).sum::<f64>();
        let (last, forecast) = (limit + scale * basis.at(points.last()?.0), limit + scale * basis.at(until));
        let (change, off) = (forecast - last, last - series.end());
        let [floor, ceiling] = bounds(series);
        let possible = series.gain(forecast, last) > 0.0 && (floor..=ceiling).contains(&forecast);
        (possible && squares.is_finite()).then_some(Fit { squares, forecast, change, off })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(goal: Goal, course: impl Fn(f64) -> f64) -> Series {
        Series::new(goal, (1..=30).map(|epoch| (epoch, course(f64::from(epoch))))).expect("there are values")
    }

    #[test]
    fn the_forecast_of_a_power_law_covers_its_course() {
        let course = |t: f64| 0.5 + 1.5 * t.powf(-0.5) + 0.004 * (t * t * 12.9898).sin();
        let outlook = Outlook::new(&series(Goal::Minimize, course)).expect("it falls");
        assert_eq!(outlook.until, 45);
        let truth = course(45.0);
        assert!((outlook.expected - truth).abs() < 0.02, "{outlook:?}, {truth}");
        assert!(outlook.between[1] <= truth && truth <= outlook.between[0], "{outlook:?}, {truth}");
    }

    #[test]
    fn an_accuracy_never_exceeds_one() {
        let outlook = Outlook::new(&series(Goal::Maximize, |t| 1.0 - (-t / 20.0).exp())).expect("it rises");
        assert!(outlook.expected <= 1.0 && outlook.between[1] <= 1.0, "{outlook:?}");
        assert!(outlook.gain > 0.05, "{outlook:?}");
    }

    #[test]
    fn a_loss_is_never_negative_and_no_interval_is_a_point() {
        let outlook = Outlook::new(&series(Goal::Minimize, |t| (1.0 - t / 31.0).powf(1.1))).expect("it falls");
        assert!(outlook.expected >= 0.0 && outlook.between.iter().all(|end| *end >= 0.0), "{outlook:?}");
        let outlook = Outlook::new(&series(Goal::Minimize, |t| 0.5 + (-t / 20.0).exp())).expect("it falls");
        assert!(outlook.between[0] - outlook.between[1] > 0.25 * outlook.gain, "{outlook:?}");
    }

    #[test]
    fn what_is_flat_has_no_outlook() {
        assert!(Outlook::new(&series(Goal::Minimize, |t| 1.0 + 0.01 * (t * t * 12.9898).sin())).is_none());
    }
}
