//! The values that one parameter can take, and how they are drawn. Names and semantics follow W&B Sweeps.

use std::fmt;

use rand::{Rng, RngExt};
use serde_json::Value;

use super::condition::same;
use super::curve::Curve;
use crate::trial::plain;

/// Maximum number of list values shown.
const MOST_SHOWN: usize = 12;

/// Distribution of a parameter. `distribution.rs` of `sweep-spec` reads the names in the sweep file.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    Constant(Value),
    /// One of these values, each equally likely. There is at least one. The values are distinct unless other parameters
    /// move with this one.
    Categorical(Vec<Value>),
    /// One of these values, each with its probability. There is at least one. The values are distinct and the
    /// probabilities are above 0.
    Weighted(Vec<(Value, f64)>),
    /// An integer, both ends included. `min` is at most `max`.
    IntUniform {
        /// Lower bound.
        min: i64,
        /// Upper bound.
        max: i64,
    },
    /// The values `first`, `first + step`, …, as for `q_uniform` in a grid.
    Steps {
        /// Smallest value.
        first: f64,
        /// Step size, above 0.
        step: f64,
        /// Number of values, at least 1.
        count: u64,
    },
    /// A real number. With a step, it is rounded to the nearest multiple of the step.
    Number {
        /// Probability density of the number.
        curve: Curve,
        /// Step size, above 0.
        step: Option<f64>,
    },
}

use Distribution::{Categorical, Constant, IntUniform, Number, Steps, Weighted};

impl Distribution {
    /// Returns the number of distinct values. `None` for a continuous distribution or infinitely many steps.
    pub fn count(&self) -> Option<u64> {
        match self {
            Constant(_) => Some(1),
            Categorical(values) => Some(values.len() as u64),
            Weighted(values) => Some(values.len() as u64),
            IntUniform { min, max } => Some(max.abs_diff(*min).saturating_add(1)),
            Steps { count, .. } => Some(*count),
            Number { curve, step: Some(step) } if curve.is_bounded() => {
                let (min, max) = curve.ends();
                Some(((max / step).round() - (min / step).round()) as u64 + 1)
            }
            Number { .. } => None,
        }
    }

    /// Returns whether there are finitely many values, each equally likely.
    pub fn is_even(&self) -> bool {
        match self {
            Constant(_) | Categorical(_) | IntUniform { .. } | Steps { .. } => true,
            Weighted(_) | Number { .. } => false,
        }
    }

    /// Returns the value with that index, from 0. `None` past the end, or if the values are not counted.
    pub fn value(&self, number: u64) -> Option<Value> {
        if number >= self.count()? {
            return None;
        }
        match self {
            Constant(value) => Some(value.clone()),
            Categorical(values) => values.get(usize::try_from(number).ok()?).cloned(),
            Weighted(values) => Some(values.get(usize::try_from(number).ok()?)?.0.clone()),
            IntUniform { min, .. } => Some(min.checked_add_unsigned(number)?.into()),
            Steps { first, step, .. } => Some(tidy(first + number as f64 * step, &[*first, *step])),
            Number { curve, step } => {
                let step = (*step)?;
                Some(tidy(((curve.ends().0 / step).round() + number as f64) * step, &[step]))
            }
        }
    }

    /// Returns the index of a value; the first index if the value occurs several times. `None` if it does not occur.
    pub fn position(&self, value: &Value) -> Option<u64> {
        let guess = match self {
            Constant(_) => 0,
            Categorical(values) => values.iter().position(|one| same(one, value))? as u64,
            Weighted(values) => values.iter().position(|(one, _)| same(one, value))? as u64,
            IntUniform { min, .. } => {
                // An integer may be written with a decimal point.
                let whole = value.as_i64().or_else(|| value.as_f64().filter(|x| x.fract() == 0.0).map(|x| x as i64));
                whole.filter(|whole| whole >= min)?.abs_diff(*min)
            }
            Steps { first, step, .. } => ((value.as_f64()? - first) / step).round() as u64,
            Number { curve, step } => {
                let step = (*step)?;
                (value.as_f64()? / step - (curve.ends().0 / step).round()).round() as u64
            }
        };
        self.value(guess).filter(|found| same(found, value)).map(|_| guess)
    }

    /// Returns whether the distribution can produce the value.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value.as_f64()) {
            (Number { curve, step: None }, Some(x)) => curve.ends().0 <= x && x <= curve.ends().1,
            (Number { curve, step: Some(step) }, Some(x)) if !curve.is_bounded() => {
                let (least, most) = curve.ends();
                let nearest = (x / step).round();
                let within = (least / step).round()..=(most / step).round();
                within.contains(&nearest) && same(&tidy(nearest * step, &[*step]), value)
            }
            _ => self.position(value).is_some(),
        }
    }

    /// Returns the value at quantile `place`, from 0 to below 1. Categories are in file order.
    pub fn at(&self, place: f64) -> Value {
        match self {
            Weighted(values) => {
                let all: f64 = values.iter().map(|(_, weight)| weight).sum();
                let mut left = place * all;
                let hit = values.iter().find(|(_, weight)| {
                    left -= weight;
                    left < 0.0
                });
                // Rounding can leave no probability for the last value.
                hit.or(values.last()).map(|(value, _)| value.clone()).unwrap_or_default()
            }
            Number { curve, step: None } => curve.at(place).into(),
            Number { curve, step: Some(step) } => tidy((curve.at(place) / step).round() * step, &[*step]),
            Constant(_) | Categorical(_) | IntUniform { .. } | Steps { .. } => {
                let count = self.count().unwrap_or(1);
                self.value(((place * count as f64) as u64).min(count - 1)).unwrap_or_default()
            }
        }
    }

    /// Returns the first and the last quantile that give a value. They are equal for a continuous distribution. `None`
    /// if the distribution cannot produce the value.
    pub fn places(&self, value: &Value) -> Option<(f64, f64)> {
        match self {
            Weighted(values) => {
                let number = self.position(value)? as usize;
                let weight = |values: &[(Value, f64)]| values.iter().map(|(_, weight)| weight).sum::<f64>();
                let all = weight(values);
                Some((weight(&values[..number]) / all, weight(&values[..=number]) / all))
            }
            Number { curve, step } => {
                let half = step.unwrap_or(0.0) / 2.0;
                let x = value.as_f64()?;
                Some((curve.share_below(x - half), curve.share_below(x + half)))
            }
            Constant(_) | Categorical(_) | IntUniform { .. } | Steps { .. } => {
                let (number, count) = (self.position(value)? as f64, self.count()? as f64);
                Some((number / count, (number + 1.0) / count))
            }
        }
    }

    /// Returns whether the values have no order.
    pub fn is_categorical(&self) -> bool {
        matches!(self, Constant(_) | Categorical(_) | Weighted(_))
    }

    /// Draws one value.
    pub fn draw(&self, chance: &mut impl Rng) -> Value {
        match self {
            Constant(value) => value.clone(),
            Categorical(values) => values[chance.random_range(0..values.len())].clone(),
            Weighted(values) => {
                let all: f64 = values.iter().map(|(_, weight)| weight).sum();
                let mut left = chance.random_range(0.0..all);
                let hit = values.iter().find(|(_, weight)| {
                    left -= weight;
                    left < 0.0
                });
                // Rounding can leave no probability for the last value.
                hit.or(values.last()).map(|(value, _)| value.clone()).unwrap_or_default()
            }
            IntUniform { min, max } => chance.random_range(*min..=*max).into(),
            Steps { first, step, count } => {
                tidy(first + chance.random_range(0..*count) as f64 * step, &[*first, *step])
            }
            Number { curve, step: None } => curve.draw(chance).into(),
            Number { curve, step: Some(step) } => tidy((curve.draw(chance) / step).round() * step, &[*step]),
        }
    }

    /// Returns values that show whether all values are valid: every value of a list, or the ends of a range.
    pub fn samples(&self) -> Vec<Value> {
        let ends = |step: Option<f64>, ends: (f64, f64)| match step {
            Some(step) => [ends.0, ends.1].map(|end| tidy((end / step).round() * step, &[step])).to_vec(),
            None => vec![ends.0.into(), ends.1.into()],
        };
        match self {
            Constant(value) => vec![value.clone()],
            Categorical(values) => values.clone(),
            Weighted(values) => values.iter().map(|(value, _)| value.clone()).collect(),
            Number { curve, step } => ends(*step, curve.ends()),
            IntUniform { .. } | Steps { .. } => {
                let last = self.count().and_then(|count| count.checked_sub(1));
                [Some(0), last].into_iter().flatten().filter_map(|at| self.value(at)).collect()
            }
        }
    }

    /// Returns whether the distribution can produce a number that is not an integer.
    pub fn has_fractions(&self) -> bool {
        match self {
            Constant(_) | Categorical(_) | Weighted(_) | IntUniform { .. } => false,
            Steps { first, step, .. } => first.fract() != 0.0 || step.fract() != 0.0,
            Number { step, .. } => step.is_none_or(|step| step.fract() != 0.0),
        }
    }
}

impl fmt::Display for Distribution {
    /// Writes `0.1, 0.2`, `1 to 9 in steps of 2`, or `1e-5 to 0.1, log-uniform`. Shows only the ends of a long list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant(value) => f.write_str(&plain(value)),
            Categorical(values) if values.len() > MOST_SHOWN => {
                let (first, last) = (&values[..MOST_SHOWN - 2], &values[values.len() - 1]);
                let first: Vec<_> = first.iter().map(plain).collect();
                write!(f, "{}, … {}", first.join(", "), plain(last))
            }
            Categorical(values) => f.write_str(&values.iter().map(plain).collect::<Vec<_>>().join(", ")),
            Weighted(values) => {
                let shown = values.iter().take(MOST_SHOWN);
                let shown: Vec<_> = shown.map(|(value, weight)| format!("{} ({weight})", plain(value))).collect();
                write!(f, "{}{}", shown.join(", "), if values.len() > MOST_SHOWN { ", …" } else { "" })
            }
            IntUniform { min, max } => write!(f, "{min} to {max}, whole"),
            Steps { first, step, count } => {
                let last = self.value(count.saturating_sub(1)).unwrap_or_default();
                write!(f, "{first} to {last} in steps of {step}")
            }
            Number { curve: Curve::Uniform { min, max }, step: Some(step) } => {
                write!(f, "{min} to {max}, rounded to steps of {step}")
            }
            Number { curve, step: None } => write!(f, "{curve}"),
            Number { curve, step: Some(step) } => write!(f, "{curve}, rounded to steps of {step}"),
        }
    }
}

/// Rounds a number computed from `parts` to their digits, so that 0.1 * 3 is 0.3. It is an integer if all parts are.
fn tidy(number: f64, parts: &[f64]) -> Value {
    let decimals = |x: &f64| x.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
    match parts.iter().map(decimals).max() {
        None | Some(0) if number.abs() < i64::MAX as f64 => (number as i64).into(),
        None | Some(0) => number.into(),
        // The text is a decimal number, so it parses.
        Some(digits) => format!("{number:.digits$}").parse::<f64>().unwrap_or(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::random::{Purpose, stream};

    fn number(curve: Curve, step: f64) -> Distribution {
        Number { curve, step: Some(step) }
    }

    #[test]
    fn steps_are_free_of_noise_and_whole_where_they_can_be() {
        let values = |distribution: Distribution| -> Vec<Value> {
            (0..distribution.count().unwrap()).map(|at| distribution.value(at).unwrap()).collect()
        };
        assert_eq!(values(Steps { first: 0.1, step: 0.1, count: 3 }), [json!(0.1), json!(0.2), json!(0.3)]);
        assert_eq!(values(Steps { first: 32.0, step: 32.0, count: 2 }), [json!(32), json!(64)]);
        let quarters = number(Curve::Uniform { min: 0.0, max: 0.5 }, 0.25);
        assert_eq!(values(quarters), [json!(0.0), json!(0.25), json!(0.5)]);
    }

    proptest! {
        #[test]
        fn draws_are_among_the_values(seed: u64, min in 1e-6..1.0_f64, more in 1e-6..1.0_f64, q in 0.01..1.0_f64) {
            let max = min + more;
            let mut chance = stream(seed, 1, 0, Purpose::Point);
            for curve in [
                Curve::Uniform { min, max },
                Curve::LogUniform { min, max },
                Curve::Beta { a: min, b: max },
                Curve::Normal { mu: min, sigma: more },
                Curve::LogNormal { mu: min, sigma: more },
            ] {
                let continuous = Number { curve, step: None };
                prop_assert!(continuous.contains(&continuous.draw(&mut chance)));
                let steps = number(curve, q);
                let drawn = steps.draw(&mut chance);
                prop_assert!(steps.contains(&drawn), "{steps} drew {drawn}");
                if let Some(count) = steps.count() {
                    let all: Vec<_> = (0..count).filter_map(|at| steps.value(at)).collect();
                    prop_assert!(all.contains(&drawn));
                }
            }
        }

        #[test]
        fn every_value_is_at_its_position(first in -5.0..5.0_f64, step in 0.01..2.0_f64, count in 1..50_u64, min: i32) {
            let min = i64::from(min);
            for distribution in [
                Steps { first, step, count },
                IntUniform { min, max: min + count as i64 },
                number(Curve::Uniform { min: first, max: first + 3.0 }, step),
                Weighted(vec![("a".into(), 0.5), (7.into(), 0.5)]),
            ] {
                for at in 0..distribution.count().unwrap() {
                    prop_assert_eq!(distribution.position(&distribution.value(at).unwrap()), Some(at));
                }
                prop_assert_eq!(distribution.position(&json!(first - 100_000.5)), None);
                prop_assert_eq!(distribution.position(&json!("b")), None);
            }
        }
    }

    /// Pearson's chi-squared test against these probabilities, at a significance level of one in a million for up to 10
    /// values.
    fn assert_drawn_with(distribution: &Distribution, expected: &[(Value, f64)]) {
        const DRAWS: u32 = 20_000;
        let mut chance = stream(5, 1, 0, Purpose::Point);
        let mut seen: HashMap<String, u32> = HashMap::new();
        for _ in 0..DRAWS {
            *seen.entry(distribution.draw(&mut chance).to_string()).or_default() += 1;
        }
        let mut apart = 0.0;
        let mut told = 0;
        for (value, probability) in expected {
            let count = seen.remove(&value.to_string()).unwrap_or(0);
            let wanted = probability * f64::from(DRAWS);
            apart += (f64::from(count) - wanted).powi(2) / wanted;
            told += count;
        }
        assert!(DRAWS - told < 20, "{distribution}: {seen:?} are not expected");
        assert!(apart < 46.0, "{distribution}: chi-square {apart}");
    }

    #[test]
    fn discrete_values_are_drawn_as_often_as_they_should_be() {
        let even = |values: Vec<Value>| {
            let share = 1.0 / values.len() as f64;
            values.into_iter().map(|value| (value, share)).collect::<Vec<_>>()
        };
        let list = vec![json!(1), json!("a"), json!(null)];
        assert_drawn_with(&Categorical(list.clone()), &even(list));
        let weights = vec![(json!("a"), 0.7), (json!("b"), 0.2), (json!("c"), 0.1)];
        assert_drawn_with(&Weighted(weights.clone()), &weights);
        assert_drawn_with(&IntUniform { min: -1, max: 3 }, &even((-1..=3).map(Value::from).collect()));
        // Rounding gives each end half the probability of an inner value.
        let ends =
            [(json!(0.0), 0.125), (json!(0.5), 0.25), (json!(1.0), 0.25), (json!(1.5), 0.25), (json!(2.0), 0.125)];
        assert_drawn_with(&number(Curve::Uniform { min: 0.0, max: 2.0 }, 0.5), &ends);
        // Numbers from 1 to 1.5 round to 1, and numbers from 7.5 to 8 round to 8. The whole range is three doublings.
        let doublings = |from: f64, to: f64| (to / from).log2() / 3.0;
        let whole: Vec<_> = (1..=8)
            .map(|n| (json!(n), doublings((f64::from(n) - 0.5).max(1.0), (f64::from(n) + 0.5).min(8.0))))
            .collect();
        assert_drawn_with(&number(Curve::LogUniform { min: 1.0, max: 8.0 }, 1.0), &whole);
        // Within half a standard deviation of the mean: 0.38292. From there to one and a half: 0.24173. Then to two and
        // a half.
        let normal = [
            (json!(0), 0.382_925),
            (json!(1), 0.241_730),
            (json!(-1), 0.241_730),
            (json!(2), 0.060_598),
            (json!(-2), 0.060_598),
            (json!(3), 0.005_977),
            (json!(-3), 0.005_977),
        ];
        assert_drawn_with(&number(Curve::Normal { mu: 0.0, sigma: 1.0 }, 1.0), &normal);
        assert_drawn_with(
            &number(Curve::Beta { a: 1.0, b: 1.0 }, 0.5),
            &[(json!(0.0), 0.25), (json!(0.5), 0.5), (json!(1.0), 0.25)],
        );
        // ln 1.5 / 0.5 and ln 2.5 / 0.5 standard deviations from the mean of the logarithm.
        let log_normal = [0.082_829, 0.708_469, 0.175_270, 0.027_319, 0.004_799, 0.000_989];
        let log_normal: Vec<_> = log_normal.into_iter().enumerate().map(|(at, share)| (json!(at), share)).collect();
        assert_drawn_with(&number(Curve::LogNormal { mu: 0.0, sigma: 0.5 }, 1.0), &log_normal);
    }
}
