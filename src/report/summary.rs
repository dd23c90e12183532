//! What came of the sweep, in plain words. Pure.

use super::ranking::{Counts, Place, Ranking, groups};
use super::words;
use crate::history::History;
use crate::spec::Spec;
use crate::trial::Goal;

/// The head of the report.
#[derive(Debug)]
pub struct Summary {
    /// The best trial, its metric and epoch, in a sentence.
    pub headline: String,
    /// Its settings.
    pub settings: Vec<(String, String)>,
    /// More about it and about the sweep, a sentence or two each.
    pub details: Vec<String>,
}

impl Summary {
    /// Sums a sweep up.
    pub fn new(spec: &Spec, history: &History, ranking: &Ranking) -> Summary {
        let metric = words::metric(&spec.metric);
        let mut details = Vec::new();
        let (headline, settings) = match ranking.best() {
            Some(best) => {
                details.extend(gap(best));
                details.extend(uncertainty(best));
                let settings = best.trial.settings.iter();
                (headline(spec, best), settings.map(|(name, value)| (name.clone(), words::setting(value))).collect())
            }
            None => (format!("No trial has ended with a {metric} yet."), Vec::new()),
        };
        if spec.repeats > 1 {
            details.extend(best_settings(spec, ranking));
        }
        let better = match spec.metric.goal {
            Goal::Minimize => "lower",
            Goal::Maximize => "higher",
        };
        let counts = Counts::new(history);
        let trials = history.trials.len() as u64;
        let plural = if trials == 1 { "trial was" } else { "trials were" };
        details.push(format!("{} {plural} started: {}.", words::count(trials), counts.sentence()));
        details.push(format!("Trials are ranked by their {metric} at their best epoch; {better} is better."));
        Summary { headline, settings, details }
    }
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

/// How far chance alone moves an accuracy measured on so many pictures: 1.96 standard errors of a binomial share.
fn uncertainty(best: &Place) -> Option<String> {
    let (share, pictures) = (best.best.val_accuracy?, best.trial.validation_examples?);
    if pictures == 0 || !(0.0..=1.0).contains(&share) {
        return None;
    }
    let points = 196.0 * (share * (1.0 - share) / pictures as f64).sqrt();
    Some(format!(
        "An accuracy measured on {} validation pictures is uncertain by about {points:.1} points either way (95 %): \
         trials closer than that cannot be told apart by it.",
        words::count(pictures)
    ))
}

fn best_settings(spec: &Spec, ranking: &Ranking) -> Option<String> {
    let groups = groups(ranking, &spec.metric);
    let best = groups.first().filter(|best| best.trials.len() > 1)?;
    Some(format!(
        "Over repeats with different seeds, the best settings are {}: {} {} over {} trials.",
        words::settings(best.settings),
        words::metric(&spec.metric),
        words::spread(&spec.metric.name, Some(best.metric)),
        best.trials.len(),
    ))
}
