//! The effect of each level of each parameter with all other parameters held equal. The model is additive and fitted by
//! weighted least squares.
//!
//! An observation is a configuration. Its repeats are combined, and its weight is their number. The intervals come from
//! the model's residuals (interactions and chance alike), or from the residuals pooled with the spread of the repeats.
//! The larger of the two variances is used. With the repeats alone, a lack of fit of the model would look like a
//! significant effect.
//!
//! Where a condition leaves a parameter out, its effect is fitted around the mean of the configurations that have it. The
//! parameter of the condition therefore keeps an effect of its own.

use nalgebra::{DMatrix, DVector};

use super::Factor;
use crate::ranking::Spread;
use crate::ties::students_t;

/// A value with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimated value.
    pub value: f64,
    /// Half the width of the interval, or `None` if there are too few observations.
    pub margin: Option<f64>,
}

impl Estimate {
    /// Whether the interval excludes 0.
    pub fn is_clear(&self) -> bool {
        self.margin.is_some_and(|margin| margin < self.value.abs())
    }
}

/// The deviations of repeats from the mean of their configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Repeats {
    /// Sum of the squared deviations.
    pub squares: f64,
    /// Degrees of freedom: the number of trials minus the number of configurations.
    pub freedom: f64,
}

impl Repeats {
    /// Pools the deviations of configurations, each given with its number of trials.
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
    coefficients: DVector<f64>,
    covariance: DMatrix<f64>,
    gram: DMatrix<f64>,
    /// Standard deviation of the residuals and its degrees of freedom, or `None` if no degrees of freedom are left.
    error: Option<(f64, f64)>,
    /// The columns of each factor, or `None` for factors that the model leaves out.
    blocks: Vec<Option<Block>>,
}

/// The columns of one factor: one per level.
#[derive(Debug)]
struct Block {
    /// The first column.
    start: usize,
    /// The level of configurations without the parameter, which has no effect.
    absent: Option<usize>,
    /// The share of each level in the weight of the configurations that have the parameter.
    shares: Vec<f64>,
    /// Their weighted mean value.
    mean: f64,
}

impl Block {
    fn new(factor: &Factor, start: usize, values: &[f64], weights: &[f64]) -> Block {
        let absent = (0..factor.levels.len()).find(|level| factor.is_absent(*level));
        let mut shares = vec![0.0; factor.levels.len()];
        let (mut total, mut sum) = (0.0, 0.0);
        let set = factor.of.iter().zip(values.iter().zip(weights)).filter(|(level, _)| Some(**level) != absent);
        for (level, (value, weight)) in set {
            shares[*level] += weight;
            total += weight;
            sum += weight * value;
        }
        shares.iter_mut().for_each(|share| *share /= total);
        Block { start, absent, shares, mean: sum / total }
    }

    /// The entries of an observation at this level, as pairs of column and value.
    fn row(&self, level: usize) -> Vec<(usize, f64)> {
        match self.absent {
            None => vec![(self.start + level, 1.0)],
            Some(absent) if level == absent => Vec::new(),
            Some(_) => self.centered(level),
        }
    }

    /// The entries of a level less those of the mean over all levels.
    fn centered(&self, level: usize) -> Vec<(usize, f64)> {
        let entry = |(at, share): (usize, &f64)| (self.start + at, f64::from(u8::from(at == level)) - share);
        self.shares.iter().enumerate().map(entry).collect()
    }
}

impl Additive {
    /// Fits `values` with `weights`. Both have one entry per observation of the factors. Returns `None` without
    /// observations.
    pub fn fit(factors: &[Factor], values: &[f64], weights: &[f64], repeats: Repeats) -> Option<Additive> {
        Additive::fit_only(&vec![true; factors.len()], factors, values, weights, repeats)
    }

    /// Fits the effects of some of the factors, those for which `used` is true.
    pub fn fit_only(
        used: &[bool],
        factors: &[Factor],
        values: &[f64],
        weights: &[f64],
        repeats: Repeats,
    ) -> Option<Additive> {
        let total: f64 = weights.iter().sum();
        if values.is_empty() || total <= 0.0 {
            return None;
        }
        let mut columns = 1;
        let mut blocks = Vec::new();
        for (factor, used) in factors.iter().zip(used) {
            blocks.push(used.then(|| Block::new(factor, columns, values, weights)));
            columns += if *used { factor.levels.len() } else { 0 };
        }
        let mut gram = DMatrix::<f64>::zeros(columns, columns);
        let mut right = DVector::<f64>::zeros(columns);
        let row = |at: usize| {
            let blocks =
                factors.iter().zip(&blocks).filter_map(|(factor, block)| Some(block.as_ref()?.row(factor.of[at])));
            std::iter::once((0, 1.0)).chain(blocks.flatten()).collect::<Vec<(usize, f64)>>()
        };
        for (at, (value, weight)) in values.iter().zip(weights).enumerate() {
            let row = row(at);
            for &(i, x) in &row {
                right[i] += weight * value * x;
                row.iter().for_each(|&(j, y)| gram[(i, j)] += weight * x * y);
            }
        }
        let covariance = gram.clone().pseudo_inverse(1e-9 * total).ok()?;
        let coefficients = &covariance * right;
        let rank = (&gram * &covariance).trace().round();
        let fitted = |at: usize| row(at).iter().map(|&(column, x)| x * coefficients[column]).sum::<f64>();
        let left: f64 = (0..values.len()).map(|at| weights[at] * (values[at] - fitted(at)).powi(2)).sum();
        let freedom = values.len() as f64 - rank;
        let pooled = (left + repeats.squares, freedom + repeats.freedom);
        let variance = |(squares, freedom): (f64, f64)| (freedom >= 1.0).then(|| (squares / freedom, freedom));
        let of_model = variance((left, freedom)).filter(|own| variance(pooled).is_none_or(|pooled| own.0 > pooled.0));
        let error = of_model.or_else(|| variance(pooled)).map(|(variance, freedom)| (variance.sqrt(), freedom));
        Some(Additive { coefficients, covariance, gram, error, blocks })
    }

    /// Whether the model has the factor.
    pub fn has(&self, factor: usize) -> bool {
        self.blocks.get(factor).is_some_and(Option::is_some)
    }

    /// The value at a level, averaged over the other parameters. Returns `None` if the level's effect cannot be
    /// separated from those of other parameters.
    pub fn level(&self, factor: usize, level: usize) -> Option<Estimate> {
        let block = self.blocks[factor].as_ref().filter(|block| block.absent != Some(level))?;
        let Estimate { value, margin } = self.contrast(&block.centered(level))?;
        Some(Estimate { value: block.mean + value, margin })
    }

    /// The value at `level` minus the value at `other`.
    pub fn difference(&self, factor: usize, level: usize, other: usize) -> Option<Estimate> {
        let block = self.blocks[factor].as_ref()?;
        if block.absent.is_some_and(|absent| absent == level || absent == other) {
            return None;
        }
        let other = block.centered(other).into_iter().map(|(column, x)| (column, -x));
        self.contrast(&block.centered(level).into_iter().chain(other).collect::<Vec<_>>())
    }

    fn contrast(&self, entries: &[(usize, f64)]) -> Option<Estimate> {
        let mut contrast = DVector::zeros(self.coefficients.len());
        entries.iter().for_each(|(column, x)| contrast[*column] += x);
        let reached = &self.gram * (&self.covariance * &contrast);
        if (reached - &contrast).amax() > 1e-6 {
            return None;
        }
        let variance = contrast.dot(&(&self.covariance * &contrast)).max(0.0);
        Some(Estimate {
            value: contrast.dot(&self.coefficients),
            margin: self.error.map(|(error, freedom)| students_t(freedom, 1) * error * variance.sqrt()),
        })
    }

    /// Widens the interval of an estimate that was chosen as the best of `many`. The best of many is more often the
    /// best by chance.
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
        // `a` adds 1 and `b` adds 10, and they mostly vary together.
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
    fn a_conditional_parameter_has_its_effect_within_its_condition_and_the_condition_keeps_its_own() {
        // `sgd` adds 2 to `adam`, and its momentum 0.9 takes 1 from that of 0.5.
        let momentum = Factor { levels: ["0.5", "0.9", "not set"].map(str::to_owned).to_vec(), ..factor(vec![2; 8]) };
        let momentum = Factor { of: vec![2, 2, 2, 2, 0, 1, 0, 1], ..momentum };
        let optimizer = factor(vec![0, 0, 0, 0, 1, 1, 1, 1]);
        let noise = [0.01, -0.01, 0.0, 0.0, 0.01, -0.01, -0.01, 0.01];
        let values: Vec<f64> = (0..8).map(|at| [1.0, 1.0, 1.0, 1.0, 3.5, 2.5, 3.5, 2.5][at] + noise[at]).collect();
        let model = Additive::fit(&[optimizer, momentum], &values, &[1.0; 8], Repeats::default()).expect("values");
        let [optimizer, momentum] = [0, 1].map(|factor| model.difference(factor, 1, 0).expect("it varied"));
        assert!((optimizer.value - 2.0).abs() < 0.02 && optimizer.is_clear(), "{optimizer:?}");
        assert!((momentum.value + 1.0).abs() < 0.03 && momentum.is_clear(), "{momentum:?}");
        assert!(model.level(1, 1).is_some_and(|level| (level.value - 2.5).abs() < 0.02));
        assert_eq!((model.level(1, 2), model.difference(1, 0, 2)), (None, None), "an absent parameter has no value");
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
        // A pure interaction: no parameter has an effect by itself.
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
