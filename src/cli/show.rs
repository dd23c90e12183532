//! `sweep show`: one trial, or its training images.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::diagnose;
use super::environment::Environment;
use super::opened::Opened;
use super::output;
use super::plot::{Series, plot};
use super::running::trainer;
use super::sheet;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Status, TrialRecord};
use sweep_core::protocol::{BEST_WEIGHTS, LAST_CHECKPOINT};
use sweep_core::trial::{EpochMetrics, METRICS, Outcome, TrialId};
use sweep_report::format;
use sweep_report::ranking::Ranking;

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep show results/quickstart 3
  sweep show results/quickstart 3 --json | jq .best
  sweep show sweeps/preset-thin.yaml --augment images.png")]
pub struct Args {
    /// Folder of the sweep, for example results/quickstart; with --augment, a sweep file
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Number of the trial [default: the best one]
    #[arg(value_name = "TRIAL")]
    trial: Option<u64>,
    /// Draw some training images of a sweep file into this PNG, unchanged and as augmented in seven epochs
    #[arg(long, value_name = "PNG", conflicts_with = "json")]
    augment: Option<PathBuf>,
    /// With --augment, path of the trainer [default: sweep-trainer next to sweep]
    #[arg(long, value_name = "PROGRAM", requires = "augment")]
    trainer: Option<PathBuf>,
    /// Print one JSON object, with the entire curve
    #[arg(long)]
    json: bool,
}

/// Prints the details of a trial.
///
/// # Errors
/// Returns an error if there is no sweep or the trial was never started.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    if let Some(out) = &args.augment {
        let trainer = trainer(args.trainer.as_deref(), environment)?;
        return sheet::run(&args.folder, args.trial, out, &trainer, environment);
    }
    let opened = Opened::new(&args.folder)?;
    let number = args.trial.or_else(|| best(&opened)).ok_or_else(|| {
        Error::new(Exit::Usage, "there is no best trial yet")
            .hint("give the number of a trial; `sweep status` lists them")
    })?;
    let mut trial = opened.trial(number)?.clone();
    if trial.status == Status::Running && !sweep_store::held(&opened.layout) {
        trial.status = Status::Waiting;
    }
    match args.json {
        true => output::print_json(&json(&opened, &trial))?,
        false => output::print(&text(&opened, &trial, environment.color))?,
    }
    Ok(Exit::Success)
}

/// The number of the best trial, if a trial has a value of the metric.
fn best(opened: &Opened) -> Option<u64> {
    let ranking = Ranking::new(&opened.history, &opened.spec.metric);
    ranking.best().map(|best| best.trial.id.0)
}

fn text(opened: &Opened, trial: &TrialRecord, color: bool) -> String {
    let mut text =
        format!("Trial {} of {}: {}\n\n", trial.id, format::clean(&opened.history.name), format::status(trial));
    let mut say = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    if let Some(error) = trial.outcome().and_then(|outcome| outcome.error()) {
        say("error", format::clean(&error));
    }
    if let Some(Outcome::Stopped { by, epoch }) = trial.outcome() {
        say("stopped", format!("after epoch {epoch} by {by}"));
    }
    if let Some(tag) = opened.history.steering.tags.get(&trial.id) {
        say("tag", format::clean(tag));
    }
    for (number, (name, value)) in trial.settings.iter().enumerate() {
        let label = if number == 0 { "parameters" } else { "" };
        say(label, format!("{} {}", format::clean(name), format::setting(value)));
    }
    say("attempts", attempts(trial));
    if let Some(source) = &trial.source {
        say("metrics", format!("{} is read from {}", format::clean(&opened.spec.metric.name), format::clean(source)));
    }
    if let Some(parameters) = trial.parameters {
        say("weights", format::count(parameters));
    }
    if let (Some(train), Some(validation)) = (trial.train_examples, trial.validation_examples) {
        say("images", format!("{} training, {} validation", format::count(train), format::count(validation)));
    }
    let place = format!("on {}", format::clean(&trial.slot));
    say("time", trial.ended_at.map_or(place.clone(), |_| format!("{} {place}", format::duration(trial.seconds))));
    let curve = |name: &'static str, metric: &str, color| {
        let points = trial.curve.iter().filter_map(|epoch| Some((epoch.epoch, epoch.get(metric)?)));
        Series { name, color, points: points.collect() }
    };
    let curves = [curve("training", "train_eval_loss", 34), curve("validation", "val_loss", 33)];
    let drawn = plot(&curves, color);
    if !drawn.is_empty() {
        let _ = write!(text, "\n       loss\n{drawn}");
    }
    text += &metrics(opened, trial);
    diagnose::tell(&mut text, &sweep_report::findings(&opened.spec, &opened.history, trial));
    text + &files(opened, trial)
}

/// The number of attempts, and their outcome.
fn attempts(trial: &TrialRecord) -> String {
    let mut said = trial.attempts.to_string();
    if trial.faults > 0 {
        let _ = write!(said, ", {} lost", trial.faults);
    }
    if let Some(fault) = &trial.last_fault {
        let _ = write!(said, "; last failure: {}", format::clean(fault));
    }
    said
}

/// All metrics at the best and at the last epoch.
fn metrics(opened: &Opened, trial: &TrialRecord) -> String {
    let Some(last) = trial.curve.last() else { return "\n  no completed epoch\n".into() };
    let best = opened.spec.metric.best(&trial.curve);
    let head = best.map_or("–".to_owned(), |best| format!("best, epoch {}", best.epoch));
    let mut text = format!("\n  {:<22}{head:>16}{:>18}\n", "", format!("last, epoch {}", last.epoch));
    let mut line = |name: &str, said: &dyn Fn(&EpochMetrics) -> String| {
        let best = best.map_or("–".into(), said);
        let _ = writeln!(text, "  {name:<22}{best:>16}{:>18}", said(last));
    };
    for name in METRICS {
        line(name, &|epoch| format::value(name, epoch.get(name)));
    }
    line("loss_gap", &|epoch| format::loss_gap(epoch.loss_gap()));
    line("accuracy_gap, points", &|epoch| format::accuracy_gap(epoch.accuracy_gap()));
    text
}

/// The files of the trial that exist.
fn files(opened: &Opened, trial: &TrialRecord) -> String {
    let files = existing(opened, trial.id);
    match files.is_empty() {
        true => String::new(),
        false => {
            let lines = files.iter().map(|file| format!("  {}\n", file.display()));
            format!("\n{}", lines.collect::<String>())
        }
    }
}

fn existing(opened: &Opened, trial: TrialId) -> Vec<PathBuf> {
    let folder = opened.layout.trial(trial);
    let names = ["curves.svg", "curves.png", BEST_WEIGHTS, LAST_CHECKPOINT];
    let mut files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    files.push(opened.layout.trainer_log(trial));
    files.retain(|file| file.exists());
    files
}

fn json(opened: &Opened, trial: &TrialRecord) -> Value {
    json!({
        "trial": trial.id,
        "status": trial.status.name(),
        "error": trial.outcome().and_then(|outcome| outcome.error()),
        "tag": opened.history.steering.tags.get(&trial.id),
        "settings": trial.settings,
        "attempts": trial.attempts,
        "faults": trial.faults,
        "last_fault": trial.last_fault,
        "source": trial.source,
        "slot": trial.slot,
        "seconds": trial.ended_at.map(|_| trial.seconds),
        "parameters": trial.parameters,
        "train_examples": trial.train_examples,
        "validation_examples": trial.validation_examples,
        "best": opened.spec.metric.best(&trial.curve),
        "last": trial.curve.last(),
        "curve": trial.curve,
        "findings": sweep_report::findings(&opened.spec, &opened.history, trial),
        "files": existing(opened, trial.id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_as_it_is_shown() {
        let results = tempfile::tempdir().unwrap();
        let layout = sweep_sample::write(&results.path().join("sample"), &sweep_sample::entries());
        let opened = Opened::new(layout.root()).unwrap();
        sweep_report::trial_chart(&layout, &opened.spec, &opened.history.trials[1]).unwrap();
        let shown = text(&opened, &opened.history.trials[1], false);
        insta::assert_snapshot!(shown.replace(&layout.root().display().to_string(), "DIR"));
        let json = json(&opened, &opened.history.trials[4]);
        assert_eq!((&json["status"], &json["curve"][2]["epoch"]), (&json!("diverged"), &json!(3)));
        assert!(text(&opened, &opened.history.trials[5], true).contains("no completed epoch"));
    }

    #[test]
    fn nothing_in_a_trial_reaches_the_terminal_as_a_command() {
        let history = sweep_sample::hostile();
        let results = tempfile::tempdir().unwrap();
        let layout = sweep_sample::write(&results.path().join("sample"), &sweep_sample::entries());
        let opened = Opened { history: history.clone(), ..Opened::new(layout.root()).unwrap() };
        for trial in &history.trials {
            assert!(!text(&opened, trial, false).contains('\u{1b}'));
        }
    }
}
