//! Log lines for journal entries.

use sweep_core::history::{Entry, History, NodeChange, TrialRecord};
use sweep_core::nearest::nearest_metric;
use sweep_core::program::{LATER, signal_name};
use sweep_core::trial::{Attempt, EpochMetrics, METRICS, Metric, Outcome, TrialId};
use sweep_core::warning::Warning;
use sweep_report::{budget, format};
use sweep_scheduler::schedule::{Scheduler, State};
use sweep_spec::Spec;

/// An epoch that takes longer than this number of seconds has a line.
const LONG_EPOCH: f64 = 10.0;

/// Maximum number of trials that a line about a round of the race lists.
const MOST_RACED: usize = 10;

/// One line for each slot that has been given up.
pub fn given_up(scheduler: &Scheduler) -> impl Iterator<Item = String> {
    scheduler.given_up().filter_map(|slot| match &slot.state {
        // That a host has left was told.
        State::Out { .. } if slot.node.is_some() => None,
        State::Out { reason } => Some(format!("{}: given up: {reason}", of_device(&slot.name)?)),
        _ => None,
    })
}

/// A message about a device is printed only for its first slot.
fn of_device(slot: &str) -> Option<&str> {
    // The name of a host may have dots, too.
    let share = |share: &str| share.bytes().all(|byte| byte.is_ascii_digit());
    match slot.rsplit_once('.') {
        Some((device, "0")) => Some(device),
        Some((_, number)) if share(number) => None,
        _ => Some(slot),
    }
}

/// The line for an attempt that has left its slot. `None` if its trial has ended with that: the next line says how.
fn paused(
    Attempt { trial, .. }: Attempt,
    unsaved: Option<&str>,
    (later, signal): (bool, Option<i32>),
    scheduler: &Scheduler,
) -> Option<String> {
    let record = scheduler.history().trial(trial)?;
    let rule = scheduler.parks(trial).map(|by| format!("paused by {by} after {} epochs", record.epochs()));
    Some(match (signal, unsaved, rule) {
        _ if record.outcome().is_some() => return None,
        (Some(number), ..) => format!(
            "trial {trial}: its program exited with code 0 after {} from another process; it is started again, to \
            continue from its own checkpoint",
            signal_name(number)
        ),
        _ if later => format!("trial {trial}: the program asks to be started again later (exit code {LATER})"),
        (None, Some(reason), Some(rule)) => {
            format!("trial {trial}: {rule}; it may not have saved a checkpoint: {reason}")
        }
        (None, Some(reason), None) => {
            format!("trial {trial}: stopped; it may not have saved a checkpoint: {reason}")
        }
        (None, None, Some(rule)) => format!("trial {trial}: {rule}; saved"),
        (None, None, None) => format!("trial {trial}: saved"),
    })
}

/// The log line for an entry, or `None` if the entry does not need one.
pub fn line(entry: &Entry, scheduler: &Scheduler, spec: &Spec) -> Option<String> {
    let history = scheduler.history();
    let of_total = |id: TrialId| match scheduler.total() {
        Some(total) => format!("trial {id} of {total}"),
        None => format!("trial {id}"),
    };
    match entry {
        Entry::Started { attempt: Attempt { trial, number }, slot, .. } => {
            let settings = format::settings(&history.trial(*trial)?.settings);
            let again = if *number > 1 { format!(", attempt {number}") } else { String::new() };
            Some(format!("{}: started on {slot}{again}: {settings}", of_total(*trial)))
        }
        Entry::Row { attempt, source: Some(source), .. } if is_new_source(source, *attempt, history) => {
            Some(format!("trial {}: {} is read from {source}", attempt.trial, spec.metric.name))
        }
        Entry::Epoch { attempt, metrics, .. } | Entry::Row { attempt, metrics, .. } => {
            long_epoch(*attempt, metrics, &spec.metric)
        }
        Entry::Began { attempt, warnings, .. } => new_warnings(*attempt, warnings, history),
        Entry::Warned { attempt, warning } => Some(format!("trial {}: warning: {}", attempt.trial, warning.text)),
        Entry::Paused { attempt, unsaved, later, signal, .. } => {
            paused(*attempt, unsaved.as_deref(), (*later, *signal), scheduler)
        }
        Entry::Spared { attempt, by, epoch, .. } => Some(format!(
            "trial {}: {by} would stop it after {epoch} epochs; it keeps running as an audit of the rule",
            attempt.trial
        )),
        Entry::Bought { purchase, .. } => Some(format!("budget: pays for {}", budget::bought(purchase))),
        Entry::Raced { round, .. } => Some(raced(&round.again)),
        Entry::Lost { attempt, fault, .. } => Some(format!("trial {}: will be retried: {fault}", attempt.trial)),
        Entry::Ended { attempt, outcome, .. } => ended(history.trial(attempt.trial)?, outcome, &spec.metric),
        Entry::Device { slot, held: Some(reason), .. } => Some(format!("{}: {reason}", of_device(slot)?)),
        Entry::Device { slot, held: None, .. } => Some(format!("{}: free again", of_device(slot)?)),
        Entry::Run { mps: Some(folder), .. } => {
            Some(format!("CUDA MPS: running in {}, used by the trainers", folder.display()))
        }
        Entry::Backend { slot, backend, .. } => {
            let before = history.backends.iter().rev().nth(1)?;
            Some(format!(
                "{slot}: trainers now use {backend} instead of {before}; results of the same trial may differ in the \
                 last bits"
            ))
        }
        Entry::Steered { said, .. } => Some(format!("request: {}", format::clean(&said.join("; ")))),
        Entry::Skipped { trial, .. } => Some(format!("{}: skipped", of_total(*trial))),
        Entry::Node { node, what, .. } => Some(format!("{node}: {}", of_node(what))),
        Entry::Kept { attempt, .. } => {
            Some(format!("trial {}: continues on {}", attempt.trial, history.trial(attempt.trial)?.slot))
        }
        Entry::Reopened { trial, .. } => Some(format!("trial {trial}: will be retried")),
        _ => None,
    }
}

/// Whether no other trial read its metric from this source. All trials of a script have the same source, so only the
/// first one is reported.
fn is_new_source(source: &str, attempt: Attempt, history: &History) -> bool {
    !history.trials.iter().any(|one| one.id != attempt.trial && one.source.as_deref() == Some(source))
}

fn long_epoch(attempt: Attempt, metrics: &EpochMetrics, metric: &Metric) -> Option<String> {
    metrics.seconds.filter(|seconds| *seconds > LONG_EPOCH)?;
    let value = format::number(metrics.get(&metric.name)?, 4);
    Some(format!("trial {}: epoch {}: {} {value}", attempt.trial, metrics.epoch, metric.name))
}

/// A problem with one network usually affects the others as well, so only the first trial with it reports it. Trials may
/// have started after this entry was created, so only earlier ones count.
fn new_warnings(attempt: Attempt, warnings: &[Warning], history: &History) -> Option<String> {
    let told = |name: &String| {
        let others = history.trials.iter().filter(|trial| trial.id < attempt.trial);
        others.flat_map(|trial| &trial.warnings).any(|one| one.name == *name)
    };
    let new: Vec<&str> = warnings.iter().filter(|one| !told(&one.name)).map(|one| one.text.as_str()).collect();
    (!new.is_empty()).then(|| format!("trial {}: warning: {}", attempt.trial, new.join(" ")))
}

/// A round of the race: these trials are run once more.
fn raced(again: &[TrialId]) -> String {
    let trials: Vec<String> = again.iter().take(MOST_RACED).map(ToString::to_string).collect();
    let more = again.len().saturating_sub(MOST_RACED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let which = if again.len() == 1 { "trial" } else { "trials" };
    format!(
        "race: no configuration is proven to be the best yet; the configurations of {which} {}{more} run once more",
        trials.join(", ")
    )
}

fn ended(trial: &TrialRecord, outcome: &Outcome, metric: &Metric) -> Option<String> {
    let what = match outcome {
        Outcome::Stopped { by, .. } => format!("stopped by {by}"),
        _ => outcome.name().replace('_', " "),
    };
    if let Some(error) = outcome.error() {
        return Some(format!("trial {}: {what}: {error}", trial.id));
    }
    let best = metric.best(&trial.curve)?;
    Some(format!(
        "trial {}: {what} after {} epochs; best {} {} at epoch {}",
        trial.id,
        trial.epochs(),
        metric.name,
        format::number(best.get(&metric.name)?, 4),
        best.epoch
    ))
}

fn of_node(what: &NodeChange) -> String {
    match what {
        NodeChange::Joined { slots, machine } => format!("joined with {} slots: {}", slots.len(), machine.about),
        NodeChange::Silent { why } => format!("unreachable: {why}"),
        NodeChange::Back => "answers again".to_owned(),
        NodeChange::Left { why } => format!("left: {why}"),
    }
}

/// A warning, if the trial has reported epochs but never the metric. Its name in the sweep file is then probably wrong.
pub fn misnamed(entry: &Entry, scheduler: &Scheduler, spec: &Spec) -> Option<String> {
    let Entry::Row { attempt, .. } = entry else { return None };
    let history = scheduler.history();
    let lacks = |trial: &TrialRecord| trial.curve.len() > 1 && spec.metric.best(&trial.curve).is_none();
    let trial = history.trial(attempt.trial).filter(|trial| spec.ranks && lacks(trial))?;
    let measured = METRICS.into_iter().filter(|name| trial.curve.iter().any(|epoch| epoch.get(name).is_some()));
    let names: Vec<&str> = trial.others.keys().map(String::as_str).chain(measured).collect();
    let metric = &spec.metric.name;
    let near = nearest_metric(metric, &names).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Some(format!(
        "trial {}: warning: reports epochs without {metric}, the metric of the sweep file, and fails if it never \
         reports it; reported metrics: {}{near}",
        trial.id,
        names.join(", ")
    ))
}
