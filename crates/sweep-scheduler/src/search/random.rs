//! Distinct configurations drawn one after another, at random or evenly spread.

use std::collections::HashSet;

use super::sobol;
use sweep_core::random::{Purpose, stream};
use sweep_core::space::{Permutation, Space};
use sweep_core::trial::{Settings, fingerprint};

/// Number of redraws for a configuration that was drawn before or is excluded. After that, the next free one in
/// [`Random::order`] is taken.
const REDRAWS: u64 = 100;

/// Number of redraws if there is no such order. After that, the search ends.
const MOST_REDRAWS: u64 = 10_000;

/// A sequence of distinct configurations.
#[derive(Debug, Clone)]
pub struct Random {
    space: Space,
    seed: u64,
    source: Source,
    /// A shuffled order of all configurations, if they can be counted.
    order: Option<Permutation>,
    /// How each configuration so far was found, unless they are simply taken in that order.
    found: Vec<Found>,
    /// Fingerprints of the configurations so far.
    drawn: HashSet<u64>,
    /// First position of the order that may be free.
    place: u64,
}

/// Source of the draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// Independent draws.
    Chance,
    /// One sequence that fills the space, with the number of elements taken so far.
    Sobol(u64),
}

/// How a configuration was found.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// By the draw with this index, from 0. For Sobol it is the index in the sequence.
    Draw(u64),
    /// At this position of the shuffled order.
    Place(u64),
}

impl Random {
    /// Creates the sequence. The seed determines all draws. Configurations in `skip` are left out.
    pub fn new(space: Space, seed: u64, source: Source, skip: &[Settings]) -> Random {
        // A space with more configurations than can be numbered is treated as infinite.
        let order = space.count().filter(|count| *count < u64::MAX).map(|count| Permutation::new(seed, count));
        let drawn = skip.iter().map(fingerprint).collect();
        Random { space, seed, source, order, found: Vec::new(), drawn, place: 0 }
    }

    /// Returns the configuration with that index, from 0. `None` if all configurations came before.
    pub fn point(&mut self, number: u64) -> Option<Settings> {
        while self.found.len() as u64 <= number {
            let found = self.find(self.found.len() as u64)?;
            self.found.push(found);
        }
        self.at(number, *self.found.get(usize::try_from(number).ok()?)?)
    }

    fn at(&self, number: u64, found: Found) -> Option<Settings> {
        match found {
            Found::Draw(at) if self.source != Source::Chance => sobol::point(&self.space, self.seed, at),
            Found::Draw(redraw) => self.space.draw(&mut stream(self.seed, number + 1, redraw, Purpose::Point)),
            Found::Place(place) => self.space.point(self.order.as_ref()?.get(place)?),
        }
    }

    /// Finds a configuration that did not come before.
    fn find(&mut self, number: u64) -> Option<Found> {
        let draws = if self.order.is_some() { REDRAWS } else { MOST_REDRAWS };
        let first = if let Source::Sobol(taken) = self.source { taken } else { 0 };
        let drawn = (first..first + draws).find(|&at| {
            let point = self.at(number, Found::Draw(at));
            point.is_some_and(|point| self.drawn.insert(fingerprint(&point)))
        });
        if let Source::Sobol(taken) = &mut self.source {
            *taken = drawn.map_or(first + draws, |at| at + 1);
        }
        if let Some(at) = drawn {
            return Some(Found::Draw(at));
        }
        // All positions before the last one taken are taken.
        loop {
            let found = Found::Place(self.place);
            let point = self.at(number, found)?;
            self.place += 1;
            if self.drawn.insert(fingerprint(&point)) {
                return Some(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use sweep_core::space::{Curve, Distribution, Parameter};

    fn space(distributions: impl IntoIterator<Item = Distribution>) -> Space {
        let named = distributions.into_iter().enumerate();
        let parameters = named.map(|(at, distribution)| Parameter { name: format!("p{at}"), distribution, when: None });
        Space::new(parameters.collect(), Vec::new(), Vec::new()).unwrap()
    }

    fn steps(max: f64, step: f64) -> Distribution {
        Distribution::Number { curve: Curve::Uniform { min: 0.0, max }, step: Some(step) }
    }

    fn all(random: &mut Random, limit: u64) -> Vec<String> {
        (0..limit).map_while(|at| random.point(at)).map(|settings| serde_json::to_string(&settings).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_finite_space_is_covered_once_and_ends(seed: u64, a in 1..6_i64, b in 1..6_i64, max in 0.5..6.0_f64) {
            let even = space([
                Distribution::IntUniform { min: 1, max: a },
                Distribution::Categorical((0..b).map(Into::into).collect()),
            ]);
            let uneven = space([
                steps(max, 0.5),
                Distribution::IntUniform { min: 1, max: a },
            ]);
            for space in [even, uneven] {
                let count = space.count().unwrap();
                let points = all(&mut Random::new(space, seed, Source::Chance, &[]), 1000);
                prop_assert_eq!(points.len() as u64, count);
                prop_assert_eq!(points.into_iter().collect::<HashSet<_>>().len() as u64, count);
            }
        }
    }

    #[test]
    fn every_parameter_varies_in_a_space_of_more_points_than_can_be_numbered() {
        let wide = || Distribution::IntUniform { min: 0, max: 1 << 40 };
        let mut random = Random::new(space([wide(), wide(), wide()]), 1, Source::Chance, &[]);
        let first: HashSet<_> = (0..8).map(|at| random.point(at).unwrap()["p0"].to_string()).collect();
        assert_eq!(first.len(), 8);
    }

    #[test]
    fn any_point_is_the_same_whatever_was_asked_before() {
        let space = space([
            steps(3.0, 1.0),
            Distribution::Number { curve: Curve::LogUniform { min: 1e-4, max: 1e-1 }, step: None },
        ]);
        let in_order = all(&mut Random::new(space.clone(), 7, Source::Chance, &[]), 20);
        let mut random = Random::new(space.clone(), 7, Source::Chance, &[]);
        let backwards = [19, 3].map(|at| serde_json::to_string(&random.point(at).unwrap()).unwrap());
        assert_eq!(backwards, [in_order[19].clone(), in_order[3].clone()]);
        assert_ne!(in_order, all(&mut Random::new(space, 8, Source::Chance, &[]), 20));
    }
}
