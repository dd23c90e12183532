//! One quantity and the effects of the parameters on it. Pure.

use super::{Additive, Estimate, Factor, Importance, Repeats};
use crate::format;
use crate::ranking::Spread;
use sweep_core::trial::Goal;

/// Values are clipped at this many interquartile ranges beyond the quartile on the bad side. Otherwise a loss that
/// explodes would hide all other effects.
const FENCE: f64 = 3.0;
/// Minimum ratio of the largest to the smallest value for a logarithmic analysis.
const DECADES: f64 = 100.0;
/// Maximum number of levels in the model, as a share of the observations.
const FITTED: f64 = 0.6;
/// Minimum share of the variance for a parameter to count as important.
const DRIVES: f64 = 0.05;

/// A quantity measured for every configuration, and the effects of the parameters on it.
#[derive(Debug)]
pub struct Target {
    /// The metric's name: `val_loss`, `loss_gap`, …
    pub name: String,
    /// The name for sentences: `validation loss`, `loss gap`.
    pub words: String,
    /// Whether lower or higher values are better.
    pub goal: Goal,
    /// One value per configuration. Values that are far out are capped.
    pub values: Vec<f64>,
    /// Which of them are capped.
    pub capped: Vec<bool>,
    /// Whether the model is of the logarithm, because the values span decades.
    pub log: bool,
    /// Number of trials of these configurations.
    pub trials: usize,
    /// The effects of the levels.
    pub model: Option<Additive>,
    /// The share that each parameter explains, or `None` if there are too few configurations.
    pub importance: Option<Importance>,
}

impl Target {
    /// Fits the effects of the factors. There is one value per observation, with its number of trials. Returns `None`
    /// without observations.
    pub fn new(
        (name, words, goal): (&str, &str, Goal),
        factors: &[Factor],
        spreads: &[Spread],
        trials: &[usize],
    ) -> Option<Target> {
        if spreads.is_empty() {
            return None;
        }
        let means: Vec<f64> = spreads.iter().map(|spread| spread.mean).collect();
        let log = spans_decades(&means);
        let scaled = if log { means.iter().map(|mean| mean.log10()).collect() } else { means };
        let fenced = fenced(scaled.clone(), goal);
        let weights: Vec<f64> = trials.iter().map(|count| *count as f64).collect();
        // A configuration with a capped value gives no information about the spread between seeds.
        let sound: Vec<bool> = scaled.iter().zip(&fenced).map(|(mean, value)| mean == value).collect();
        let points = spreads.iter().zip(trials.iter().copied()).zip(&sound).filter(|(_, sound)| **sound);
        let repeats = if log { Repeats::default() } else { Repeats::new(points.map(|(point, _)| point)) };
        let importance = Importance::new(factors, &fenced);
        Some(Target {
            name: name.to_owned(),
            words: words.to_owned(),
            goal,
            capped: sound.iter().map(|sound| !sound).collect(),
            log,
            trials: trials.iter().sum(),
            model: Additive::fit_only(
                &used(factors, importance.as_ref(), fenced.len()),
                factors,
                &fenced,
                &weights,
                repeats,
            ),
            importance,
            values: if log { fenced.iter().map(|value| 10_f64.powf(*value)).collect() } else { fenced },
        })
    }

    /// The values in the model's units.
    pub fn scaled(&self) -> Vec<f64> {
        match self.log {
            true => self.values.iter().map(|value| value.log10()).collect(),
            false => self.values.clone(),
        }
    }

    /// Sentences on the most important parameters, most important first. Without importances, they cover the parameters
    /// with a clear effect. If no effect is clear, there is one sentence that says so.
    pub fn drivers(&self, factors: &[Factor]) -> Vec<String> {
        let mut order: Vec<usize> = (0..factors.len()).collect();
        if let Some(importance) = &self.importance {
            order.retain(|at| importance.alone[*at] >= DRIVES);
            order.sort_by(|&a, &b| importance.alone[b].total_cmp(&importance.alone[a]));
        }
        let proven = |driver: &Driver| self.importance.is_some() || driver.difference.is_clear();
        let extremes = |at| self.extremes(factors, at);
        let drivers: Vec<Driver> = order.into_iter().filter_map(extremes).filter(proven).take(3).collect();
        if !drivers.is_empty() && drivers.iter().all(|driver| !driver.difference.is_clear()) {
            return vec![self.nothing_proven(factors, &drivers)];
        }
        drivers.iter().map(|driver| self.driver(factors, driver)).collect()
    }

    /// Whether the difference between the best and the worst level of a parameter is more than chance.
    pub fn is_proven(&self, factors: &[Factor], at: usize) -> bool {
        self.extremes(factors, at).is_some_and(|driver| driver.difference.is_clear())
    }

    /// The best and the worst level of a parameter.
    fn extremes(&self, factors: &[Factor], at: usize) -> Option<Driver> {
        let model = self.model.as_ref()?;
        // Where a condition leaves a parameter out, only its values are compared with each other.
        let set = (0..factors[at].levels.len()).filter(|level| !factors[at].is_absent(*level));
        let levels = set.filter_map(|level| Some((level, model.level(at, level)?.value)));
        let low = levels.clone().min_by(|a, b| a.1.total_cmp(&b.1))?.0;
        let high = levels.max_by(|a, b| a.1.total_cmp(&b.1))?.0;
        let (best, worst) = if self.goal == Goal::Minimize { (low, high) } else { (high, low) };
        if best == worst {
            return None;
        }
        let pairs = factors[at].levels.len() * (factors[at].levels.len() - 1) / 2;
        let difference = model.best_of(pairs, model.difference(at, best, worst)?);
        Some(Driver { factor: at, best, worst, difference })
    }

    /// The sentence on one parameter. It says first whether an effect is proven.
    fn driver(&self, factors: &[Factor], driver: &Driver) -> String {
        let Driver { factor, best, worst, difference } = *driver;
        let Factor { name, levels, .. } = &factors[factor];
        let (best, worst, words) = (&format::cut(&levels[best]), &format::cut(&levels[worst]), &self.words);
        let share = self.importance.as_ref().map(|known| known.alone[factor]);
        if !difference.is_clear() {
            let range = self.range([best, worst], "it", difference);
            return format!("{name}: no effect on {words} is proven ({range}).");
        }
        let explains =
            share.map_or(String::new(), |share| format!(" It explains {:.0}% of the differences.", share * 100.0));
        let (way, by) = (self.way(difference), self.size(difference));
        format!("{name}: {words} is {way} with {best} than with {worst}, by {by}, all else equal.{explains}")
    }

    /// The sentence if no parameter has a clear effect. It names the one whose interval comes closest to excluding 0.
    fn nothing_proven(&self, factors: &[Factor], drivers: &[Driver]) -> String {
        let trials = format::trials(self.trials);
        let nothing = format!("No parameter makes a difference to {} that {trials} can prove.", self.words);
        let ratio = |driver: &&Driver| driver.difference.margin.map(|margin| margin / driver.difference.value.abs());
        let closest = drivers.iter().filter(|driver| driver.difference.margin.is_some());
        let closest = closest.min_by(|a, b| ratio(a).unwrap_or(f64::MAX).total_cmp(&ratio(b).unwrap_or(f64::MAX)));
        let Some(Driver { factor, best, worst, difference }) = closest else { return nothing };
        let Factor { name, levels, .. } = &factors[*factor];
        let range = self.range([&format::cut(&levels[*best]), &format::cut(&levels[*worst])], "it", *difference);
        format!("{nothing} {name} comes closest ({range}).")
    }

    /// The value at which values are capped: the worst that is left.
    pub fn cap(&self) -> Option<f64> {
        let worse = |a: f64, b: f64| if self.goal.better(a, b) { b } else { a };
        self.values.iter().copied().reduce(worse).filter(|_| self.capped.contains(&true))
    }

    /// The value that a number of the model stands for.
    pub fn natural(&self, value: f64) -> f64 {
        if self.log { 10_f64.powf(value) } else { value }
    }

    /// The direction of a difference.
    pub fn way(&self, difference: Estimate) -> &'static str {
        if difference.value < 0.0 { "lower" } else { "higher" }
    }

    /// The size of a difference without its sign, with its 95% interval: `0.42 (95% interval 0.37 to 0.47)`. Differences
    /// of accuracies are in points.
    pub fn size(&self, Estimate { value, margin }: Estimate) -> String {
        if self.log {
            let factor = |exponent: f64| format::significant(10_f64.powf(exponent), 2);
            let value = value.abs();
            return match margin {
                Some(margin) => {
                    let [low, high] = [value - margin, value + margin].map(factor);
                    format!("a factor of {} (95% interval {low} to {high})", factor(value))
                }
                None => format!("a factor of {}", factor(value)),
            };
        }
        let (value, number, unit) = (value.abs(), self.decimals(margin, value), self.unit());
        match margin {
            Some(margin) => {
                let [low, high] = [value - margin, value + margin].map(&number);
                format!("{}{unit} (95% interval {low} to {high})", number(value))
            }
            None => number(value) + unit,
        }
    }

    /// What is known about a difference that may be chance: `0.3 instead of 0.6 changes it by −0.06 to 0.35 (95%
    /// interval)`. It leaves out the estimate itself, which means nothing if the interval includes 0. `it` is the metric.
    pub fn range(&self, [to, from]: [&str; 2], it: &str, Estimate { value, margin }: Estimate) -> String {
        let Some(margin) = margin else {
            return format!("there are too few trials to estimate the effect of {to} instead of {from}");
        };
        if self.log {
            let [low, high] =
                [value - margin, value + margin].map(|exponent| format::significant(10_f64.powf(exponent), 2));
            return format!("{to} instead of {from} multiplies {it} by {low} to {high} (95% interval)");
        }
        let number = self.decimals(Some(margin), value);
        let [low, high] = [value - margin, value + margin].map(number);
        format!("{to} instead of {from} changes {it} by {low} to {high}{} (95% interval)", self.unit())
    }

    fn in_points(&self) -> bool {
        self.name.ends_with("accuracy") || self.name.ends_with("accuracy_gap")
    }

    fn unit(&self) -> &'static str {
        if self.in_points() { " points" } else { "" }
    }

    /// A function that formats a value with as many decimals as the margin, or else the value, has at two digits.
    fn decimals(&self, margin: Option<f64>, value: f64) -> impl Fn(f64) -> String + use<> {
        let scale = if self.in_points() { 100.0 } else { 1.0 };
        let decimals = |of: f64, digits: f64| digits - 1.0 - (of.abs() * scale).max(1e-12).log10().floor();
        // Two digits of the margin, but no more than four of the value, for a margin may be next to nothing.
        let shown = match margin.filter(|margin| *margin > 0.0) {
            Some(margin) => decimals(margin, 2.0).min(decimals(value.abs().max(margin), 4.0)),
            None => decimals(value, 2.0),
        };
        let decimals = shown.clamp(0.0, 9.0) as usize;
        move |value| format::number(value * scale, decimals).replace('-', "−")
    }
}

/// A parameter with the best and the worst of its levels, and the difference between them.
#[derive(Debug, Clone, Copy)]
struct Driver {
    factor: usize,
    best: usize,
    worst: usize,
    difference: Estimate,
}

/// The factors whose effects can be separated with this number of observations. If there are too many levels for that,
/// only the most important factors are used, and differences due to the others are treated as chance.
fn used(factors: &[Factor], importance: Option<&Importance>, observations: usize) -> Vec<bool> {
    let mut used = vec![true; factors.len()];
    let Some(importance) = importance else { return used };
    let mut order: Vec<usize> = (0..factors.len()).collect();
    order.sort_by(|&a, &b| importance.alone[b].total_cmp(&importance.alone[a]));
    let mut left = observations.saturating_sub(1) as f64 * FITTED;
    for at in order {
        left -= (factors[at].levels.len() - 1) as f64;
        used[at] = left >= 0.0;
    }
    used
}

/// Whether all values are positive and the largest is a hundred times the smallest.
fn spans_decades(values: &[f64]) -> bool {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    least > 0.0 && most >= DECADES * least
}

/// Clips values that are far out on the bad side and would hide everything else.
fn fenced(values: Vec<f64>, goal: Goal) -> Vec<f64> {
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let (low, high) = (at(0.25), at(0.75));
    let reach = FENCE * (high - low);
    if reach <= 0.0 {
        return values;
    }
    let into = |value: f64| match goal {
        Goal::Minimize => value.min(high + reach),
        Goal::Maximize => value.max(low - reach),
    };
    values.into_iter().map(into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_that_proves_nothing_is_said_to_and_its_estimate_is_not_printed() {
        let of = vec![0, 1, 0, 1, 0, 1, 0, 1];
        let levels = ["0.3", "0.6"].map(str::to_owned).to_vec();
        let factors = [Factor { name: "dropout".into(), levels, ordered: true, exact: true, of }];
        let values = vec![1.0, 1.5, 1.4, 1.1, 1.2, 1.6, 1.5, 1.3];
        let model = Additive::fit(&factors, &values, &[1.0; 8], Repeats::default());
        let importance = Some(Importance { alone: vec![0.4], pairs: Vec::new() });
        let words = "validation loss".to_owned();
        let target = Target {
            name: "val_loss".into(),
            words,
            goal: Goal::Minimize,
            values,
            capped: Vec::new(),
            log: false,
            trials: 12,
            model,
            importance,
        };
        let [said] = &target.drivers(&factors)[..] else { panic!("one sentence") };
        let start = "No parameter makes a difference to validation loss that 12 trials can prove. dropout comes closest \
                     (0.3 instead of 0.6 changes it by −";
        assert!(said.starts_with(start) && said.ends_with(" (95% interval))."), "{said}");
        assert!(!said.contains("40%"), "{said}");
    }

    #[test]
    fn a_margin_next_to_nothing_shows_four_digits_of_the_difference() {
        let target = Target {
            name: "val_loss".into(),
            words: "validation loss".to_owned(),
            goal: Goal::Minimize,
            values: Vec::new(),
            capped: Vec::new(),
            log: false,
            trials: 6,
            model: Additive::fit(&[], &[1.0, 2.0], &[1.0; 2], Repeats::default()),
            importance: None,
        };
        let said = target.size(Estimate { value: 0.146_190_476_2, margin: Some(1e-13) });
        assert_eq!(said, "0.1462 (95% interval 0.1462 to 0.1462)");
        let said = target.size(Estimate { value: 0.42, margin: Some(0.051) });
        assert_eq!(said, "0.420 (95% interval 0.369 to 0.471)");
    }

    #[test]
    fn an_exploded_loss_does_not_hide_the_rest() {
        let fenced = fenced(vec![1.0, 1.1, 1.2, 1.3, 1e9], Goal::Minimize);
        assert!(fenced[4] > 1.3 && fenced[4] < 3.0 && fenced[..4] == [1.0, 1.1, 1.2, 1.3], "{fenced:?}");
    }

    #[test]
    fn effects_on_values_that_span_decades_are_factors() {
        let of: Vec<usize> = (0..12).map(|at| at % 2).collect();
        let levels = ["a", "b"].map(str::to_owned).to_vec();
        let factors = [Factor { name: "f".into(), levels, ordered: false, exact: true, of }];
        let value = |at: i32| (if at % 2 == 0 { 0.01 } else { 10.0 }) * 1.01_f64.powi(at);
        let spreads: Vec<Spread> = (0..12).map(|at| Spread::new(&[value(at)]).expect("a value")).collect();
        let target = Target::new(("val_loss", "validation loss", Goal::Minimize), &factors, &spreads, &[1; 12]);
        let target = target.expect("there are values");
        assert!(target.log && !target.capped.contains(&true), "{target:?}");
        let said = target.drivers(&factors).remove(0);
        assert!(said.contains("lower with a than with b, by a factor of 10"), "{said}");
    }
}
