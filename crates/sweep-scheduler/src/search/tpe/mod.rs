//! The tree-structured Parzen estimator (Bergstra et al. 2011; over all parameters jointly as in Falkner et al. 2018).
//! It proposes a configuration that is likely among the good ones seen so far and unlikely among the others.
//!
//! The module is pure: known results go in, a configuration comes out. Nothing is kept between two calls.

mod parzen;

use rand::RngExt;

use super::learner::{Known, Learner};
use parzen::Parzen;
use sweep_core::trial::Settings;

/// Number of candidates per proposal, for each choice in a configuration.
const CANDIDATES: usize = 96;

/// Width of the kernels, as a share of the range. Each proposal multiplies it by a factor from a half to two, because
/// no single width is right for every function.
const WIDTH: f64 = 0.05;

/// Number of newest configurations with full weight. Older ones have less and less weight.
const FULL: usize = 25;

/// Proposes a new configuration. `None` if no candidate is new.
pub fn propose(
    learner: &Learner,
    number: u64,
    known: &[Known],
    is_new: &impl Fn(&Settings) -> bool,
) -> Option<Settings> {
    let Learner { space, categorical, .. } = learner;
    let mut chance = learner.chance(number);
    let width = WIDTH * 2_f64.powf(chance.random_range(-1.0..1.0));
    let around = |chosen: Vec<usize>, weights: Vec<f64>| {
        let points: Vec<_> = chosen.iter().map(|at| learner.places(&known[*at].settings)).collect();
        Parzen::new(&points, &weights, categorical, width)
    };
    let (good, bad) = split(known);
    let (equal, fading) = (vec![1.0; good.len()], weights(bad.len()));
    let (good, bad) = (around(good, equal), around(bad, fading));
    let mut best: Option<(f64, Settings)> = None;
    for _ in 0..CANDIDATES * categorical.len() {
        let kernel = good.draw_kernel(&mut chance);
        let drawn = space.at(|choice| good.draw(kernel, choice, &mut chance));
        let Some(point) = drawn.filter(is_new) else { continue };
        let places = learner.places(&point);
        let gain = good.log_density(&places) - bad.log_density(&places);
        if best.as_ref().is_none_or(|(most, _)| gain > *most) {
            best = Some((gain, point));
        }
    }
    best.map(|(_, point)| point)
}

/// Splits the list into the best tenth, at most 25, and the others. Both have list indices in ascending order. Among
/// equal values the earlier one is better. An entry without a value is worse than all others.
fn split(known: &[Known]) -> (Vec<usize>, Vec<usize>) {
    let value = |at: usize| known[at].value.measured();
    let mut ranked: Vec<usize> = (0..known.len()).filter(|at| value(*at).is_some()).collect();
    ranked.sort_by(|a, b| value(*a).unwrap_or(f64::NAN).total_cmp(&value(*b).unwrap_or(f64::NAN)));
    let count = ranked.len().div_ceil(10).min(25);
    let mut good = ranked[..count].to_vec();
    good.sort_unstable();
    let bad = (0..known.len()).filter(|at| !good.contains(at)).collect();
    (good, bad)
}

/// Returns the weights. The newest have full weight. The weights of older ones fall linearly to 1 / `count`.
fn weights(count: usize) -> Vec<f64> {
    let older = count.saturating_sub(FULL);
    let ramp = |at: usize| {
        let least = 1.0 / count as f64;
        if older < 2 { least } else { least + (1.0 - least) * at as f64 / (older - 1) as f64 }
    };
    (0..count).map(|at| if at < older { ramp(at) } else { 1.0 }).collect()
}
