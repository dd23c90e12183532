//! Bayesian optimization: a Gaussian process is fitted to the values so far, and the configuration with the highest
//! expected improvement is next (Jones et al. 1998). Running trials count with the value that is expected of them
//! (Ginsbourger et al. 2010), so slots do not try the same.
//!
//! The module is pure: known results go in, a configuration comes out. Nothing is kept between two calls.

mod cholesky;
mod process;

use rand::{Rng, RngExt};
use statrs::function::erf::{erf_inv, erfc};

use super::learner::{Known, Learner, Value};
use process::{Kernel, Point, Process};
use sweep_core::trial::Settings;

/// Maximum number of configurations that the process sees: the cost of a proposal grows with its third power.
const MOST: usize = 200;

/// Number of random candidates.
const EVEN: usize = 300;

/// Number of the best candidates around which others are drawn, of those drawn around each in a round, and of rounds.
const CENTERS: usize = 6;
const AROUND: usize = 24;
const ROUNDS: i32 = 8;

/// A candidate: quantiles of the choices, from which the configuration follows.
struct Candidate {
    quantiles: Vec<f64>,
    settings: Settings,
    improvement: f64,
}

/// Proposes the configuration with the highest expected improvement. `None` if there is no process, or no candidate is
/// new.
pub fn propose(
    learner: &Learner,
    number: u64,
    known: &[Known],
    is_new: &impl Fn(&Settings) -> bool,
) -> Option<Settings> {
    let Learner { space, categorical, .. } = learner;
    let mut chance = learner.chance(number);
    let place = |settings: &Settings| -> Point {
        learner.places(settings).into_iter().map(|places| places.map(|(from, to)| (from + to) / 2.0)).collect()
    };
    let (valued, unknown) = chosen(known);
    let values = warped(&valued.iter().map(|(_, value)| *value).collect::<Vec<f64>>());
    let seen: Vec<Point> = valued.iter().map(|(known, _)| place(&known.settings)).collect();
    let kernel = Kernel::fit(&seen, &values, categorical);
    let points = seen.iter().cloned().chain(unknown.iter().map(|known| place(&known.settings))).collect();
    let process = Process::new(kernel, points, &values)?;
    let best = seen.iter().map(|point| process.predict(point).0).fold(f64::INFINITY, f64::min);

    let candidate = |quantiles: Vec<f64>| {
        let settings = space.at(|choice| quantiles[choice]).filter(is_new)?;
        let (mean, deviation) = process.predict(&place(&settings));
        let improvement = log_expected_improvement((best - mean) / deviation) + deviation.ln();
        Some(Candidate { quantiles, settings, improvement })
    };
    let even: Vec<Vec<f64>> =
        (0..EVEN).map(|_| (0..categorical.len()).map(|_| chance.random_range(0.0..1.0)).collect()).collect();
    let mut candidates: Vec<Candidate> = even.into_iter().filter_map(&candidate).collect();
    // The best configurations so far are centers, too.
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut centers: Vec<Vec<f64>> =
        order.iter().take(CENTERS).map(|at| seen[*at].iter().map(|place| place.unwrap_or(0.5)).collect()).collect();
    for round in 0..ROUNDS {
        let width = 0.2 * 0.5_f64.powi(round);
        for center in &centers {
            for _ in 0..AROUND {
                candidates.extend(candidate(moved(center, categorical, width, &mut chance)));
            }
        }
        candidates.sort_by(|a, b| b.improvement.total_cmp(&a.improvement));
        candidates.truncate(CENTERS);
        centers = candidates.iter().map(|candidate| candidate.quantiles.clone()).collect();
    }
    candidates.into_iter().next().map(|candidate| candidate.settings)
}

/// Moves some of the quantiles: those of ordered choices by about `width`, categories anywhere.
fn moved(center: &[f64], categorical: &[bool], width: f64, chance: &mut impl Rng) -> Vec<f64> {
    let share = [1.0 / center.len() as f64, 0.5, 1.0][chance.random_range(0..3_usize)];
    let certain = chance.random_range(0..center.len());
    let mut moved = center.to_vec();
    for (at, place) in moved.iter_mut().enumerate() {
        if at != certain && !chance.random_bool(share) {
            continue;
        }
        let even: f64 = chance.random_range(0.0..1.0);
        if !categorical[at] {
            let step = width * std::f64::consts::SQRT_2 * erf_inv(2.0 * even - 1.0);
            *place = (*place + step).clamp(0.0, 1.0 - f64::EPSILON);
        } else if at == certain || chance.random_bool(0.3) {
            *place = even;
        }
    }
    moved
}

/// Returns the configurations with a value and those without. A failed one counts as the worst measured one. If there
/// are too many, the best half and the newest others remain.
fn chosen(known: &[Known]) -> (Vec<(&Known, f64)>, Vec<&Known>) {
    let worst = known.iter().filter_map(|known| known.value.measured()).fold(f64::NEG_INFINITY, f64::max);
    let value = |known: &Known| if known.value == Value::Failed { Some(worst) } else { known.value.measured() };
    let mut valued: Vec<(&Known, f64)> = known.iter().filter_map(|known| Some((known, value(known)?))).collect();
    if let Some(too_many) = valued.len().checked_sub(MOST).filter(|too_many| *too_many > 0) {
        let mut ranked: Vec<f64> = valued.iter().map(|(_, value)| *value).collect();
        ranked.sort_by(f64::total_cmp);
        let (bound, mut left) = (ranked[MOST / 2], too_many);
        valued.retain(|(_, value)| {
            let goes = left > 0 && *value >= bound;
            left -= usize::from(goes);
            !goes
        });
    }
    let unknown: Vec<&Known> = known.iter().filter(|known| known.value == Value::Unknown).collect();
    let oldest = unknown.len().saturating_sub(MOST);
    (valued, unknown[oldest..].to_vec())
}

/// Scales values to mean 0 and deviation 1, with those above the median by the logarithm of their distance to it. Losses
/// may span decades, and how bad a bad one is says little about the good ones.
fn warped(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let scale = (median - sorted[0]).max(f64::MIN_POSITIVE);
    let place = |value: &f64| (value - median) / scale;
    let warped: Vec<f64> = values.iter().map(place).map(|at| if at > 0.0 { at.ln_1p() } else { at }).collect();
    let mean = warped.iter().sum::<f64>() / warped.len() as f64;
    let variance = warped.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / warped.len() as f64;
    warped.iter().map(|value| (value - mean) / variance.sqrt().max(1e-12)).collect()
}

/// The logarithm of the expected improvement of a normal value with deviation 1, whose mean is better than the best by
/// `z`. Far below 0 it is an asymptotic expansion, where the difference of the two terms would vanish.
fn log_expected_improvement(z: f64) -> f64 {
    let density = (-z * z / 2.0) - 0.5 * (2.0 * std::f64::consts::PI).ln();
    if z < -6.0 {
        return density - 2.0 * (-z).ln();
    }
    (density.exp() + z * 0.5 * erfc(-z / std::f64::consts::SQRT_2)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_improvement_has_no_step_where_the_expansion_begins() {
        let (above, below) = (log_expected_improvement(-6.0 + 1e-9), log_expected_improvement(-6.0 - 1e-9));
        assert!((above - below).abs() < 0.1, "{above} {below}");
        assert!((log_expected_improvement(0.0) - 0.398_942_3_f64.ln()).abs() < 1e-6);
        assert!(log_expected_improvement(-1e3).is_finite());
    }

    #[test]
    fn warped_values_keep_their_order_and_bad_ones_do_not_flatten_the_others() {
        let warped = warped(&[3.0, 1.0, 2.0, 1e9, 4.0]);
        assert!(warped[1] < warped[2] && warped[2] < warped[0] && warped[0] < warped[4] && warped[4] < warped[3]);
        assert!(warped[2] - warped[1] > 0.05, "{warped:?}");
        assert!(super::warped(&[1.0; 12]).iter().all(|value| *value == 0.0));
    }

    #[test]
    fn of_too_many_the_best_and_the_newest_remain() {
        let known = |at: usize| Known {
            settings: Settings::new(),
            value: if at == 3 { Value::Failed } else { Value::Measured(((at * 7) % 500) as f64) },
        };
        let known: Vec<Known> = (0..500).map(known).collect();
        let (valued, unknown) = chosen(&known);
        assert_eq!((valued.len(), unknown.len()), (MOST, 0));
        let best = valued.iter().filter(|(_, value)| *value < 100.0).count();
        assert!(best >= MOST / 2 - 1, "{best}");
        assert!(std::ptr::eq(valued[MOST - 1].0, &raw const known[499]));
    }
}
