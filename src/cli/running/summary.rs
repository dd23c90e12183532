//! The last lines of a run.

use crate::cli::environment::Environment;
use sweep_core::command_line::argument;
use sweep_core::history::History;
use sweep_report::ranking::{Place, Ranking, groups};
use sweep_report::{format, summary};
use sweep_spec::Spec;
use sweep_store::Layout;

/// Returns how many trials ended and how, the best one, and what to do next.
pub fn text(history: &History, spec: &Spec, layout: &Layout, environment: &Environment) -> String {
    let folder = environment.short(layout.root());
    let mut text = if history.complete { "\nAll trials have ended: " } else { "\nStopped: " }.to_owned();
    text += &counts(history).join(", ");
    let ranking = Ranking::new(history, &spec.metric);
    let groups = groups(&ranking, &spec.metric);
    if let Some(best) = summary::leader(spec, &groups) {
        text += &format!("\n{}", summary::of_settings(spec, best));
    } else if let Some(Place { trial, best, .. }) = ranking.best() {
        let value = best.get(&spec.metric.name).unwrap_or(f64::NAN);
        text += &format!("\nBest: trial {}, {} {}", trial.id, spec.metric.name, format::number(value, 4));
        if let Some(accuracy) = best.val_accuracy.filter(|_| spec.metric.name != "val_accuracy") {
            text += &format!(", val_accuracy {}", format::number(accuracy, 4));
        }
        text += &format!(" at epoch {}: {}", best.epoch, format::settings(&trial.settings));
    }
    if let Some(target) = summary::target(spec, history) {
        text += &format!("\n{target}");
    }
    for line in summary::extensions(history).chain(summary::scripts(history)) {
        text += &format!("\n{line}");
    }
    text += &format!("\nReport: {}", folder.join("report.html").display());
    if !history.complete {
        text += &format!("\nTo continue: sweep resume {}", argument(folder));
    }
    text
}

/// Returns the number of trials with each status, in the order in which they first occur.
fn counts(history: &History) -> Vec<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for trial in &history.trials {
        match counts.iter_mut().find(|(name, _)| *name == trial.status.name()) {
            Some((_, count)) => *count += 1,
            None => counts.push((trial.status.name(), 1)),
        }
    }
    counts.iter().map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect()
}
