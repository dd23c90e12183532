//! `sweep status`: the state of a sweep, including one that another process runs.

mod follow;

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::environment::Environment;
use super::opened::Opened;
use super::output;
use crate::progress::seconds_left;
use sweep_core::command_line::argument;
use sweep_core::error::{Exit, Result};
use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::trial::{METRICS, TrialId};
use sweep_report::ranking::{Counts, Place, Ranking, groups};
use sweep_report::{State, format, planned_epochs, stages, summary};
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep status results/quickstart
  watch sweep status results/quickstart
  sweep status results/quickstart --why
  sweep status results/quickstart --json | jq .best.settings
  sweep status results/quickstart --json --follow    a line whenever something changes")]
pub struct Args {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Explain why each slot is idle and each trial waits
    #[arg(long, conflicts_with = "json")]
    why: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print an object per line whenever the state changes, until the sweep stops
    #[arg(long, requires = "json")]
    follow: bool,
}

/// Prints the state of the sweep.
///
/// # Errors
/// Returns an error if there is no sweep.
pub fn run(args: &Args, _environment: &Environment) -> Result<Exit> {
    let mut opened = Opened::new(&args.folder)?;
    if args.follow {
        return follow::follow(opened);
    }
    let held = sweep_store::held(&opened.layout);
    if !held {
        opened.history = opened.history.abandoned();
    }
    let (standing, search) = standing(&opened, held);
    match args.json {
        true => output::print_json(&standing.json(&opened))?,
        false => {
            let why = if args.why { reasons(&opened.history, &search, &standing) } else { String::new() };
            output::print(&(standing.text(&opened) + &why))?;
        }
    }
    Ok(Exit::Success)
}

/// The state of a sweep, and its search.
fn standing(opened: &Opened, held: bool) -> (Standing<'_>, Search) {
    let search = Search::resumed(opened.spec.search_terms(), &opened.history);
    (Standing::new(&opened.spec, &opened.history, search.len(), held), search)
}

/// The state of a sweep.
struct Standing<'a> {
    state: State,
    counts: Counts,
    /// Number of trials in the search, or `None` if it has no end.
    total: Option<u64>,
    best: Option<Place<'a>>,
    /// The best configuration by its mean, if trials are repeated.
    repeated: Option<String>,
    seconds_left: Option<f64>,
}

impl<'a> Standing<'a> {
    fn new(spec: &Spec, history: &'a History, total: Option<u64>, held: bool) -> Standing<'a> {
        let counts = Counts::new(history);
        let state = State::of(spec, history, total, held);
        let ranking = Ranking::new(history, &spec.metric);
        let repeated =
            summary::leader(spec, &groups(&ranking, &spec.metric)).map(|best| summary::of_settings(spec, best));
        let best = ranking.placed.into_iter().next();
        let seconds_left = seconds_left(history, total, |trial| planned_epochs(spec, trial));
        Standing { state, counts, total, best, repeated, seconds_left }
    }

    fn not_started(&self) -> Option<u64> {
        let started = self.counts.ended() + self.counts.running + self.counts.waiting;
        self.total.map(|total| total.saturating_sub(started))
    }

    fn text(&self, Opened { layout, spec, history, .. }: &Opened) -> String {
        let verb = if self.state == State::Failed { "has" } else { "is" };
        let folder = argument(layout.root());
        let mut text = format!("{} {verb} {}", format::clean(&history.name), self.state);
        if let Some((current, all)) = stages::current(spec, history) {
            let _ = write!(text, ", stage {current} of {all}");
        }
        if self.state == State::Paused {
            let _ = write!(text, "; to continue: sweep continue {folder}");
        }
        if let Some(most) = history.steering.most {
            let plural = if most == 1 { "slot" } else { "slots" };
            let _ = write!(text, "; it uses at most {most} {plural}");
        }
        if let Some(failed) = summary::hopeless(history).filter(|_| self.state == State::Failed) {
            let _ = write!(text, ": {failed}; once that is fixed: sweep resume --retry-failed {folder}");
        }
        if self.state == State::Interrupted {
            let _ = write!(text, "; to continue: sweep resume {folder}");
        }
        let ended = format::count(self.counts.ended());
        let _ = match self.total {
            Some(total) => write!(text, "\n\n  trials     {ended} of {} ended: ", format::count(total)),
            None => write!(text, "\n\n  trials     {ended} ended, no limit: "),
        };
        text += &self.counts.sentence();
        if let Some(count) = self.not_started().filter(|&count| count > 0) {
            let _ = write!(text, ", {} not yet started", format::count(count));
        }
        if let Some(seconds) = self.seconds_left.filter(|_| self.state != State::Complete) {
            let when = if self.state == State::Running { "time left " } else { "would take" };
            let _ = write!(text, "\n  {when} about {}", format::duration(seconds));
        }
        if let Some(best) = &self.repeated {
            let _ = write!(text, "\n  best       {best}");
        } else if let Some(best) = &self.best {
            let value = format::value(&spec.metric.name, best.best.get(&spec.metric.name));
            let metric = format::metric(&spec.metric);
            let _ =
                write!(text, "\n  best       trial {}: {metric} {value} at epoch {}", best.trial.id, best.best.epoch);
            let _ = write!(text, "\n             {}", format::settings(&best.trial.settings));
        }
        if let Some(target) = summary::target(spec, history) {
            let _ = write!(text, "\n  target     {target}");
        }
        for extension in summary::extensions(history) {
            let _ = write!(text, "\n  extended   {extension}");
        }
        if let Some(changed) = summary::scripts(history) {
            let _ = write!(text, "\n  script     {changed}");
        }
        for (trial, warning) in summary::warnings_of_programs(history) {
            let _ = write!(text, "\n  note       trial {trial}: {}", format::clean(&warning.text));
        }
        for (id, tag) in &history.steering.tags {
            let _ = write!(text, "\n  tag        trial {id}: {}", format::clean(tag));
        }
        text.push('\n');
        for (status, title) in [(Status::Running, "running"), (Status::Waiting, "waiting")] {
            let trials: Vec<_> = history.trials.iter().filter(|trial| trial.status == status).collect();
            if !trials.is_empty() {
                let _ = write!(text, "\n{}\n", table(title, &trials, spec));
            }
        }
        let failed = history.trials.iter().filter_map(|trial| Some((trial, trial.outcome()?.error()?)));
        text + &failures(failed.collect())
    }

    fn json(&self, Opened { layout, spec, history, .. }: &Opened) -> Value {
        let of = |status: Status| -> Vec<Value> {
            history
                .trials
                .iter()
                .filter(|trial| trial.status == status)
                .map(|trial| under_way(trial, spec, history))
                .collect()
        };
        json!({
            "name": history.name,
            "folder": layout.root(),
            "state": self.state,
            "total": self.total,
            "not_started": self.not_started(),
            "counts": self.counts,
            "seconds_left": self.seconds_left,
            "metric": spec.metric,
            "best": self.best.as_ref().map(|best| json!({
                "trial": best.trial.id,
                "settings": best.trial.settings,
                "metrics": best.best,
            })),
            "running": of(Status::Running),
            "waiting": of(Status::Waiting),
            "slots": history.slots,
            "lag": history.lag,
            "target": Search::reached(spec.search_terms(), history),
            "extensions": history.extensions.iter().map(|one| json!({
                "at": one.at,
                "begun": one.begun,
                "trials": one.trials,
                "changes": one.changes,
                "stage": one.stage.as_ref().map(|stage| stage.number),
            })).collect::<Vec<_>>(),
            "stage": stages::current(spec, history).map(|(current, all)| json!({"current": current, "all": all})),
            "tags": history.steering.tags,
            "script": summary::scripts(history),
            "held": history.held,
            "mps": history.mps,
        })
    }
}

fn under_way(trial: &TrialRecord, spec: &Spec, history: &History) -> Value {
    json!({
        "trial": trial.id,
        "settings": trial.settings,
        "slot": trial.slot,
        "attempts": trial.attempts,
        "last_fault": trial.last_fault,
        "epochs_done": trial.epochs(),
        "epochs": planned_epochs(spec, trial),
        "tag": history.steering.tags.get(&trial.id),
        "metrics": trial.curve.last(),
    })
}

/// A table of running trials with the metrics of their last epoch.
fn table(title: &str, trials: &[&TrialRecord], spec: &Spec) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let own = Some(spec.metric.name.as_str()).filter(|name| !METRICS.contains(name) && spec.ranks);
    let header = [title, "epoch", "train loss", "val loss", "val accuracy"].into_iter().chain(own);
    table.set_header(header.chain(["slot", "parameters"]));
    for trial in trials {
        let last = trial.curve.last().copied().unwrap_or_default();
        let planned = planned_epochs(spec, trial).map_or(String::new(), |planned| format!(" of {planned}"));
        let values = [
            trial.id.to_string(),
            format!("{}{planned}", trial.epochs()),
            // Only the built-in trainer measures the training loss in evaluation mode.
            format::value("train_loss", last.train_eval_loss.or(last.train_loss)),
            format::value("val_loss", last.val_loss),
            format::value("val_accuracy", last.val_accuracy),
        ];
        let own = own.map(|name| format::value(name, last.get(name)));
        let rest = [format::clean(&trial.slot), format::settings(&trial.settings)];
        table.add_row(values.into_iter().chain(own).chain(rest));
    }
    table.lines().map(|line| format!("  {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

/// The reason why each slot is idle and each trial waits.
fn reasons(history: &History, search: &Search, standing: &Standing) -> String {
    let next = TrialId(history.trials.len() as u64 + 1);
    let seen = search.needs(next);
    // The oldest of the trials that the next one waits for. It is training, or saved and waiting for a slot of its own.
    let mut seen_trials = history.trials.iter().take(usize::try_from(seen).unwrap_or(usize::MAX));
    let awaited = seen_trials.find(|trial| !matches!(trial.status, Status::Ended(_)));
    let awaited = awaited.map(|awaited| {
        format!(
            "idle: trial {next} depends on the results of trials 1 to {seen} and waits for trial {}; a larger `lag` \
             waits less",
            awaited.id
        )
    });
    let mut text = String::from("\n  why\n");
    if let Some(folder) = &history.mps {
        let _ =
            writeln!(text, "  trials on the same GPU run concurrently: CUDA MPS is running in {}", folder.display());
    }
    let mut told = std::collections::HashSet::new();
    for slot in &history.slots {
        let running = history.trials.iter().find(|trial| trial.status == Status::Running && trial.slot == *slot);
        let reason = match (running, history.held.get(slot)) {
            (Some(trial), None) => format!("trains trial {}", trial.id),
            (Some(trial), Some(held)) => format!("trains trial {}, but {held}", trial.id),
            (None, Some(held)) => format!("idle: {held}"),
            (None, None) if standing.state != State::Running => "idle: no controller is running".into(),
            (None, None) if standing.not_started() == Some(0) => "idle: no trials are left to start".into(),
            (None, None) if awaited.is_some() => awaited.clone().unwrap_or_default(),
            (None, None) if !history.shapes.is_empty() => {
                "idle: its trainer is loading, or its GPU already runs as many trials as memory and throughput allow"
                    .into()
            }
            (None, None) => "idle: its trainer is loading, or the slot can no longer be used".into(),
        };
        // One line is enough for the idle slots of a GPU with the same reason.
        let device = slot.split('.').next().unwrap_or_default();
        if running.is_some() || told.insert((device, reason.clone())) {
            let _ = writeln!(text, "  {}: {}", format::clean(slot), format::clean(&reason));
        }
    }
    for trial in history.trials.iter().filter(|trial| trial.status == Status::Waiting) {
        let reason = match &trial.last_fault {
            Some(fault) if trial.crowded => format!("waits for a device of its own; {fault}"),
            Some(fault) => format!("waits for a free slot to retry; {fault}"),
            None if trial.postponed > 0 => {
                "its program exited before it was done, and will be started again later".into()
            }
            None => match &trial.unsaved {
                Some(reason) => format!("waits for a free slot; it may not have saved a checkpoint: {reason}"),
                None => "saved, waits for a free slot".into(),
            },
        };
        let _ = writeln!(text, "  trial {}: {}", trial.id, format::clean(&reason));
    }
    text
}

/// The newest few failed trials, each with its error.
fn failures(failed: Vec<(&TrialRecord, String)>) -> String {
    const SHOWN: usize = 5;
    if failed.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n  failed or diverged\n");
    for (trial, error) in failed.iter().rev().take(SHOWN) {
        let _ = writeln!(text, "  {}  {}", trial.id, format::clean(error));
    }
    if failed.len() > SHOWN {
        let _ = writeln!(text, "  … and {} earlier ones", failed.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use sweep_core::history::Entry;
    use sweep_core::trial::{Attempt, Outcome};

    /// One trial finished, one running, one lost to a fault. An epoch takes two seconds.
    fn begun() -> Vec<Entry> {
        let mut entries = sweep_sample::beginning("begun");
        let settings = sweep_sample::settings(json!({"learning_rate": 0.001, "dropout": 0.2, "batch_norm": false}));
        entries.extend(sweep_sample::attempt(1, 1, &settings, 0, 20));
        entries.push(sweep_sample::ended(1, 1, Outcome::Finished));
        entries.extend(sweep_sample::attempt(2, 1, &settings, 0, 5));
        entries.extend(sweep_sample::attempt(3, 1, &settings, 0, 10));
        let fault = "the trainer was ended by signal 9 (SIGKILL)".to_owned();
        entries.push(Entry::Lost {
            at: 400.0,
            attempt: Attempt { trial: TrialId(3), number: 1 },
            fault,
            crowded: false,
        });
        for entry in &mut entries {
            if let Entry::Epoch { metrics, .. } = entry {
                metrics.seconds = Some(2.0);
            }
        }
        entries
    }

    #[test]
    fn the_time_left_counts_epochs_and_slots() {
        let history = sweep_sample::apply(&begun());
        // Trial 2 has 15 epochs left, trial 3 has 10, and 9 trials have 20 each; there are 2 slots.
        assert_eq!(seconds_left(&history, Some(12), |_| None), Some((15.0 + 10.0 + 9.0 * 20.0) * 2.0 / 2.0));
        assert_eq!(seconds_left(&history, None, |_| None), None);
        // Before any trial has ended, the sweep file gives the number of epochs.
        let first = sweep_sample::apply(&begun()[..10]);
        assert_eq!(seconds_left(&first, Some(1), |_| Some(20)), Some((20.0 - 6.0) * 2.0));
        assert_eq!(seconds_left(&History::default(), Some(12), |_| Some(20)), None);
    }

    #[test]
    fn the_status_of_a_running_and_of_an_interrupted_sweep() {
        let results = tempfile::tempdir().unwrap();
        let layout = sweep_sample::write(&results.path().join("begun"), &begun());
        let opened = Opened::new(layout.root()).unwrap();
        let standing = Standing::new(&opened.spec, &opened.history, Some(12), true);
        insta::assert_snapshot!(standing.text(&opened));
        let json = standing.json(&opened);
        assert_eq!(json["counts"]["running"], 1);
        assert_eq!((&json["running"][0]["trial"], &json["running"][0]["epochs_done"]), (&json!(2), &json!(5)));
        assert_eq!((&json["running"][0]["epochs"], &json["not_started"]), (&json!(20), &json!(9)));
        assert_eq!(json["best"]["trial"], 1);
        assert_eq!(Standing::new(&opened.spec, &opened.history, Some(12), false).state, State::Interrupted);
        assert_eq!(Standing::new(&opened.spec, &sweep_sample::history(), Some(6), false).state, State::Complete);
    }

    #[test]
    fn the_status_of_a_sweep_whose_trials_all_failed_says_so_and_one_slot_is_one() {
        let mut entries = sweep_sample::beginning("failed");
        let settings = sweep_sample::settings(json!({"learning_rate": 0.001, "dropout": 0.2, "batch_norm": false}));
        for number in 1..=2 {
            entries.extend(sweep_sample::attempt(number, 1, &settings, 0, 0));
            let error = format!("exit code {number}");
            entries.push(sweep_sample::ended(number, 1, Outcome::Failed { error }));
        }
        let request = sweep_core::steering::Request::Slots { most: Some(1) };
        entries.push(Entry::Steered { at: 9.0, id: "1".into(), request: Some(request), said: Vec::new() });
        let results = tempfile::tempdir().unwrap();
        let layout = sweep_sample::write(&results.path().join("failed"), &entries);
        let opened = Opened::new(layout.root()).unwrap();
        let text = Standing::new(&opened.spec, &opened.history, Some(12), false).text(&opened);
        let said = "has failed; it uses at most 1 slot: all 2 trials that ended failed, the last one, 0002, with: exit \
                    code 2; once that is fixed: sweep resume --retry-failed ";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn a_slot_that_waits_for_what_a_saved_trial_comes_to_says_so() {
        let file = sweep_sample::FILE.replace("parameters:", "method: tpe\nrun_cap: 40\nlag: 2\nparameters:");
        let file = file.replace("{values: [1e-3]}", "{distribution: log_uniform_values, min: 1e-4, max: 1e-2}");
        let spec =
            Spec::read(&file, "f", std::path::Path::new("/nowhere")).unwrap_or_else(|problems| panic!("{problems}")).0;
        let mut entries = sweep_sample::beginning("begun");
        for number in 1..=22 {
            let settings = sweep_sample::settings(json!({"learning_rate": 0.001, "dropout": 0.2, "batch_norm": false}));
            entries.extend(sweep_sample::attempt(number, 1, &settings, 0, 1));
            let attempt = Attempt { trial: TrialId(number), number: 1 };
            entries.push(match number {
                20 => Entry::Paused { at: 400.0, attempt, unsaved: None, later: false, signal: None },
                _ => sweep_sample::ended(number, 1, Outcome::Finished),
            });
        }
        let history = sweep_sample::apply(&entries);
        let search = Search::resumed(spec.search_terms(), &history);
        let why = reasons(&history, &search, &Standing::new(&spec, &history, search.len(), true));
        assert!(why.contains("trial 0023 depends on the results of trials 1 to 20 and waits for trial 0020"), "{why}");
        assert!(why.contains("trial 0020: saved, waits"), "{why}");
    }
}
