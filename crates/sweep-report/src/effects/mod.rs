//! The effect of each parameter on the sweep's metric and on the generalization gap, and the interactions of
//! parameters. Pure.

mod additive;
mod edge;
mod factor;
mod importance;
mod pair;
mod target;

pub use additive::{Additive, Estimate, Repeats};
pub use edge::Edge;
pub use factor::Factor;
pub use importance::Importance;
pub use pair::{Cell, Pair};
pub use target::Target;

use super::charts::HIGHLIGHTS;
use super::format;
use super::ranking::{Group, Ranking, Spread};
use sweep_core::trial::{Goal, Settings};
use sweep_spec::Spec;

/// Maximum number of interactions shown.
const PAIRS: usize = 2;
/// An integer range with at most this many values is treated as a list.
const LISTED: u64 = 8;
/// Maximum number of untried combinations that are named.
const UNTRIED: usize = 6;

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
    /// Whether the best configuration is in the analysis. It is the first observation then.
    pub has_best: bool,
    /// Number of configurations that every analysis leaves out, because their results mean nothing.
    pub broken: usize,
    /// Parameters whose texts are too many to compare.
    pub too_many: Vec<String>,
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
        let has_best = groups.first().is_some_and(&sound);
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
            let spreads: Vec<Spread> = kept.iter().map(|at| of(groups[*at])).collect::<Option<_>>()?;
            let trials: Vec<usize> = kept.iter().map(|at| trials[*at]).collect();
            let factors: Vec<Factor> = factors.iter().map(|factor| factor.only(kept)).collect();
            Target::new((name, words, goal), &factors, &spreads, &trials)
        };
        let metric = &spec.metric;
        let of_metric = target(&metric.name, format::metric(metric), metric.goal, &all, &|group| Some(group.metric))?;
        let loss_gap = || target("loss_gap", "loss gap", Goal::Minimize, &kept, &|group| group.loss_gap);
        let gap = target("accuracy_gap", "accuracy gap", Goal::Minimize, &kept, &|group| group.accuracy_gap);
        let gap = if metric.name.ends_with("_accuracy") { gap } else { loss_gap().or(gap) };
        let found = of_metric.importance.as_ref().map_or(&[][..], |importance| &importance.pairs);
        let scaled = of_metric.scaled();
        let observed = (&scaled[..], &trials[..], &of_metric.capped[..]);
        let pair = |((a, b), share): &((usize, usize), f64)| Pair::new(&factors, (*a, *b), *share, observed);
        let pairs = found.iter().take(PAIRS).map(pair).collect();
        let untried = untried(spec, &factors, tried, observed);
        let results: Vec<(&Settings, f64)> = groups.iter().map(|group| (group.settings, group.metric.mean)).collect();
        // If the best configuration means nothing, the best of the others is no place to go on from.
        let names_if_sound = if has_best { names } else { &[] };
        let edges = names_if_sound.iter().filter_map(|name| Edge::of(name, tried, &results, metric.goal)).collect();
        let too_many = names.iter().filter(|name| Factor::has_too_many(name, &points)).cloned().collect();
        let left_out = if gap.is_some() { groups.len() - kept.len() } else { 0 };
        let first = || ranking.placed.iter().take(HIGHLIGHTS.len()).map(|place| place.trial.id);
        let ranks = groups.iter().map(|group| first().position(|id| group.trials.contains(&id))).collect();
        let broken = all_groups - groups.len();
        Some(Effects {
            has_best,
            pairs,
            untried,
            edges,
            left_out,
            ranks,
            broken,
            too_many,
            metric: of_metric,
            gap,
            factors,
        })
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

    /// Remarks that complement the charts: best values at the edge that prove nothing, and what the analysis left out.
    /// Proven edges are among the next steps.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = edge::unproven(&self.edges).into_iter().collect();
        if !self.untried.is_empty() {
            let more = if self.untried.len() == UNTRIED { ", and more" } else { "" };
            remarks.push(format!("Never tried together: {}{more}.", self.untried.join("; ")));
        }
        remarks.extend(self.inseparable());
        let all = self.factors.len();
        let told = self.metric.model.as_ref().map_or(all, |model| (0..all).filter(|at| model.has(*at)).count());
        if told < all {
            remarks.push(format!(
                "{} configurations are too few to separate the effects of {all} parameters. Only those of the {told} \
                 most important ones are shown.",
                format::count(self.metric.values.len() as u64)
            ));
        }
        if self.broken > 0 {
            let (many, are) = if self.broken == 1 { ("configuration", "is") } else { ("configurations", "are") };
            remarks.push(format!(
                "{} {many} without a meaningful result (diverged, stuck, evaluated wrongly, or stopped while \
                 validation was still flat) {are} left out of all effects.",
                format::count(self.broken as u64)
            ));
        }
        let capped = self.metric.capped.iter().filter(|capped| **capped).count();
        if capped > 0 {
            let (values, is, it) =
                if capped == 1 { ("value was", "it is", "it") } else { ("values were", "they are", "them") };
            remarks.push(format!(
                "{} {values} so extreme that {is} capped at {}. Effects and charts show {it} at the cap.",
                format::count(capped as u64),
                format::value(&self.metric.name, self.metric.cap())
            ));
        }
        if self.metric.log {
            remarks
                .push(format!("{} spans decades, so effects are factors, and means are geometric.", self.metric.words));
        }
        if !self.too_many.is_empty() {
            let names = self.too_many.iter().map(|name| format::clean(name)).collect::<Vec<_>>().join(", ");
            remarks.push(format!("Too many different values to compare: {names}."));
        }
        if self.left_out > 0 {
            let count = format::count(self.left_out as u64);
            let were = if self.left_out == 1 { "configuration was" } else { "configurations were" };
            remarks.push(format!(
                "{count} {were} stopped early. The effects on the gap leave out such configurations. The effects on \
                 {} include them, with their best results so far.",
                self.metric.words
            ));
        }
        if self.metric.importance.is_none() {
            remarks.push("There are too few configurations to estimate the importance of the parameters.".into());
        }
        remarks
    }

    /// Names the parameters whose effects cannot be separated, and why.
    fn inseparable(&self) -> Option<String> {
        let mixed = self.factors.iter().enumerate().filter(|(at, factor)| {
            let model = self.metric.model.as_ref();
            let levels = || 0..factor.levels.len();
            model.is_some_and(|model| model.has(*at) && levels().all(|level| model.level(*at, level).is_none()))
        });
        let mixed: Vec<&str> = mixed.map(|(_, factor)| factor.name.as_str()).collect();
        let levels = 1 + self.factors.iter().map(|factor| factor.levels.len() - 1).sum::<usize>();
        let drawn = mixed.iter().any(|name| self.factors.iter().any(|one| one.name == **name && !one.exact));
        let why = match self.metric.values.len() < levels || drawn {
            true => "there are too few trials",
            false => "they always changed together",
        };
        let names = mixed.join(", ");
        (!mixed.is_empty())
            .then(|| format!("The effects of these parameters cannot be separated, because {why}: {names}."))
    }

    /// The most important parameters of each target, one sentence per parameter.
    pub fn drivers(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.metric.drivers(&self.factors);
        sentences.extend(self.gap.iter().flat_map(|gap| gap.drivers(&self.factors)));
        sentences
    }
}

/// Pairs of values that the file allows and that no trial had.
fn untried(spec: &Spec, factors: &[Factor], tried: &[&Settings], observed: (&[f64], &[usize], &[bool])) -> Vec<String> {
    let mut found = Vec::new();
    for (a, first) in factors.iter().enumerate().filter(|(_, factor)| factor.exact) {
        for (b, second) in factors.iter().enumerate().skip(a + 1).filter(|(_, factor)| factor.exact) {
            let pair = Pair::new(factors, (a, b), 0.0, observed);
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
                let was = |one: &&Settings| wanted.iter().all(|(name, value)| one.get(name) == Some(value));
                if !tried.iter().any(was) && spec.space.pinned(&wanted).is_ok() {
                    found.push(format::settings(&wanted));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::layout::{entries, texts};
    use crate::charts::{self, interactions};
    use crate::ranking::{groups, setting_names};
    use sweep_core::history::Entry;
    use sweep_core::trial::Outcome;

    /// The effects in a sweep with these entries.
    fn effects(entries: &[Entry]) -> Effects {
        let (spec, history) = (sweep_sample::spec(), sweep_sample::apply(entries));
        let ranking = Ranking::new(&history, &spec.metric);
        let groups = groups(&ranking, &spec.metric);
        let tried: Vec<&Settings> = history.trials.iter().map(|trial| &trial.settings).collect();
        let all = |_: &Group| true;
        Effects::new(&spec, &groups, &ranking, &tried, &setting_names(&history), (all, all)).expect("settings vary")
    }

    /// The entries of a sweep with these parameters, whose trials reach these losses in one epoch.
    fn reached(trials: impl IntoIterator<Item = (serde_json::Value, f64)>) -> Vec<Entry> {
        entries(trials.into_iter().map(|(settings, loss)| (settings, vec![loss], Outcome::Finished)))
    }

    #[test]
    fn a_mean_with_a_capped_value_is_marked_as_a_bound_and_a_remark_says_where_the_cap_is() {
        // One trial in 24 is far out. Both parameters matter only together, so that they interact.
        let loss = |at: usize| 1.0 + 0.01 * (at % 7) as f64 + if at % 2 == at / 2 % 2 { 0.5 } else { 0.0 };
        let trial =
            |at: usize| (serde_json::json!({"a": at % 2, "b": at / 2 % 2}), if at == 9 { 40.0 } else { loss(at) });
        // Every trial is a configuration of its own.
        let trials = (0..24).map(trial).enumerate().map(|(at, (mut settings, loss))| {
            settings["c"] = at.into();
            (settings, loss)
        });
        let effects = effects(&reached(trials));
        let cap = format::value("val_loss", effects.metric.cap());
        let remark = effects.remarks().into_iter().find(|remark| remark.contains("capped")).expect("it is said");
        let expected =
            format!("1 value was so extreme that it is capped at {cap}. Effects and charts show it at the cap.");
        assert_eq!(remark, expected);
        let map = interactions(&effects).expect("a and b interact");
        let texts = texts(&map);
        let bounds = texts.iter().filter(|text| text.starts_with("≥ ")).count();
        assert!((1..=2).contains(&bounds), "one cell a map contains the capped value: {texts:?}");
        assert!(texts.iter().any(|text| text.ends_with(&format!("≥: with values capped at {cap}"))), "{texts:?}");
    }

    #[test]
    fn with_24_parameters_and_300_levels_charts_stay_small_and_say_what_they_leave_out() {
        let trials = (0..300).map(|at: usize| {
            let mut settings = Settings::new();
            for parameter in 0..23 {
                let level = (at * (2 * parameter + 3) + at / (parameter + 2)) % 3;
                settings.insert(format!("parameter_{parameter}"), format!("level {level}").into());
            }
            settings.insert("text".into(), format!("{}{at}", "x".repeat(1000)).into());
            let first = settings["parameter_5"] == "level 1";
            (settings.into(), 1.0 + if first { 1.0 } else { 0.0 } + 0.001 * (at % 17) as f64)
        });
        let effects = effects(&reached(trials));
        assert_eq!(effects.factors[effects.order()[0]].name, "parameter_5");
        let remarks = effects.remarks();
        assert!(remarks.contains(&"Too many different values to compare: text.".to_owned()), "{remarks:?}");
        let (chart, parallel) = (charts::effects(&effects).expect("effects"), charts::parallel(&effects));
        assert!(chart.size.1 < 1000 && parallel.size.1 < 1000, "{:?} {:?}", chart.size, parallel.size);
        let said = texts(&chart);
        assert!(said.iter().any(|text| text.contains("the 10 most important of 24 parameters")), "{said:?}");
        assert!(effects.drivers().iter().all(|line| line.len() < 400), "{:?}", effects.drivers());
    }

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
        let effects = effects(&entries);
        assert_eq!(effects.factors[effects.order()[0]].name, "dropout");
        let gap = effects.gap.as_ref().expect("it was measured").drivers(&effects.factors);
        assert!(gap[0].starts_with("dropout: loss gap is lower with 0.4 than with 0.0, by "), "{gap:?}");
        assert!(gap[0].contains("95% interval") && gap[0].contains("explains"), "{gap:?}");
    }
}
