//! The effect of each parameter on the sweep's metric and on the generalization gap, and the interactions of
//! parameters. Pure.

mod additive;
mod factor;
mod importance;
mod pair;

pub use additive::{Additive, Estimate, Repeats};
pub use factor::Factor;
pub use importance::Importance;
pub use pair::Pair;

use serde_json::Value;

use super::charts::HIGHLIGHTS;
use super::ranking::{Group, Ranking, Spread};
use super::words;
use sweep_core::trial::{Goal, Settings};
use sweep_spec::Spec;

/// Maximum number of interactions shown.
const PAIRS: usize = 2;
/// Values are clipped at this many interquartile ranges beyond the quartile on the bad side. Otherwise a loss that
/// explodes would hide all other effects.
const FENCE: f64 = 3.0;
/// Minimum ratio of the largest to the smallest value for a logarithmic analysis.
const DECADES: f64 = 100.0;
/// Minimum share of the variance for a parameter to count as important.
const DRIVES: f64 = 0.05;
/// An integer range with at most this many values is treated as a list.
const LISTED: u64 = 8;
/// Maximum number of untried combinations that are named.
const UNTRIED: usize = 6;

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
    /// Number of capped values.
    pub capped: usize,
    /// Whether the model is of the logarithm, because the values span decades.
    pub log: bool,
    /// Number of trials of these configurations.
    pub trials: usize,
    /// The effects of the levels.
    pub model: Option<Additive>,
    /// The share that each parameter explains, or `None` if there are too few configurations.
    pub importance: Option<Importance>,
}

/// The parameters that varied, and their effects.
#[derive(Debug)]
pub struct Effects {
    /// The factors, in the order of the sweep file.
    pub factors: Vec<Factor>,
    /// The effects on the sweep's metric.
    pub metric: Target,
    /// The effects on the gap between training and validation.
    pub gap: Option<Target>,
    /// The strongest interactions in the metric.
    pub pairs: Vec<Pair>,
    /// The parameters whose best value is the smallest or the largest tried.
    pub edges: Vec<Edge>,
    /// Combinations that the file allows and no trial had, as text.
    pub untried: Vec<String>,
    /// Number of configurations that the analysis of the gap leaves out.
    pub left_out: usize,
    /// The place among the five best trials of each configuration's best trial, from 0.
    pub ranks: Vec<Option<usize>>,
    /// Number of configurations that every analysis leaves out, because their results mean nothing.
    pub broken: usize,
    /// Parameters whose texts are too many to compare.
    pub too_many: Vec<String>,
}

/// A parameter whose best value is the smallest or the largest tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// The parameter's name.
    pub setting: String,
    /// The best value.
    pub value: f64,
    /// Whether it is the largest value rather than the smallest.
    pub upper: bool,
}

impl Effects {
    /// Computes the effects of the parameters. Returns `None` if no parameter varied between configurations that `sound`
    /// accepts. The gap is analyzed only for those that `whole` accepts too. `tried` are the parameters of all trials.
    pub fn new(
        spec: &Spec,
        groups: &[Group],
        ranking: &Ranking,
        tried: &[&Settings],
        names: &[String],
        (sound, whole): (impl Fn(&Group) -> bool, impl Fn(&Group) -> bool),
    ) -> Option<Effects> {
        let all_groups = groups.len();
        let groups: Vec<&Group> = groups.iter().filter(|group| sound(group)).collect();
        let points: Vec<&Settings> = groups.iter().map(|group| group.settings).collect();
        let drawn = |name: &str| {
            let parameter = spec.space.parameters.iter().find(|parameter| parameter.name == name);
            parameter.is_some_and(|parameter| parameter.distribution.count().is_none_or(|count| count > LISTED))
        };
        let factors: Vec<Factor> = names.iter().filter_map(|name| Factor::new(name, &points, drawn(name))).collect();
        if factors.is_empty() {
            return None;
        }
        let trials: Vec<usize> = groups.iter().map(|group| group.trials.len()).collect();
        let all: Vec<usize> = (0..groups.len()).collect();
        let kept: Vec<usize> = all.iter().copied().filter(|at| whole(groups[*at])).collect();
        let target = |name: &str, words: &str, goal, kept: &[usize], of: &dyn Fn(&Group) -> Option<Spread>| {
            if kept.is_empty() {
                return None;
            }
            let spreads: Vec<Spread> = kept.iter().map(|at| of(groups[*at])).collect::<Option<_>>()?;
            let means: Vec<f64> = spreads.iter().map(|spread| spread.mean).collect();
            let log = spans_decades(&means);
            let scaled = if log { means.iter().map(|mean| mean.log10()).collect() } else { means.clone() };
            let fenced = fenced(scaled.clone(), goal);
            let trials: Vec<usize> = kept.iter().map(|at| trials[*at]).collect();
            let seen = trials.iter().sum();
            let weights: Vec<f64> = trials.iter().map(|count| *count as f64).collect();
            // A configuration with a clipped value gives no information about the spread between seeds.
            let sound = scaled.iter().zip(&fenced).map(|(mean, value)| mean == value);
            let capped = sound.clone().filter(|sound| !sound).count();
            let sound = spreads.iter().zip(trials).zip(sound).filter(|(_, sound)| *sound);
            let repeats = if log { Repeats::default() } else { Repeats::new(sound.map(|(point, _)| point)) };
            let factors: Vec<Factor> = factors.iter().map(|factor| factor.only(kept)).collect();
            let model = Additive::fit(&factors, &fenced, &weights, repeats);
            let importance = Importance::new(&factors, &fenced);
            let values = if log { fenced.iter().map(|value| 10_f64.powf(*value)).collect() } else { fenced };
            Some(Target {
                name: name.to_owned(),
                words: words.to_owned(),
                goal,
                values,
                capped,
                log,
                trials: seen,
                model,
                importance,
            })
        };
        let metric = &spec.metric;
        let of_metric = target(&metric.name, words::metric(metric), metric.goal, &all, &|group| Some(group.metric))?;
        let loss_gap = || target("loss_gap", "loss gap", Goal::Minimize, &kept, &|group| group.loss_gap);
        let gap = target("accuracy_gap", "accuracy gap", Goal::Minimize, &kept, &|group| group.accuracy_gap);
        let gap = if metric.name.ends_with("_accuracy") { gap } else { loss_gap().or(gap) };
        let found = of_metric.importance.as_ref().map_or(&[][..], |importance| &importance.pairs);
        let scaled: Vec<f64> = match of_metric.log {
            true => of_metric.values.iter().map(|value| value.log10()).collect(),
            false => of_metric.values.clone(),
        };
        let pair = |((a, b), share): &((usize, usize), f64)| Pair::new(&factors, (*a, *b), *share, &scaled, &trials);
        let pairs = found.iter().take(PAIRS).map(pair).collect();
        let untried = untried(spec, &factors, &of_metric.values, &trials);
        let ties = |group: &&&Group| Some(group.metric.mean) == groups.first().map(|best| best.metric.mean);
        let best: Vec<&Settings> = groups.iter().take_while(ties).map(|group| group.settings).collect();
        let edges = edges(tried, &best, names);
        let too_many = names.iter().filter(|name| Factor::has_too_many(name, &points)).cloned().collect();
        let left_out = if gap.is_some() { groups.len() - kept.len() } else { 0 };
        let first = || ranking.placed.iter().take(HIGHLIGHTS.len()).map(|place| place.trial.id);
        let ranks = groups.iter().map(|group| first().position(|id| group.trials.contains(&id))).collect();
        let broken = all_groups - groups.len();
        Some(Effects { pairs, untried, edges, left_out, ranks, broken, too_many, metric: of_metric, gap, factors })
    }

    /// The indices of the parameters, most important first. Without importances, they are in the order of the sweep
    /// file.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.factors.len()).collect();
        if let Some(importance) = &self.metric.importance {
            order.sort_by(|&a, &b| importance.alone[b].total_cmp(&importance.alone[a]));
        }
        order
    }

    /// Remarks that complement the charts: where to search beyond the tried values, and what the analysis left out.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.edges.iter().map(Edge::sentence).collect();
        if !self.untried.is_empty() {
            let more = if self.untried.len() == UNTRIED { ", and more" } else { "" };
            remarks.push(format!("Never tried together: {}{more}.", self.untried.join("; ")));
        }
        let mixed = self.factors.iter().enumerate().filter(|(at, factor)| {
            let model = self.metric.model.as_ref();
            model.is_some_and(|model| (0..factor.levels.len()).all(|level| model.level(*at, level).is_none()))
        });
        let mixed: Vec<&str> = mixed.map(|(_, factor)| factor.name.as_str()).collect();
        let levels = 1 + self.factors.iter().map(|factor| factor.levels.len() - 1).sum::<usize>();
        if !mixed.is_empty() {
            let why = match self.metric.values.len() < levels {
                true => "there are too few trials",
                false => "they always changed together",
            };
            remarks.push(format!(
                "The effects of these parameters cannot be separated, because {why}: {}.",
                mixed.join(", ")
            ));
        }
        if self.broken > 0 {
            let many = if self.broken == 1 { "configuration" } else { "configurations" };
            remarks.push(format!(
                "{} {many} whose results mean nothing (diverged, stuck, evaluated wrongly, or cut while validation was \
                 still flat) are left out of all effects.",
                words::count(self.broken as u64)
            ));
        }
        if self.metric.capped > 0 {
            let plural = if self.metric.capped == 1 { "value was" } else { "values were" };
            remarks.push(format!(
                "{} {plural} so far out that they are capped at {}. Effects and charts show them at the cap.",
                words::count(self.metric.capped as u64),
                words::value(&self.metric.name, self.metric.cap())
            ));
        }
        if self.metric.log {
            remarks
                .push(format!("{} spans decades, so effects are factors, and means are geometric.", self.metric.words));
        }
        if !self.too_many.is_empty() {
            let names = self.too_many.iter().map(|name| words::clean(name)).collect::<Vec<_>>().join(", ");
            remarks.push(format!("Too many different values to compare: {names}."));
        }
        if self.left_out > 0 {
            let count = words::count(self.left_out as u64);
            let were = if self.left_out == 1 { "configuration was" } else { "configurations were" };
            remarks.push(format!(
                "{count} {were} stopped early. The effects on the gap leave out such configurations; the effects on {} \
                 include what they had reached.",
                self.metric.words
            ));
        }
        if self.metric.importance.is_none() {
            remarks.push("There are too few configurations to estimate the importance of the parameters.".into());
        }
        remarks
    }

    /// The most important parameters of each target, one sentence per parameter.
    pub fn drivers(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.metric.drivers(&self.factors);
        sentences.extend(self.gap.iter().flat_map(|gap| gap.drivers(&self.factors)));
        sentences
    }
}

impl Edge {
    fn sentence(&self) -> String {
        let Edge { setting, value, upper } = self;
        let (end, way) = if *upper { ("largest", "larger") } else { ("smallest", "smaller") };
        let value = words::setting(&Value::from(*value));
        format!("Try a {way} {setting}: the best value ({value}) is the {end} that was tried.")
    }
}

impl Target {
    /// Sentences on the most important parameters, most important first. Without importances, they cover the parameters
    /// with a clear effect. If no effect is clear, there is one sentence that says so.
    fn drivers(&self, factors: &[Factor]) -> Vec<String> {
        let Some(model) = &self.model else { return Vec::new() };
        let extremes = |at: usize| {
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
        };
        let mut order: Vec<usize> = (0..factors.len()).collect();
        if let Some(importance) = &self.importance {
            order.retain(|at| importance.alone[*at] >= DRIVES);
            order.sort_by(|&a, &b| importance.alone[b].total_cmp(&importance.alone[a]));
        }
        let proven = |driver: &Driver| self.importance.is_some() || driver.difference.is_clear();
        let drivers: Vec<Driver> = order.into_iter().filter_map(extremes).filter(proven).take(3).collect();
        if !drivers.is_empty() && drivers.iter().all(|driver| !driver.difference.is_clear()) {
            return vec![self.nothing_proven(factors, &drivers)];
        }
        drivers.iter().map(|driver| self.driver(factors, driver)).collect()
    }

    /// The sentence on one parameter. It says first whether an effect is proven.
    fn driver(&self, factors: &[Factor], driver: &Driver) -> String {
        let Driver { factor, best, worst, difference } = *driver;
        let Factor { name, levels, .. } = &factors[factor];
        let (best, worst, words) = (&words::cut(&levels[best]), &words::cut(&levels[worst]), &self.words);
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
        let trials = words::trials(self.trials);
        let nothing = format!("No parameter makes a difference to {} that {trials} can prove.", self.words);
        let ratio = |driver: &&Driver| driver.difference.margin.map(|margin| margin / driver.difference.value.abs());
        let closest = drivers.iter().filter(|driver| driver.difference.margin.is_some());
        let closest = closest.min_by(|a, b| ratio(a).unwrap_or(f64::MAX).total_cmp(&ratio(b).unwrap_or(f64::MAX)));
        let Some(Driver { factor, best, worst, difference }) = closest else { return nothing };
        let Factor { name, levels, .. } = &factors[*factor];
        let range = self.range([&words::cut(&levels[*best]), &words::cut(&levels[*worst])], "it", *difference);
        format!("{nothing} {name} comes closest ({range}).")
    }

    /// The value at which values are capped: the worst that is left.
    pub fn cap(&self) -> Option<f64> {
        let worse = |a: f64, b: f64| if self.goal.better(a, b) { b } else { a };
        self.values.iter().copied().reduce(worse).filter(|_| self.capped > 0)
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
            let factor = |exponent: f64| words::significant(10_f64.powf(exponent), 2);
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
            return format!("there are too few trials to say what {to} instead of {from} changes");
        };
        if self.log {
            let [low, high] =
                [value - margin, value + margin].map(|exponent| words::significant(10_f64.powf(exponent), 2));
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
        let least = (margin.filter(|margin| *margin > 0.0).unwrap_or(value).abs() * scale).max(1e-12);
        let decimals = (1.0 - least.log10().floor()).clamp(0.0, 9.0) as usize;
        move |value| words::number(value * scale, decimals).replace('-', "−")
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

/// The parameters whose best value is at the edge of the tried values and can go further. A lower edge at 0 cannot. Of
/// several configurations with the same best result, all must have that value.
fn edges(points: &[&Settings], best: &[&Settings], names: &[String]) -> Vec<Edge> {
    let edge = |name: &String| {
        let own = best.first()?.get(name).and_then(Value::as_f64)?;
        if best.iter().any(|other| other.get(name).and_then(Value::as_f64) != Some(own)) {
            return None;
        }
        let mut values: Vec<f64> = points.iter().filter_map(|point| point.get(name)?.as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        // With many drawn values, the outermost fortieth counts as the edge. It is counted by rank, so that the scale
        // of the distribution does not matter.
        let (rank, near) = (values.partition_point(|value| *value < own), values.len() / 40);
        let upper = rank + near + 1 >= values.len();
        let lower = rank <= near && own > 0.0;
        (values.len() > 1 && (upper || lower)).then(|| Edge { setting: name.clone(), value: own, upper })
    };
    names.iter().filter_map(edge).collect()
}

/// Pairs of values that the file allows and that no trial had.
fn untried(spec: &Spec, factors: &[Factor], values: &[f64], trials: &[usize]) -> Vec<String> {
    let mut found = Vec::new();
    for (a, first) in factors.iter().enumerate().filter(|(_, factor)| factor.exact) {
        for (b, second) in factors.iter().enumerate().skip(a + 1).filter(|(_, factor)| factor.exact) {
            let pair = Pair::new(factors, (a, b), 0.0, values, trials);
            for (i, j) in pair.untried() {
                if found.len() == UNTRIED {
                    return found;
                }
                let value = |factor: &Factor, level| {
                    let parameter = spec.space.parameters.iter().find(|one| one.name == factor.name)?;
                    let values = (0..parameter.distribution.count()?.min(1000))
                        .filter_map(|at| parameter.distribution.value(at));
                    values
                        .into_iter()
                        .find(|value| factor.level(value) == Some(level))
                        .map(|value| (factor.name.clone(), value))
                };
                let Some(wanted) = value(first, i).zip(value(second, j)) else { continue };
                let wanted: Settings = [wanted.0, wanted.1].into_iter().collect();
                if spec.space.pinned(&wanted).is_ok() {
                    found.push(words::settings(&wanted));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::{groups, setting_names};

    #[test]
    fn what_drives_a_sweep_is_what_its_formula_says() {
        // In the sample only dropout matters, and a higher rate closes the gap.
        let mut entries = sweep_sample::beginning("grid");
        for number in 0..24 {
            let (dropout, batch, norm) = ([0.0, 0.1, 0.2, 0.4][number % 4], [16, 32, 64][number / 4 % 3], number < 12);
            let settings = serde_json::json!({"batch_size": batch, "dropout": dropout, "batch_norm": norm});
            let number = number as u64 + 1;
            entries.extend(sweep_sample::attempt(number, 1, &sweep_sample::settings(settings), 0, 30));
            entries.push(sweep_sample::ended(number, 1, sweep_core::trial::Outcome::Finished));
        }
        let (spec, history) = (sweep_sample::spec(), sweep_sample::apply(&entries));
        let ranking = Ranking::new(&history, &spec.metric);
        let groups = groups(&ranking, &spec.metric);
        let tried: Vec<&Settings> = history.trials.iter().map(|trial| &trial.settings).collect();
        let all = |_: &Group| true;
        let effects = Effects::new(&spec, &groups, &ranking, &tried, &setting_names(&history), (all, all))
            .expect("settings vary");
        assert_eq!(effects.factors[effects.order()[0]].name, "dropout");
        let gap = effects.gap.as_ref().expect("it was measured").drivers(&effects.factors);
        assert!(gap[0].starts_with("dropout: loss gap is lower with 0.4 than with 0.0, by "), "{gap:?}");
        assert!(gap[0].contains("95% interval") && gap[0].contains("explains"), "{gap:?}");
    }

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
            capped: 0,
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
    fn a_best_value_at_the_end_of_its_range_is_named_unless_nothing_lies_beyond() {
        let point = |a: f64, b: f64, c: f64| sweep_sample::settings(serde_json::json!({"a": a, "b": b, "c": c}));
        let points = [point(1.0, 0.0, 2.0), point(2.0, 0.1, 1.0), point(3.0, 0.2, 3.0)];
        let names = ["a", "b", "c"].map(str::to_owned);
        let edges = |best: usize| edges(&points.each_ref(), &[&points[best]], &names);
        assert_eq!(edges(0), [Edge { setting: "a".into(), value: 1.0, upper: false }]);
        assert_eq!(edges(2).len(), 3);
        // The first and the second are equally good.
        assert_eq!(super::edges(&points.each_ref(), &[&points[0], &points[1]], &names), []);
    }

    #[test]
    fn an_exploded_loss_does_not_hide_the_rest() {
        let fenced = fenced(vec![1.0, 1.1, 1.2, 1.3, 1e9], Goal::Minimize);
        assert!(fenced[4] > 1.3 && fenced[4] < 3.0 && fenced[..4] == [1.0, 1.1, 1.2, 1.3], "{fenced:?}");
    }
}
