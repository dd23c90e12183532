//! Trials that no other trial beats in every metric: the Pareto front, in words. Pure.

use super::format;
use sweep_core::history::{History, TrialRecord};
use sweep_core::pareto::{self, fronts};
use sweep_core::trial::{Metric, TrialId};
use sweep_spec::Spec;

/// Maximum number of trials of the front that are listed. `trials.csv` has all of them.
const LISTED: usize = 20;

/// The trials that have a value of every metric, and the front among them.
#[derive(Debug)]
pub struct Tradeoff<'a> {
    /// The metrics that some trial has a value of. The first one ranks.
    pub metrics: Vec<&'a Metric>,
    /// Metrics that no trial has a value of.
    pub unknown: Vec<&'a Metric>,
    /// The trials, each with its values, best first by the metric that ranks.
    pub trials: Vec<(&'a TrialRecord, Vec<f64>)>,
    /// Whether each of them is on the front.
    pub on_front: Vec<bool>,
}

impl<'a> Tradeoff<'a> {
    /// Compares the trials that ended well. `None` if the sweep has one metric only.
    pub fn new(spec: &'a Spec, history: &'a History) -> Option<Tradeoff<'a>> {
        if spec.tradeoffs.is_empty() {
            return None;
        }
        let ranking = history.ranking(&spec.metric);
        let all = std::iter::once(&spec.metric).chain(&spec.tradeoffs);
        let value = |one: &(&'a TrialRecord, _), metric: &Metric| pareto::value(one.0, metric, &one.1, &spec.metric);
        let (metrics, unknown): (Vec<_>, Vec<_>) =
            all.partition(|metric| ranking.iter().any(|one| value(one, metric).is_some()));
        let values =
            |one: &(&'a TrialRecord, _)| metrics.iter().map(|metric| value(one, metric)).collect::<Option<Vec<f64>>>();
        let trials: Vec<_> = ranking.iter().filter_map(|one| Some((one.0, values(one)?))).collect();
        let losses: Vec<Vec<f64>> = trials
            .iter()
            .map(|(_, values)| {
                values.iter().zip(&metrics).map(|(value, metric)| pareto::loss(*value, metric.goal)).collect()
            })
            .collect();
        let on_front = fronts(&losses).into_iter().map(|front| front == 0).collect();
        Some(Tradeoff { metrics, unknown, trials, on_front })
    }

    /// The trials on the front, best first by the metric that ranks.
    pub fn front(&self) -> impl Iterator<Item = &(&'a TrialRecord, Vec<f64>)> {
        self.trials.iter().zip(&self.on_front).filter(|(_, on_front)| **on_front).map(|(trial, _)| trial)
    }

    /// Whether a trial is on the front. `None` if it is not compared.
    pub fn has(&self, id: TrialId) -> Option<bool> {
        let at = self.trials.iter().position(|(trial, _)| trial.id == id)?;
        Some(self.on_front[at])
    }

    /// The front in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let count = self.front().count();
        let names = self.metrics.iter().map(|metric| format::metric(metric)).collect::<Vec<_>>().join(", ");
        let mut lines = vec![format!(
            "{} of {} trials are on the Pareto front of {names}: no other trial is at least as good in all of them and \
             better in one.",
            format::count(count as u64),
            format::count(self.trials.len() as u64)
        )];
        for (trial, values) in self.front().take(LISTED) {
            let values = self.metrics.iter().zip(values).map(|(metric, value)| said(metric, *value));
            let values = values.collect::<Vec<_>>().join(", ");
            lines.push(format!("Trial {}: {values} ({}).", trial.id, format::settings(&trial.settings)));
        }
        if count > LISTED {
            lines.push(format!("{} more are in `trials.csv`.", format::count((count - LISTED) as u64)));
        }
        if !self.unknown.is_empty() {
            let names = self.unknown.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>().join(", ");
            lines.push(format!("No trial has a value of {names}, which is left out."));
        }
        lines
    }
}

fn said(metric: &Metric, value: f64) -> String {
    match metric.name.as_str() {
        "parameters" => format!("{} parameters", format::count(value as u64)),
        "seconds_per_epoch" => format!("{} s per epoch", format::significant(value, 3)),
        "energy_kj" => format!("{} kJ", format::significant(value, 3)),
        name => format!("{} {}", format::metric(metric), format::value(name, Some(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::trial::Goal;

    #[test]
    fn the_front_has_the_best_of_each_metric_and_says_what_is_unknown() {
        let metric = |name: &str, goal| Metric { name: name.into(), goal };
        let tradeoffs = vec![metric("train_eval_loss", Goal::Minimize), metric("energy_kj", Goal::Minimize)];
        let (spec, history) = (Spec { tradeoffs, ..sweep_sample::spec() }, sweep_sample::history());
        let tradeoff = Tradeoff::new(&spec, &history).unwrap();
        assert_eq!(tradeoff.metrics.len(), 2);
        let best = history.ranking(&spec.metric)[0].0.id;
        assert_eq!(tradeoff.front().next().unwrap().0.id, best);
        assert_eq!(tradeoff.has(best), Some(true));
        let said = tradeoff.sentences();
        assert!(
            said[0].contains("on the Pareto front of validation loss, training loss (evaluation mode)"),
            "{said:?}"
        );
        assert!(said.last().unwrap().contains("No trial has a value of energy_kj"), "{said:?}");
        assert!(Tradeoff::new(&sweep_sample::spec(), &history).is_none());
    }
}
