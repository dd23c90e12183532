//! What each level of each setting adds, the other settings held equal: weighted least squares on an additive model.
//!
//! An observation is a point of the search, its repeats taken together and weighed by their number. The intervals come
//! from what the model leaves over (interactions and chance alike), or from that and the spread of the repeats together
//! where it is larger: repeats alone would make points that differ beyond the model look like chance.

use nalgebra::{DMatrix, DVector};

use super::Factor;
use crate::ranking::Spread;
use crate::ties::students_t;

/// A value, and how far the truth may lie off it either way (95 %).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Half the interval's width; `None` where there are too few observations.
    pub margin: Option<f64>,
}

impl Estimate {
    /// Whether it is no chance.
    pub fn is_clear(&self) -> bool {
        self.margin.is_some_and(|margin| margin < self.value.abs())
    }

    /// What to say behind it.
    pub fn caveat(&self) -> &'static str {
        if self.is_clear() { "" } else { ", which may be chance" }
    }
}

/// How far repeats lie off the mean of their point.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Repeats {
    /// The sum of the squared distances.
    pub squares: f64,
    /// Trials less points.
    pub freedom: f64,
}

impl Repeats {
    /// Of points of so many trials each.
    pub fn new<'s>(points: impl IntoIterator<Item = (&'s Spread, usize)>) -> Repeats {
        points.into_iter().fold(Repeats::default(), |sum, (spread, trials)| {
            let freedom = trials as f64 - 1.0;
            let squares = spread.deviation.unwrap_or(0.0).powi(2) * freedom;
            Repeats { squares: sum.squares + squares, freedom: sum.freedom + freedom }
        })
    }
}

/// A fitted model.
#[derive(Debug)]
pub struct Additive {
    mean: f64,
    coefficients: DVector<f64>,
    covariance: DMatrix<f64>,
    gram: DMatrix<f64>,
    /// Their standard deviation, and its degrees of freedom; `None` where none are left.
    error: Option<(f64, f64)>,
    /// Where each factor's levels begin among the coefficients, and their shares of the weight.
    blocks: Vec<(usize, Vec<f64>)>,
}

impl Additive {
    /// Fits `values` with `weights`, one each for every observation of the factors. `None` without observations.
    pub fn fit(factors: &[Factor], values: &[f64], weights: &[f64], repeats: Repeats) -> Option<Additive> {
        let total: f64 = weights.iter().sum();
        if values.is_empty() || total <= 0.0 {
            return None;
        }
        let mut columns = 1;
        let mut blocks = Vec::new();
        for factor in factors {
            let mut shares = vec![0.0; factor.levels.len()];
            factor.of.iter().zip(weights).for_each(|(level, weight)| shares[*level] += weight / total);
            blocks.push((columns, shares));
            columns += factor.levels.len();
        }
        let mut gram = DMatrix::<f64>::zeros(columns, columns);
        let mut right = DVector::<f64>::zeros(columns);
        let row = |at: usize| {
            let levels = factors.iter().zip(&blocks).map(move |(factor, (start, _))| start + factor.of[at]);
            std::iter::once(0).chain(levels).collect::<Vec<usize>>()
        };
        for (at, (value, weight)) in values.iter().zip(weights).enumerate() {
            let row = row(at);
            for &i in &row {
                right[i] += weight * value;
                row.iter().for_each(|&j| gram[(i, j)] += weight);
            }
        }
        let covariance = gram.clone().pseudo_inverse(1e-9 * total).ok()?;
        let coefficients = &covariance * right;
        let rank = (&gram * &covariance).trace().round();
        let fitted = |at: usize| row(at).iter().map(|&column| coefficients[column]).sum::<f64>();
        let left: f64 = (0..values.len()).map(|at| weights[at] * (values[at] - fitted(at)).powi(2)).sum();
        let freedom = values.len() as f64 - rank;
        let pooled = (left + repeats.squares, freedom + repeats.freedom);
        let variance = |(squares, freedom): (f64, f64)| (freedom >= 1.0).then(|| (squares / freedom, freedom));
        let of_model = variance((left, freedom)).filter(|own| variance(pooled).is_none_or(|pooled| own.0 > pooled.0));
        let error = of_model.or_else(|| variance(pooled)).map(|(variance, freedom)| (variance.sqrt(), freedom));
        let mean = values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>() / total;
        Some(Additive { mean, coefficients, covariance, gram, error, blocks })
    }

    /// The value at a level, the other settings as they are on average; `None` where it never varied by itself.
    pub fn level(&self, factor: usize, level: usize) -> Option<Estimate> {
        let (start, shares) = &self.blocks[factor];
        let mut contrast = DVector::zeros(self.coefficients.len());
        shares.iter().enumerate().for_each(|(at, share)| contrast[start + at] -= share);
        contrast[start + level] += 1.0;
        let Estimate { value, margin } = self.contrast(&contrast)?;
        Some(Estimate { value: self.mean + value, margin })
    }

    /// The value at one level less that at another.
    pub fn difference(&self, factor: usize, level: usize, other: usize) -> Option<Estimate> {
        let (start, _) = &self.blocks[factor];
        let mut contrast = DVector::zeros(self.coefficients.len());
        contrast[start + level] += 1.0;
        contrast[start + other] -= 1.0;
        self.contrast(&contrast)
    }

    fn contrast(&self, contrast: &DVector<f64>) -> Option<Estimate> {
        let reached = &self.gram * (&self.covariance * contrast);
        if (reached - contrast).amax() > 1e-6 {
            return None;
        }
        let variance = contrast.dot(&(&self.covariance * contrast)).max(0.0);
        Some(Estimate {
            value: contrast.dot(&self.coefficients),
            margin: self.error.map(|(error, freedom)| students_t(freedom, 1) * error * variance.sqrt()),
        })
    }

    /// An estimate that was chosen of so many as the best one: what is best of many is so by chance more often.
    pub fn best_of(&self, many: usize, estimate: Estimate) -> Estimate {
        let wider = self.error.map(|(_, freedom)| students_t(freedom, many.max(1)) / students_t(freedom, 1));
        Estimate { margin: estimate.margin.zip(wider).map(|(margin, wider)| margin * wider), ..estimate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(of: Vec<usize>) -> Factor {
        let levels = (0..=*of.iter().max().expect("not empty")).map(|level| level.to_string()).collect();
        Factor { name: "f".into(), levels, ordered: true, exact: true, of }
    }

    #[test]
    fn an_unbalanced_design_does_not_mix_two_settings() {
        // `a` adds 1 and `b` adds 10, and they mostly go together.
        let (a, b) = (vec![0, 0, 0, 1, 1, 1, 1, 0], vec![0, 0, 0, 1, 1, 1, 0, 1]);
        let noise = [0.01, -0.01, 0.0, 0.01, -0.01, 0.0, 0.005, -0.005];
        let values: Vec<f64> = (0..8).map(|at| a[at] as f64 + 10.0 * b[at] as f64 + noise[at]).collect();
        let model =
            Additive::fit(&[factor(a), factor(b)], &values, &[1.0; 8], Repeats::default()).expect("there are values");
        let difference = model.difference(0, 1, 0).expect("it varied");
        let margin = difference.margin.expect("there are enough");
        assert!((difference.value - 1.0).abs() < margin && margin < 0.05, "{difference:?}");
    }

    #[test]
    fn settings_that_only_moved_together_cannot_be_told_apart() {
        let of = vec![0, 1, 0, 1];
        let model =
            Additive::fit(&[factor(of.clone()), factor(of)], &[0.0, 1.0, 0.1, 1.1], &[1.0; 4], Repeats::default())
                .expect("values");
        assert_eq!(model.level(0, 1), None);
    }

    #[test]
    fn repeats_taken_together_tell_as_much_as_every_trial_by_itself() {
        let trials = [(0, [1.0, 1.3, 1.1]), (1, [2.0, 2.2, 2.4]), (2, [2.9, 3.3, 3.0])];
        let each =
            |of: &dyn Fn(usize, &[f64; 3]) -> Vec<f64>| trials.iter().flat_map(|(at, all)| of(*at, all)).collect();
        let all: Vec<f64> = each(&|_, all| all.to_vec());
        let of: Vec<usize> = (0..9).map(|at| at / 3).collect();
        let expected = Additive::fit(&[factor(of)], &all, &[1.0; 9], Repeats::default()).expect("values");
        let means: Vec<f64> = each(&|_, all| vec![all.iter().sum::<f64>() / 3.0]);
        let spread = |(_, all): &(usize, [f64; 3])| Spread::new(all).expect("values");
        let spreads: Vec<Spread> = trials.iter().map(spread).collect();
        let repeats = Repeats::new(spreads.iter().map(|spread| (spread, 3)));
        let model = Additive::fit(&[factor(vec![0, 1, 2])], &means, &[3.0; 3], repeats).expect("values");
        let (is, should) = (model.difference(0, 2, 0).expect("varied"), expected.difference(0, 2, 0).expect("varied"));
        assert!((is.value - should.value).abs() < 1e-9, "{is:?} {should:?}");
        assert!(
            (is.margin.expect("repeats tell") - should.margin.expect("trials tell")).abs() < 1e-9,
            "{is:?} {should:?}"
        );
    }

    #[test]
    fn points_that_differ_beyond_the_model_are_not_told_apart_by_their_repeats() {
        // An interaction alone: no setting does anything by itself.
        let (a, b) = (vec![0, 0, 1, 1], vec![0, 1, 0, 1]);
        let values = [1.0, 1.3, 1.31, 1.0];
        let repeats = Repeats { squares: 8.0 * 0.01_f64.powi(2), freedom: 8.0 };
        let model = Additive::fit(&[factor(a), factor(b)], &values, &[3.0; 4], repeats).expect("values");
        let difference = model.difference(0, 1, 0).expect("it varied");
        assert!(!difference.is_clear() && difference.value.abs() < 0.01, "{difference:?}");
        let chosen = model.best_of(10, difference);
        assert!(chosen.margin > difference.margin && chosen.value == difference.value);
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        use rand::{RngExt, SeedableRng};
        let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let covered = (0..400).filter(|_| {
            let of: Vec<usize> = (0..24).map(|at| at % 3).collect();
            let noise =
                |chance: &mut rand_chacha::ChaCha8Rng| (0..12).map(|_| chance.random::<f64>() - 0.5).sum::<f64>();
            let values: Vec<f64> = of.iter().map(|level| *level as f64 + noise(&mut chance)).collect();
            let model = Additive::fit(&[factor(of)], &values, &[1.0; 24], Repeats::default()).expect("values");
            let Estimate { value, margin } = model.difference(0, 2, 0).expect("it varied");
            (value - 2.0).abs() <= margin.expect("enough")
        });
        let share = covered.count() as f64 / 400.0;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
