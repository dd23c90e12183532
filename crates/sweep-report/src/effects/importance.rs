//! The share of the variance that each parameter explains, alone and in pairs. The method is fANOVA on a random forest
//! (Hutter, Hoos and Leyton-Brown, ICML 2014), implemented by the crate `fanova`.

use fanova::{FanovaOptions, RandomForestOptions};

use super::Factor;

/// Minimum number of observations for a forest.
const LEAST: usize = 8;
/// Maximum number of observations, evenly chosen. More do not improve the result.
const MOST: usize = 1000;
/// Interactions are computed among this many of the most important parameters.
const PAIRED: usize = 5;
/// Seed of the forest, fixed so that the same numbers give the same result.
const SEED: u64 = 1;

/// Shares of the variance, from 0 to 1.
#[derive(Debug, Default)]
pub struct Importance {
    /// The share of each factor alone.
    pub alone: Vec<f64>,
    /// The share of each pair beyond the shares of its two factors, largest first.
    pub pairs: Vec<((usize, usize), f64)>,
}

impl Importance {
    /// Computes the shares. Returns `None` if there are too few observations or all values are equal.
    pub fn new(factors: &[Factor], values: &[f64]) -> Option<Importance> {
        let count = values.len();
        if factors.is_empty() || count < LEAST || values.iter().all(|value| *value == values[0]) {
            return None;
        }
        let chosen: Vec<usize> = (0..count.min(MOST)).map(|n| n * count / count.min(MOST)).collect();
        let columns: Vec<Vec<f64>> =
            factors.iter().map(|factor| chosen.iter().map(|&at| factor.of[at] as f64).collect()).collect();
        let target: Vec<f64> = chosen.iter().map(|&at| values[at]).collect();
        let columns = columns.iter().map(Vec::as_slice).collect();
        let forest = RandomForestOptions::new().seed(SEED);
        let mut forest = FanovaOptions::new().random_forest(forest).fit(columns, &target).ok()?;
        let mut share =
            |of: &[usize]| Some(forest.quantify_importance(of).mean).filter(|x| x.is_finite()).unwrap_or(0.0);
        let alone: Vec<f64> = (0..factors.len()).map(|factor| share(&[factor])).collect();
        let mut order: Vec<usize> = (0..factors.len()).collect();
        order.sort_by(|&a, &b| alone[b].total_cmp(&alone[a]));
        order.truncate(PAIRED);
        order.sort_unstable();
        let mut pairs = Vec::new();
        for (at, &a) in order.iter().enumerate() {
            pairs.extend(order[at + 1..].iter().map(|&b| ((a, b), share(&[a, b]))));
        }
        pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
        Some(Importance { alone, pairs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(count: usize, step: usize) -> Factor {
        let of = (0..108).map(|at| at / step % count).collect();
        Factor { name: "f".into(), levels: vec![String::new(); count], ordered: true, exact: true, of }
    }

    #[test]
    fn what_matters_is_told_from_what_does_not_and_pairs_from_their_parts() {
        let factors = [factor(3, 1), factor(3, 3), factor(3, 9), factor(4, 27)];
        let value = |at: usize| {
            let [a, b, c, _] = [0, 1, 2, 3].map(|f: usize| factors[f].of[at] as f64);
            3.0 * a + 2.0 * (b - 1.0) * (c - 1.0)
        };
        let values: Vec<f64> = (0..108).map(value).collect();
        let found = Importance::new(&factors, &values).expect("there are enough");
        assert!(found.alone[0] > 0.5 && found.alone[3] < 0.05, "{found:?}");
        assert_eq!(found.pairs[0].0, (1, 2), "{found:?}");
    }

    #[test]
    fn without_differences_nothing_is_important() {
        assert!(Importance::new(&[factor(3, 1)], &[1.0; 108]).is_none());
    }
}
