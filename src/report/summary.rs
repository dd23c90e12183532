//! What came of the sweep, in plain words. Pure.

use super::analysis::Analysis;
use super::fit::{Finding, Severity};
use super::ranking::{Counts, Group, Place};
use super::verdicts::Tally;
use super::words;
use crate::spec::Spec;
use crate::trial::Goal;

/// So many kinds of finding are told of, the most frequent ones.
const AILMENTS: usize = 5;
/// And so many steps to take.
const STEPS: usize = 7;

/// The head of the report.
#[derive(Debug)]
pub struct Summary {
    /// The best trial, its metric and epoch, in a sentence.
    pub headline: String,
    /// Its settings.
    pub settings: Vec<(String, String)>,
    /// More about it and about the sweep, a sentence or two each.
    pub details: Vec<String>,
    /// What the curves show, and of how many trials.
    pub ailments: Vec<String>,
    /// Which settings make the difference.
    pub drivers: Vec<String>,
    /// What to do next, first things first.
    pub steps: Vec<String>,
}

impl Summary {
    /// Sums a sweep up.
    pub fn new(analysis: &Analysis) -> Summary {
        let Analysis { spec, history, ranking, verdicts, .. } = analysis;
        let metric = words::metric(&spec.metric);
        let mut details = Vec::new();
        let (headline, settings) = match ranking.best() {
            Some(best) => {
                details.extend(best_settings(spec, &analysis.groups));
                details.extend(gap(best));
                details.push(analysis.ties.sentence.clone());
                details
                    .extend(verdicts.of(best.trial.id).iter().filter(|one| one.severity > Severity::Note).map(of_best));
                let settings = best.trial.settings.iter();
                (headline(spec, best), settings.map(|(name, value)| (name.clone(), words::setting(value))).collect())
            }
            None => (format!("No trial has ended with a {metric} yet."), Vec::new()),
        };
        details.retain(|detail| !detail.is_empty());
        let better = match spec.metric.goal {
            Goal::Minimize => "lower",
            Goal::Maximize => "higher",
        };
        let counts = Counts::new(history);
        let trials = history.trials.len() as u64;
        let plural = if trials == 1 { "trial was" } else { "trials were" };
        details.push(format!("{} {plural} started: {}.", words::count(trials), counts.sentence()));
        details.push(format!("Trials are ranked by their {metric} at their best epoch; {better} is better."));
        let judged = verdicts.judged();
        let ailments = verdicts.tally().iter().take(AILMENTS).map(|tally| ailment(tally, judged)).collect();
        let advice = analysis.advice();
        let steps = advice.iter().take(STEPS).map(|(advice, count)| format!("{advice} ({count} of {judged} trials)"));
        let drivers = analysis.effects.as_ref().map(|effects| effects.drivers()).unwrap_or_default();
        Summary { headline, settings, details, ailments, drivers, steps: steps.collect() }
    }
}

/// What was found in the best trial.
fn of_best(finding: &Finding) -> String {
    format!("The best trial itself, {}: {}", finding.label(), finding.headline)
}

/// `overfit: 41 of 72 trials, 30 of them clearly; from epoch 14 in the middle`.
fn ailment(tally: &Tally, judged: usize) -> String {
    let grave = match tally.grave {
        0 => String::new(),
        all if all == tally.trials => ", clearly".into(),
        some => format!(", {some} of them clearly"),
    };
    let onset = tally.onset.map_or(String::new(), |onset| format!("; it sets in after epoch {onset}, in the middle"));
    format!("{}: {} of {judged} trials{grave}{onset}.", tally.name, tally.trials)
}

fn headline(spec: &Spec, best: &Place) -> String {
    let metric = &spec.metric;
    let mut line = format!(
        "Trial {} is the best: {} {} at epoch {} of {}",
        best.trial.id,
        words::metric(metric),
        words::value(&metric.name, best.best.get(&metric.name)),
        best.best.epoch,
        best.trial.curve.len(),
    );
    for (name, said) in [("val_loss", "validation loss"), ("val_accuracy", "validation accuracy")] {
        if metric.name != name && best.best.get(name).is_some() {
            line += &format!(", {said} {}", words::value(name, best.best.get(name)));
        }
    }
    line + "."
}

fn gap(best: &Place) -> Option<String> {
    let (training, validation) = (best.best.train_eval_accuracy?, best.best.val_accuracy?);
    let gap = best.best.accuracy_gap()?;
    let mut line = format!(
        "At that epoch it judges {} of the training pictures rightly and {} of the validation pictures: a gap of {:.2} \
         points",
        words::value("train_eval_accuracy", Some(training)),
        words::value("val_accuracy", Some(validation)),
        gap * 100.0,
    );
    if let Some(gap) = best.best.loss_gap() {
        line += &format!(", and of {gap:.4} in loss");
    }
    Some(line + ".")
}

fn best_settings(spec: &Spec, groups: &[Group]) -> Option<String> {
    let best = groups.first().filter(|best| best.trials.len() > 1)?;
    Some(format!(
        "Over repeats with different seeds, the best settings are {}: {} {} over {} trials.",
        words::settings(best.settings),
        words::metric(&spec.metric),
        words::spread(&spec.metric.name, Some(best.metric)),
        best.trials.len(),
    ))
}
