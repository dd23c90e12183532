//! The page of one trial.

use serde_json::{Value, json};

use super::{curves, kind, status};
use crate::files;
use crate::sweep::State;
use sweep_core::trial::{METRICS, Metric, TrialId};
use sweep_report::format;
use sweep_store::Layout;
use sweep_verdict::{Finding, merged_advice};

/// Maximum number of metrics that are drawn.
const DRAWN: usize = 40;

/// Everything about one trial. `None` if it was never started.
pub fn trial(layout: &Layout, state: &State, id: TrialId) -> Option<Value> {
    let State { spec, history, held, .. } = state;
    let trial = history.trial(id)?;
    let findings = sweep_report::findings(spec, history, trial);
    let best = spec.metric.best(&trial.curve);
    let own = Some(&spec.metric.name).filter(|name| !METRICS.contains(&name.as_str())).cloned();
    let names = METRICS.map(str::to_owned).into_iter().chain(own).chain(trial.others.keys().cloned());
    let mut names: Vec<String> = names.collect();
    names.dedup();
    let more = names.len().saturating_sub(METRICS.len() + DRAWN);
    names.truncate(METRICS.len() + DRAWN);
    let task = sweep_report::verdicts::task(spec, history);
    let log = files::log(layout.root(), id);
    let value = |name: &str| format::value(name, best.and_then(|best| best.get(name)));
    let others = METRICS.iter().filter(|name| **name != spec.metric.name);
    let at_best = others.filter(|name| best.is_some_and(|best| best.get(name).is_some()));
    let words = |name: &str| format::metric(&Metric { name: name.into(), ..spec.metric.clone() }).to_owned();
    let at_best: Vec<(String, String)> = at_best.map(|name| (words(name), value(name))).collect();
    Some(json!({
        "trial": id.0,
        "status": status(trial, *held),
        "kind": kind(trial),
        "tag": history.steering.tags.get(&id).map(|tag| format::clean(tag)),
        "error": trial.outcome().and_then(|outcome| outcome.error()).map(|error| format::clean(&error)),
        "fault": trial.last_fault.as_deref().map(format::clean),
        "settings": trial.settings.iter().map(|(name, value)| (format::clean(name), format::setting(value)))
            .collect::<Vec<_>>(),
        "repeat": trial.repeat,
        "metric": format::metric(&spec.metric),
        "value": value(&spec.metric.name),
        "best": best.map(|best| best.epoch),
        "onset": findings.iter().find_map(Finding::onset),
        "epochs": trial.epochs(),
        "at_best": at_best,
        "seconds": format::duration(trial.seconds),
        "slot": format::clean(&trial.slot),
        "attempts": trial.attempts,
        "weights": trial.parameters.map(format::count),
        "curves": curves::all(trial, &names),
        "not_drawn": more,
        "findings": findings.iter().map(|finding| json!({
            "label": finding.label(),
            "headline": finding.headline,
            "evidence": finding.evidence.iter().map(|one| (one.what.clone(), one.text())).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "advice": merged_advice(&findings).iter().map(|advice| advice.text(task)).collect::<Vec<_>>(),
        "warnings": trial.warnings.iter().map(|warning| format::clean(&warning.text)).collect::<Vec<_>>(),
        "log": log.as_ref().map(|(text, _)| text),
        "log_is_cut": log.as_ref().is_some_and(|(_, more)| *more),
        "folder": layout.trial(id).display().to_string(),
        "files": files::list(layout.root(), id),
    }))
}
