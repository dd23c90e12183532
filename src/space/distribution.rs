//! The values that one parameter can take, and how they are drawn. The words and their meaning are W&B Sweeps'.

use rand::{Rng, RngExt};
use serde_json::Value;

/// What a parameter can be. A further one is a variant here and a name in `spec/parameters.rs`.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// This.
    Constant(Value),
    /// One of these, each as likely. Distinct, and at least one.
    Categorical(Vec<Value>),
    /// A whole number, both ends included. `min` is at most `max`.
    IntUniform {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// `first`, `first + step`, …: what `q_uniform` is in a grid.
    Steps {
        /// The least.
        first: f64,
        /// Above 0.
        step: f64,
        /// At least 1.
        count: u64,
    },
    /// A number.
    Uniform {
        /// The least.
        min: f64,
        /// The most, above `min`.
        max: f64,
    },
    /// A number whose logarithm is uniform.
    LogUniformValues {
        /// The least, above 0.
        min: f64,
        /// The most, above `min`.
        max: f64,
    },
    /// `round(x / q) * q` of a uniform `x`.
    QUniform {
        /// The least `x`.
        min: f64,
        /// The most, above `min`.
        max: f64,
        /// Above 0.
        q: f64,
    },
}

use Distribution::{Categorical, Constant, IntUniform, LogUniformValues, QUniform, Steps, Uniform};

impl Distribution {
    /// How many different values there are; `None` where it is continuous.
    pub fn count(&self) -> Option<u64> {
        match self {
            Constant(_) => Some(1),
            Categorical(values) => Some(values.len() as u64),
            IntUniform { min, max } => Some(max.abs_diff(*min).saturating_add(1)),
            Steps { count, .. } => Some(*count),
            QUniform { min, max, q } => Some(((max / q).round() - (min / q).round()) as u64 + 1),
            Uniform { .. } | LogUniformValues { .. } => None,
        }
    }

    /// Whether it has finitely many values, each as likely.
    pub fn is_even(&self) -> bool {
        match self {
            Constant(_) | Categorical(_) | IntUniform { .. } | Steps { .. } => true,
            Uniform { .. } | LogUniformValues { .. } | QUniform { .. } => false,
        }
    }

    /// The value of that number, from 0; `None` past the end or where it is continuous.
    pub fn value(&self, number: u64) -> Option<Value> {
        if number >= self.count()? {
            return None;
        }
        match self {
            Constant(value) => Some(value.clone()),
            Categorical(values) => values.get(usize::try_from(number).ok()?).cloned(),
            IntUniform { min, .. } => Some(min.checked_add_unsigned(number)?.into()),
            Steps { first, step, .. } => Some(tidy(first + number as f64 * step, &[*first, *step])),
            QUniform { min, q, .. } => Some(tidy(((min / q).round() + number as f64) * q, &[*q])),
            Uniform { .. } | LogUniformValues { .. } => None,
        }
    }

    /// One value, drawn.
    pub fn draw(&self, chance: &mut impl Rng) -> Value {
        match self {
            Constant(value) => value.clone(),
            Categorical(values) => values[chance.random_range(0..values.len())].clone(),
            IntUniform { min, max } => chance.random_range(*min..=*max).into(),
            Steps { first, step, count } => {
                tidy(first + chance.random_range(0..*count) as f64 * step, &[*first, *step])
            }
            Uniform { min, max } => chance.random_range(*min..=*max).into(),
            // exp(ln(x)) need not be x: the ends are kept by force.
            LogUniformValues { min, max } => chance.random_range(min.ln()..=max.ln()).exp().clamp(*min, *max).into(),
            QUniform { min, max, q } => tidy((chance.random_range(*min..=*max) / q).round() * q, &[*q]),
        }
    }

    /// Values that show whether all of them will do: every one of a list, the ends of a range.
    pub fn samples(&self) -> Vec<Value> {
        match self {
            Constant(value) => vec![value.clone()],
            Categorical(values) => values.clone(),
            Uniform { min, max } | LogUniformValues { min, max } => vec![(*min).into(), (*max).into()],
            IntUniform { .. } | Steps { .. } | QUniform { .. } => {
                let last = self.count().and_then(|count| count.checked_sub(1));
                [Some(0), last].into_iter().flatten().filter_map(|at| self.value(at)).collect()
            }
        }
    }

    /// Whether it can give a number that is not whole.
    pub fn has_fractions(&self) -> bool {
        match self {
            Constant(_) | Categorical(_) | IntUniform { .. } => false,
            Uniform { .. } | LogUniformValues { .. } => true,
            Steps { first, step, .. } => first.fract() != 0.0 || step.fract() != 0.0,
            QUniform { q, .. } => q.fract() != 0.0,
        }
    }
}

/// A number made of these, without the last digits' noise (0.1 * 3 is 0.3), and whole where they all are.
fn tidy(number: f64, parts: &[f64]) -> Value {
    let decimals = |x: &f64| x.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
    match parts.iter().map(decimals).max() {
        None | Some(0) => (number as i64).into(),
        // The text is a decimal number, which parses.
        Some(digits) => format!("{number:.digits$}").parse::<f64>().unwrap_or(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn steps_are_free_of_noise_and_whole_where_they_can_be() {
        let values = |distribution: Distribution| -> Vec<Value> {
            (0..distribution.count().unwrap()).map(|at| distribution.value(at).unwrap()).collect()
        };
        assert_eq!(values(Steps { first: 0.1, step: 0.1, count: 3 }), [json!(0.1), json!(0.2), json!(0.3)]);
        assert_eq!(values(Steps { first: 32.0, step: 32.0, count: 2 }), [json!(32), json!(64)]);
        assert_eq!(values(QUniform { min: 0.0, max: 0.5, q: 0.25 }), [json!(0.0), json!(0.25), json!(0.5)]);
    }

    proptest! {
        #[test]
        fn draws_stay_within(seed: u64, min in 1e-6..1.0_f64, more in 1e-6..1.0_f64, q in 0.01..1.0_f64) {
            let max = min + more;
            let mut chance = stream(seed, 1, 0, Purpose::Point);
            for distribution in [Uniform { min, max }, LogUniformValues { min, max }] {
                let drawn = distribution.draw(&mut chance).as_f64().unwrap();
                prop_assert!((min..=max).contains(&drawn));
            }
            let steps = QUniform { min, max, q };
            let drawn = steps.draw(&mut chance);
            let all: Vec<_> = (0..steps.count().unwrap()).filter_map(|at| steps.value(at)).collect();
            prop_assert!(all.contains(&drawn));
        }
    }

    #[test]
    fn log_uniform_draws_each_decade_as_often() {
        let distribution = LogUniformValues { min: 1e-4, max: 1.0 };
        let mut chance = stream(1, 1, 0, Purpose::Point);
        let below = (0..4000).filter(|_| distribution.draw(&mut chance).as_f64().unwrap() < 1e-2).count();
        // Half of them within five deviations.
        assert!((1840..2160).contains(&below), "{below}");
    }
}
