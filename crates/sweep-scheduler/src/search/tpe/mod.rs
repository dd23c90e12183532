//! The tree-structured Parzen estimator (Bergstra et al. 2011; over all parameters jointly as in Falkner et al. 2018).
//! It proposes a configuration that is likely among the good ones seen so far and unlikely among the others.
//!
//! The module is pure: known results go in, a configuration comes out. Nothing is kept between two calls.

mod parzen;

use std::collections::HashSet;

use rand::RngExt;

use super::{MOST_DRAWN, sobol};
use parzen::{Parzen, Places};
use sweep_core::random::{Purpose, stream};
use sweep_core::space::{Permutation, Space};
use sweep_core::trial::{Settings, fingerprint};

/// Number of evenly spread configurations before the estimator learns from results.
pub const STARTUP: usize = 10;

/// Number of candidates per proposal, for each choice in a configuration.
const CANDIDATES: usize = 96;

/// Width of the kernels, as a share of the range. Each proposal multiplies it by a factor from a half to two, because
/// no single width is right for every function.
const WIDTH: f64 = 0.05;

/// Number of newest configurations with full weight. Older ones have less and less weight.
const FULL: usize = 25;

/// A configuration that was tried or is running.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Parameters of the configuration.
    pub settings: Settings,
    /// Result of the configuration; smaller is better. `None` while it is unknown, or if the trial failed.
    pub value: Option<f64>,
}

/// A space and the seed of all draws.
#[derive(Debug, Clone)]
pub struct Tpe {
    space: Space,
    seed: u64,
    categorical: Vec<bool>,
}

impl Tpe {
    /// Creates the estimator. The seed determines all draws.
    pub fn new(space: Space, seed: u64) -> Tpe {
        let categorical = (0..space.choices()).map(|choice| space.is_categorical(choice)).collect();
        Tpe { space, seed, categorical }
    }

    /// Proposes the configuration with that index, from 0. `known` has the known configurations in trial order. `None`
    /// if every configuration is already known.
    pub fn propose(&self, number: u64, known: &[Known]) -> Option<Settings> {
        let tried: HashSet<u64> = known.iter().map(|known| fingerprint(&known.settings)).collect();
        let is_new = |point: &Settings| !tried.contains(&fingerprint(point));
        let valued = known.iter().filter(|known| known.value.is_some()).count();
        let found = match valued < STARTUP {
            true => sobol::point(&self.space, self.seed, number).filter(is_new),
            false => self.learnt(number, known, &is_new),
        };
        found.or_else(|| self.any(number, tried.len() as u64, &is_new))
    }

    fn learnt(&self, number: u64, known: &[Known], is_new: &impl Fn(&Settings) -> bool) -> Option<Settings> {
        let mut chance = stream(self.seed, number + 1, 0, Purpose::Point);
        let width = WIDTH * 2_f64.powf(chance.random_range(-1.0..1.0));
        let around = |places: Vec<usize>, weights: Vec<f64>| {
            let points: Vec<_> = places.iter().map(|at| self.places(&known[*at].settings)).collect();
            Parzen::new(&points, &weights, &self.categorical, width)
        };
        let (good, bad) = split(known);
        let (equal, fading) = (vec![1.0; good.len()], weights(bad.len()));
        let (good, bad) = (around(good, equal), around(bad, fading));
        let mut best: Option<(f64, Settings)> = None;
        for _ in 0..CANDIDATES * self.categorical.len() {
            let kernel = good.draw_kernel(&mut chance);
            let drawn = self.space.at(|choice| good.draw(kernel, choice, &mut chance));
            let Some(point) = drawn.filter(is_new) else { continue };
            let places = self.places(&point);
            let gain = good.log_density(&places) - bad.log_density(&places);
            if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                best = Some((gain, point));
            }
        }
        best.map(|(_, point)| point)
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

    fn places(&self, point: &Settings) -> Vec<Places> {
        (0..self.categorical.len()).map(|choice| self.space.places(choice, point)).collect()
    }
}

/// Splits the list into the best tenth, at most 25, and the others. Both have list indices in ascending order. Among
/// equal values the earlier one is better. An entry without a value is worse than all others.
fn split(known: &[Known]) -> (Vec<usize>, Vec<usize>) {
    let mut ranked: Vec<usize> = (0..known.len()).filter(|at| known[*at].value.is_some()).collect();
    ranked.sort_by(|a, b| known[*a].value.unwrap_or(f64::NAN).total_cmp(&known[*b].value.unwrap_or(f64::NAN)));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use sweep_core::space::{Condition, Curve, Distribution, Parameter};

    fn parameter(name: &str, distribution: Distribution, when: Option<Condition>) -> Parameter {
        Parameter { name: name.to_owned(), distribution, when }
    }

    fn list(values: Value) -> Distribution {
        Distribution::Categorical(values.as_array().unwrap().clone())
    }

    /// The best is `kind` b with `rate` 1e-3. `kind` a has a different rate, which does not matter.
    fn space(exclude: Vec<Condition>) -> Space {
        let decades = || Distribution::Number { curve: Curve::LogUniform { min: 1e-6, max: 1.0 }, step: None };
        let of = |kind: &str| Some(Condition::equal("kind", kind.into()));
        let parameters = vec![
            parameter("kind", list(json!(["a", "b", "c"])), None),
            parameter("idle", decades(), of("a")),
            parameter("rate", decades(), of("b")),
        ];
        Space::new(parameters, Vec::new(), exclude).unwrap()
    }

    fn value(point: &Settings) -> f64 {
        point.get("rate").map_or(2.0, |rate| (rate.as_f64().unwrap().log10() + 3.0).abs())
    }

    fn run(tpe: &Tpe, count: u64) -> Vec<Known> {
        let mut known: Vec<Known> = Vec::new();
        for number in 0..count {
            let Some(settings) = tpe.propose(number, &known) else { break };
            let value = Some(value(&settings));
            known.push(Known { settings, value });
        }
        known
    }

    #[test]
    fn it_finds_what_matters_and_a_point_has_only_what_its_conditions_give_it() {
        for seed in 0..5 {
            let known = run(&Tpe::new(space(Vec::new()), seed), 60);
            let best = known.iter().filter_map(|known| known.value).fold(f64::INFINITY, f64::min);
            assert!(best < 0.1, "seed {seed}: {best}");
            let late = known[30..].iter().filter(|known| known.settings["kind"] == "b").count();
            assert!(late > 15, "seed {seed}: {late} of 30 are of the best kind");
            for Known { settings, .. } in &known {
                assert_eq!(settings.contains_key("idle"), settings["kind"] == "a");
                assert_eq!(settings.contains_key("rate"), settings["kind"] == "b");
            }
        }
    }

    #[test]
    fn a_proposal_follows_from_the_seed_its_number_and_what_is_known() {
        let tpe = |seed| Tpe::new(space(Vec::new()), seed);
        let known = run(&tpe(1), 25);
        assert_eq!(tpe(1).propose(25, &known), tpe(1).propose(25, &known));
        assert_ne!(tpe(1).propose(25, &known), tpe(2).propose(25, &known));
        assert_ne!(tpe(1).propose(25, &known), tpe(1).propose(26, &known));
    }

    #[test]
    fn excluded_points_are_never_proposed() {
        let narrow = Condition::Compare(
            sweep_core::space::Operand::Name("rate".into()),
            sweep_core::space::Comparison::Less,
            sweep_core::space::Operand::Literal(json!(2e-3)),
        );
        let known = run(&Tpe::new(space(vec![narrow]), 3), 60);
        let rates: Vec<f64> = known.iter().filter_map(|known| known.settings.get("rate")?.as_f64()).collect();
        assert!(rates.len() > 20 && rates.iter().all(|rate| *rate >= 2e-3), "{rates:?}");
        assert!(rates.iter().any(|rate| *rate < 4e-3), "the best lies at the edge");
    }

    #[test]
    fn a_finite_space_is_gone_through_without_repeats_and_ends() {
        let parameters = vec![
            parameter("kind", list(json!(["a", "b", "c"])), None),
            parameter("size", Distribution::IntUniform { min: 1, max: 9 }, None),
        ];
        let known = run(&Tpe::new(Space::new(parameters, Vec::new(), Vec::new()).unwrap(), 1), 100);
        let distinct: HashSet<String> = known.iter().map(|known| json!(known.settings).to_string()).collect();
        assert_eq!((known.len(), distinct.len()), (27, 27));
    }

    #[test]
    fn trials_that_fail_or_are_under_way_push_proposals_away() {
        let one = Distribution::Number { curve: Curve::Uniform { min: 0.0, max: 1.0 }, step: None };
        let tpe = Tpe::new(Space::new(vec![parameter("x", one, None)], Vec::new(), Vec::new()).unwrap(), 5);
        let at = |x: f64, value| Known { settings: [("x".to_owned(), json!(x))].into_iter().collect(), value };
        // The best is in the middle, where the same number of configurations is running or has failed.
        let places = (0..20).map(|step| f64::from(step) / 19.0);
        let mut known: Vec<Known> = places.map(|x| at(x, Some((x - 0.5).abs()))).collect();
        let near = |known: &[Known]| {
            let x = |number: u64| tpe.propose(100 + number, known).and_then(|point| point["x"].as_f64()).unwrap();
            (0..100).filter(|number| (x(*number) - 0.5).abs() < 0.06).count()
        };
        assert!(near(&known) > 80, "{}", near(&known));
        known.extend((0..20).map(|step| at(0.44 + 0.006 * f64::from(step), None)));
        assert!(near(&known) < 20, "{}", near(&known));
    }
}
