//! The state of a sweep in a few numbers.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::files;
use crate::sweep;
use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::space::{Curve, Distribution, Parameter};
use sweep_core::trial::{Goal, METRICS, TrialId};
use sweep_report::charts::HIGHLIGHTS;
use sweep_report::ranking::{Counts, Ranking};
use sweep_report::spread::MANY;
use sweep_report::{State, format, seconds_left, summary};
use sweep_spec::Spec;
use sweep_store::Layout;

/// Maximum number of metrics to choose from.
const CHOICES: usize = 100;

/// The overview of a sweep.
pub fn overview(layout: &Layout, state: &sweep::State, now: f64) -> Value {
    let sweep::State { version, spec, history, total, held, problem, insight, rows } = state;
    let mut counts = Counts::new(history);
    if !held {
        // They belonged to a controller that is gone.
        counts.waiting += std::mem::take(&mut counts.running);
    }
    let now_is = State::of(spec, history, *total, *held);
    let ranking = Ranking::new(history, &spec.metric);
    let best = ranking.best().map(|best| {
        json!({
            "trial": best.trial.id.0,
            "value": format::value(&spec.metric.name, best.best.get(&spec.metric.name)),
            "epoch": best.best.epoch,
            "settings": format::settings(&best.trial.settings),
        })
    });
    let planned = |trial: &TrialRecord| sweep_report::planned_epochs(spec, trial);
    let left = seconds_left(history, *total, planned).filter(|_| now_is != State::Complete);
    json!({
        "version": version,
        "name": format::clean(&history.name),
        "folder": layout.root().display().to_string(),
        "description": spec.description.as_deref().map(format::clean),
        "state": now_is,
        "problem": problem,
        "ended": counts.ended(),
        "started": history.trials.len(),
        "total": total,
        "counts": counts.sentence(),
        "failure": failure(history),
        "left": left.map(format::duration),
        "hourly": hourly(history, *held, now),
        "metric": {"name": spec.metric.name, "words": format::metric(&spec.metric),
            "minimize": spec.metric.goal == Goal::Minimize},
        "metrics": metrics(spec.metric.name.as_str(), history),
        "logarithmic": rows.names.iter().map(|name| is_logarithmic(spec, name)).collect::<Vec<_>>(),
        "names": rows.names.iter().map(|name| format::clean(name)).collect::<Vec<_>>(),
        "best": best,
        "leaders": ranking.placed.iter().take(HIGHLIGHTS.len()).map(|place| place.trial.id.0).collect::<Vec<_>>(),
        "target": summary::target(spec, history),
        "shown": shown(spec.metric.goal, &spec.metric.name, state),
        "tied": insight.tied,
        "slots": slots(layout, history, *held),
        "insight": insight.told,
    })
}

/// Whether the sweep file draws a parameter's values from a logarithmic distribution.
fn is_logarithmic(spec: &Spec, name: &str) -> bool {
    let curve = |parameter: &Parameter| match parameter.distribution {
        Distribution::Number { curve, .. } => Some(curve),
        _ => None,
    };
    let found = spec.space.parameters.iter().find(|parameter| parameter.name == name).and_then(curve);
    matches!(found, Some(Curve::LogUniform { .. } | Curve::LogNormal { .. }))
}

/// The newest failure, in one line.
fn failure(history: &History) -> Option<String> {
    let failed = history
        .trials
        .iter()
        .filter(|trial| trial.failed())
        .max_by(|a, b| a.ended_at.unwrap_or(0.0).total_cmp(&b.ended_at.unwrap_or(0.0)))?;
    let error = failed.outcome()?.error()?;
    Some(format!("Trial {} {}: {}", failed.id, format::status(failed), format::clean(&error)))
}

/// Trials that ended since the newest controller took over, per hour. `None` before the first.
fn hourly(history: &History, held: bool, now: f64) -> Option<f64> {
    let ends = || history.trials.iter().filter_map(|trial| trial.ended_at.filter(|_| trial.outcome().is_some()));
    let ended = ends().filter(|at| *at >= history.run_at).count();
    let until = if held { now } else { ends().fold(history.run_at, f64::max) };
    let hours = (until - history.run_at) / 3600.0;
    (ended > 0 && hours > 0.0).then(|| ended as f64 / hours)
}

/// The names of the metrics that were measured, the sweep's own first.
fn metrics(own: &str, history: &History) -> Vec<String> {
    let mut names = vec![own.to_owned()];
    // Trials of a sweep report the same metrics, so a few of them are enough.
    let trials = || history.trials.iter().rev().filter(|trial| !trial.curve.is_empty()).take(50);
    let is_measured = |name: &str| trials().any(|trial| trial.curve.iter().any(|epoch| epoch.get(name).is_some()));
    let order = ["val_loss", "val_accuracy"].into_iter().chain(METRICS);
    let others: BTreeSet<&String> = trials().flat_map(|trial| trial.others.keys()).collect();
    let others = others.into_iter().map(String::as_str);
    for name in order.filter(|name| is_measured(name)).chain(others).take(CHOICES) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The trials whose curves are drawn: the best, and those under way. Each with its number of epochs, which tells a viewer
/// whether its curve has grown.
fn shown(goal: Goal, metric: &str, state: &sweep::State) -> Vec<(u64, u32)> {
    let value = |trial: &TrialRecord| {
        let best = state.spec.metric.best(&trial.curve)?.get(metric)?;
        Some(if goal == Goal::Minimize { best } else { -best })
    };
    let trials = || state.history.trials.iter().filter(|trial| !trial.curve.is_empty());
    let under_way = trials().filter(|trial| trial.status == Status::Running).take(MANY / 2);
    let mut chosen: Vec<&TrialRecord> = under_way.collect();
    let mut others: Vec<(f64, &TrialRecord)> =
        trials().map(|trial| (value(trial).unwrap_or(f64::INFINITY), trial)).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0));
    let known: BTreeSet<TrialId> = chosen.iter().map(|trial| trial.id).collect();
    chosen.extend(others.into_iter().map(|(_, trial)| trial).filter(|trial| !known.contains(&trial.id)).take(MANY));
    chosen.truncate(MANY);
    chosen.rotate_left(known.len());
    chosen.into_iter().map(|trial| (trial.id.0, trial.epochs())).collect()
}

/// The slots: what each trains, or why it does not, and the load of its device.
fn slots(layout: &Layout, history: &History, held: bool) -> Vec<Value> {
    let devices = devices(layout);
    let running: HashMap<&str, &TrialRecord> = history
        .trials
        .iter()
        .filter(|trial| trial.status == Status::Running)
        .map(|trial| (trial.slot.as_str(), trial))
        .collect();
    let slot = |name: &String| {
        let device = devices.get(name.split('.').next().unwrap_or_default());
        json!({
            "name": format::clean(name),
            "trial": running.get(name.as_str()).filter(|_| held).map(|trial| trial.id.0),
            "since": running.get(name.as_str()).filter(|_| held).map(|trial| trial.started_at),
            "held": history.held.get(name).map(|why| format::clean(why)),
            "load": device.and_then(|row| row.get("load")),
            "memory": device.and_then(|row| row.get("memory_used_mib")),
        })
    };
    history.slots.iter().map(slot).collect()
}

/// The newest row of each device in `devices.csv`.
fn devices(layout: &Layout) -> HashMap<String, HashMap<String, f64>> {
    const TAIL: u64 = 16 << 10;
    let mut devices = HashMap::new();
    let (Some(head), Some(tail)) = (head(layout), files::tail(layout.root(), "devices.csv", TAIL)) else {
        return devices;
    };
    let names: Vec<&str> = head.split(',').collect();
    let Some(device) = names.iter().position(|name| *name == "device") else { return devices };
    for line in tail.lines() {
        let cells: Vec<&str> = line.split(',').collect();
        // The columns that may contain a comma come last.
        if cells.len() >= names.len() {
            let numbers =
                names.iter().zip(&cells).filter_map(|(name, cell)| Some((name.to_string(), cell.parse().ok()?)));
            devices.insert(cells[device].to_owned(), numbers.collect());
        }
    }
    devices
}

/// The first line of `devices.csv`.
fn head(layout: &Layout) -> Option<String> {
    use std::io::BufRead;
    let file = std::fs::File::open(layout.devices_csv()).ok().filter(|_| !layout.devices_csv().is_symlink())?;
    let mut line = String::new();
    std::io::BufReader::new(std::io::Read::take(file, 1000)).read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_load_of_each_device_is_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let layout = Layout::new(folder.path());
        let row = |time: u32, device: &str, load: u32| {
            format!("{time},{device},GPU-1,{load},{},250.0,60,,\"1 2\"\n", load * 100)
        };
        let head = "time,device,uuid,load,memory_used_mib,power_watts,temperature_celsius,throttled,trials\n";
        let text = [head.to_owned(), row(1, "cuda:0", 10), row(1, "cuda:1", 20), row(2, "cuda:0", 30)].concat();
        std::fs::write(layout.devices_csv(), text).expect("writable");
        let devices = devices(&layout);
        assert_eq!((devices["cuda:0"]["load"], devices["cuda:1"]["memory_used_mib"]), (30.0, 2000.0));
    }
}
