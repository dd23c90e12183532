//! `sweep run --json`: what happens in a sweep, one JSON object per line, for programs. Pure.
//!
//! This is a promise to other people's scripts, unlike the journal: docs/reference/events.md lists every event and key,
//! and a test compares that page with what is printed.

use serde_json::{Map, Value, json};

use sweep_core::error::Exit;
use sweep_core::history::{Entry, History, TrialRecord};
use sweep_core::trial::{EpochMetrics, METRICS, Others, TrialId};
use sweep_report::ranking::{Counts, Ranking};
use sweep_spec::Spec;
use sweep_store::Layout;

/// Version of the events. It rises when a key or an event is removed or changes its meaning, not when one is added.
pub const SCHEMA: u32 = 1;

/// The first event: a controller took over.
pub fn begin(history: &History, spec: &Spec, layout: &Layout, slots: &[String], total: Option<u64>) -> Value {
    json!({
        "event": "begin",
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "name": history.name,
        "folder": layout.root().to_string_lossy(),
        "metric": spec.metric,
        "trials": total,
        "ended": Counts::new(history).ended(),
        "slots": slots,
    })
}

/// The event for an entry of the journal. `None` if the entry concerns only `sweep` itself.
pub fn event(entry: &Entry, history: &History, spec: &Spec) -> Option<Value> {
    let settings = |id: &TrialId| history.trial(*id).map(|trial| &trial.settings);
    Some(match entry {
        Entry::Started { attempt, slot, .. } => json!({
            "event": "trial_started",
            "trial": attempt.trial,
            "attempt": attempt.number,
            "slot": slot,
            "parameters": settings(&attempt.trial),
        }),
        Entry::Epoch { attempt, metrics, others } | Entry::Row { attempt, metrics, others, .. } => json!({
            "event": "epoch",
            "trial": attempt.trial,
            "attempt": attempt.number,
            "epoch": metrics.epoch,
            "metrics": measured(metrics, others, &spec.metric.name),
        }),
        Entry::Paused { attempt, unsaved, later, signal, .. } => json!({
            "event": "trial_paused",
            "trial": attempt.trial,
            "attempt": attempt.number,
            "unsaved": unsaved,
            "later": later,
            "signal": signal,
        }),
        Entry::Lost { attempt, fault, .. } => json!({
            "event": "trial_lost",
            "trial": attempt.trial,
            "attempt": attempt.number,
            "fault": fault,
        }),
        Entry::Ended { attempt, .. } => ended(history.trial(attempt.trial)?, history, spec),
        Entry::Skipped { trial, .. } => ended(history.trial(*trial)?, history, spec),
        Entry::Reopened { trial, .. } => json!({"event": "trial_reopened", "trial": trial}),
        Entry::Device { slot, held, .. } => json!({"event": "slot", "slot": slot, "held": held}),
        Entry::Steered { said, .. } => json!({"event": "request", "said": said}),
        _ => return None,
    })
}

/// A message that the terminal would show, about something that the user should look at.
pub fn warning(text: &str) -> Value {
    json!({"event": "warning", "text": text})
}

/// The last event: the controller ends with this exit code.
pub fn end(history: &History, spec: &Spec, layout: &Layout, exit: Exit) -> Value {
    let best = Ranking::new(history, &spec.metric).best().map(|best| {
        json!({
            "trial": best.trial.id,
            "value": best.best.get(&spec.metric.name),
            "epoch": best.best.epoch,
            "parameters": best.trial.settings,
        })
    });
    json!({
        "event": "end",
        "state": if history.complete { "complete" } else { "interrupted" },
        "exit_code": exit as u8,
        "counts": Counts::new(history),
        "best": best,
        "report": layout.report_html().to_string_lossy(),
        "resume": (!history.complete).then(|| ["sweep".into(), "resume".into(), layout.root().display().to_string()]),
    })
}

fn ended(trial: &TrialRecord, history: &History, spec: &Spec) -> Value {
    let best = spec.metric.best(&trial.curve);
    let leader = Ranking::new(history, &spec.metric).best().map(|place| place.trial.id);
    json!({
        "event": "trial_ended",
        "trial": trial.id,
        "status": trial.status.name(),
        "error": trial.outcome().and_then(|outcome| outcome.error()),
        "epochs": trial.epochs(),
        "value": best.and_then(|best| best.get(&spec.metric.name)),
        "best_epoch": best.map(|best| best.epoch),
        "is_best": leader == Some(trial.id),
        "seconds": trial.seconds,
    })
}

/// All metrics of an epoch under their own names. `metric` is the name of the one that ranks the trials.
fn measured(epoch: &EpochMetrics, others: &Others, metric: &str) -> Map<String, Value> {
    let usual = METRICS.into_iter().filter_map(|name| Some((name.to_owned(), epoch.get(name)?)));
    let rest = [
        (metric, epoch.objective),
        ("learning_rate", epoch.learning_rate),
        ("seconds", epoch.seconds),
        ("pictures_per_second", epoch.pictures_per_second),
    ];
    let rest = rest.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let others = others.iter().map(|(name, value)| (name.clone(), *value));
    others.chain(rest).chain(usual).map(|(name, value)| (name, value.into())).collect()
}
