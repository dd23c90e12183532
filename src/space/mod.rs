//! What may be tried: parameters and the values that each can take. Pure, and small however many points there are.

mod distribution;
mod permutation;

pub use distribution::Distribution;
pub use permutation::Permutation;

use rand::Rng;

use crate::trial::Settings;

/// Something that varies from trial to trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// As in the settings: `learning_rate`, or `group.member`.
    pub name: String,
    /// What it can be.
    pub distribution: Distribution,
}

/// All that varies in a sweep, in the order of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Space {
    /// Names are distinct.
    pub parameters: Vec<Parameter>,
}

impl Space {
    /// How many points there are; `None` where a parameter is continuous. [`u64::MAX`] stands for more than that.
    pub fn count(&self) -> Option<u64> {
        self.parameters
            .iter()
            .try_fold(1_u64, |count, parameter| Some(count.saturating_mul(parameter.distribution.count()?)))
    }

    /// Whether every parameter takes each of its values equally often.
    pub fn is_even(&self) -> bool {
        self.parameters.iter().all(|parameter| parameter.distribution.is_even())
    }

    /// The point of that number, from 0 to below [`Space::count`]; the last parameter changes fastest. `None` past
    /// the end, or where a parameter is continuous.
    pub fn point(&self, number: u64) -> Option<Settings> {
        let mut rest = number;
        let mut values = Vec::with_capacity(self.parameters.len());
        for Parameter { name, distribution } in self.parameters.iter().rev() {
            let count = distribution.count()?;
            values.push((name.clone(), distribution.value(rest % count)?));
            rest /= count;
        }
        (rest == 0).then(|| values.into_iter().rev().collect())
    }

    /// A point drawn at random.
    pub fn draw(&self, chance: &mut impl Rng) -> Settings {
        self.parameters
            .iter()
            .map(|Parameter { name, distribution }| (name.clone(), distribution.draw(chance)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn space() -> impl Strategy<Value = Space> {
        let categorical = (1..6_i64).prop_map(|n| Distribution::Categorical((0..n).map(Into::into).collect()));
        let whole = (-5..5_i64, 0..5_i64).prop_map(|(min, more)| Distribution::IntUniform { min, max: min + more });
        let steps = (0..5_u32).prop_map(|n| Distribution::Steps { first: 0.1, step: 0.1, count: u64::from(n) + 1 });
        let constant = Just(Distribution::Constant("x".into()));
        prop::collection::vec(prop_oneof![categorical, whole, steps, constant], 0..5).prop_map(|distributions| {
            let named = distributions.into_iter().enumerate();
            Space {
                parameters: named
                    .map(|(at, distribution)| Parameter { name: format!("p{at}"), distribution })
                    .collect(),
            }
        })
    }

    proptest! {
        #[test]
        fn points_are_distinct_and_as_many_as_counted(space in space()) {
            let count = space.count().unwrap();
            let points: HashSet<_> =
                (0..count).map(|at| serde_json::to_string(&space.point(at).unwrap()).unwrap()).collect();
            prop_assert_eq!(points.len() as u64, count);
            prop_assert_eq!(space.point(count), None);
        }
    }

    #[test]
    fn the_last_parameter_changes_fastest() {
        let parameter =
            |name: &str| Parameter { name: name.to_owned(), distribution: Distribution::IntUniform { min: 1, max: 3 } };
        let space = Space { parameters: vec![parameter("a"), parameter("b")] };
        let second = space.point(1).unwrap();
        assert_eq!((second["a"].as_i64(), second["b"].as_i64()), (Some(1), Some(2)));
    }
}
