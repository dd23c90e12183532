//! Sentences about the sweep as a whole: what became of its trials, and what changed while it ran.

use super::super::analysis::Analysis;
use super::super::ranking::{Counts, Place};
use super::super::{budget, format, stages};
use super::target;
use sweep_core::describe::runs;
use sweep_core::history::{History, Import, TrialRecord};
use sweep_core::trial::{EpochMetrics, Goal, Outcome, TrialId};
use sweep_spec::Spec;

/// Details about the sweep as a whole.
pub(super) fn of_sweep(analysis: &Analysis) -> Vec<String> {
    let Analysis { spec, history, ranking, .. } = analysis;
    let trials = history.trials.len() as u64;
    let plural = if trials == 1 { "trial was" } else { "trials were" };
    let started = format!("{} {plural} started: {}.", format::count(trials), Counts::new(history).sentence());
    let mut details = vec![started];
    details.extend(target(spec, history));
    details.extend(budget::sentence(spec, history));
    details.extend(early_terminate(spec, history));
    details.extend(extensions(history));
    details.extend(imports(spec, history, ranking.best()));
    details.extend(processors(history));
    details.extend(scripts(history));
    details.extend(tags(history));
    if spec.ranks || !ranking.placed.is_empty() {
        let better = match spec.metric.goal {
            Goal::Minimize => "lower",
            Goal::Maximize => "higher",
        };
        let metric = format::metric(&spec.metric);
        details.push(format!("Trials are ranked by {metric} at their best epoch ({better} is better)."));
    }
    details
}

/// That every trial so far failed, and why the last one did. `None` if one did not, or if none has ended.
pub fn hopeless(history: &History) -> Option<String> {
    let ended = || history.trials.iter().filter(|trial| trial.outcome().is_some());
    let last = ended().max_by(|a, b| a.ended_at.unwrap_or(0.0).total_cmp(&b.ended_at.unwrap_or(0.0)))?;
    if !ended().all(TrialRecord::failed) {
        return None;
    }
    let error = format::clean(&last.outcome()?.error()?);
    Some(match ended().count() {
        1 => format!("the only trial that ended, {}, failed: {error}", last.id),
        many => {
            format!(
                "all {} trials that ended failed, the last one, {}, with: {error}",
                format::count(many as u64),
                last.id
            )
        }
    })
}

/// That the hosts have several kinds of processors, if they do.
pub fn processors(history: &History) -> Option<String> {
    let kinds = history.processors();
    let kind =
        |(kind, hosts): (&&str, &Vec<&str>)| format!("{} ({})", format::clean(kind), format::clean(&hosts.join(", ")));
    let list = kinds.iter().map(kind).collect::<Vec<_>>().join("; ");
    (kinds.len() > 1).then(|| {
        format!("The same trial may differ in its last bits, because hosts have different instruction sets: {list}.")
    })
}

/// The extensions of the sweep, one sentence each.
pub fn extensions(history: &History) -> impl Iterator<Item = String> {
    history.extensions.iter().map(|extension| {
        if let Some(stage) = &extension.stage {
            return stages::sentence(extension, stage);
        }
        let trials = match extension.trials {
            (None, None) => String::new(),
            (from, to) => {
                let [from, to] = [from, to].map(|trials| trials.map_or("any number of".to_owned(), format::count));
                format!(" from {from} to {to} trials,")
            }
        };
        let changes = extension.changes.iter().map(|change| format::clean(change)).collect::<Vec<_>>().join("; ");
        format!(
            "The sweep was extended{trials} {} after its start, when {} had been started{}{changes}.",
            format::duration(extension.at - history.began_at),
            format::trials(extension.begun),
            if changes.is_empty() { "" } else { ": " },
        )
    })
}

/// What is known of older studies, one sentence each. `best` is the best trial of the sweep itself.
fn imports(spec: &Spec, history: &History, best: Option<&Place>) -> Vec<String> {
    let (name, goal) = (&spec.metric.name, spec.metric.goal);
    let own = best.and_then(|best| best.best.get(name));
    let told = |import: &Import| {
        let (source, trials) = (format::clean(&import.source), format::trials(import.trials.len()));
        if import.metric != *name {
            return format!(
                "{trials} of {source} were imported by their {}, and are not used for {name}.",
                format::clean(&import.metric)
            );
        }
        let mut values: Vec<(f64, &str)> =
            import.trials.iter().map(|known| (known.value, known.name.as_str())).collect();
        values.sort_by(|(a, _), (b, _)| if goal == Goal::Minimize { a.total_cmp(b) } else { b.total_cmp(a) });
        let mut line = format!("{trials} of {source} were imported. They are not among the trials of this sweep");
        if let Some((value, which)) = values.first() {
            let ahead = own.is_some_and(|own| goal.better(*value, own));
            let than = if ahead { ", better than every trial of this sweep" } else { "" };
            line += &format!(
                "; the best of them, {}, has {} {}{than}",
                format::clean(which),
                format::metric(&spec.metric),
                format::value(name, Some(*value))
            );
        }
        line + "."
    };
    history.imports.iter().map(told).collect()
}

/// That the script of a program changed while the sweep ran, and which trials ran which version.
pub fn scripts(history: &History) -> Option<String> {
    let mut versions: Vec<(&String, Vec<u64>)> = Vec::new();
    for trial in &history.trials {
        for script in &trial.scripts {
            match versions.iter_mut().find(|(known, _)| *known == script) {
                Some((_, trials)) if trials.last() == Some(&trial.id.0) => {}
                Some((_, trials)) => trials.push(trial.id.0),
                None => versions.push((script, vec![trial.id.0])),
            }
        }
    }
    if versions.len() < 2 {
        return None;
    }
    let count = format::count(versions.len() as u64);
    let version = |(_, trials): &(&String, Vec<u64>)| {
        format!("{} {}", if trials.len() == 1 { "trial" } else { "trials" }, ranges(trials))
    };
    let listed = versions.iter().map(version).collect::<Vec<_>>().join("; ");
    let mixed: Vec<u64> =
        history.trials.iter().filter(|trial| trial.scripts.len() > 1).map(|trial| trial.id.0).collect();
    let mixed = match mixed[..] {
        [] => String::new(),
        _ => format!(" It changed between attempts of trial {}.", ranges(&mixed)),
    };
    Some(format!(
        "The script changed while the sweep ran, so results may not be comparable. Its {count} versions ran in {listed}.{mixed}"
    ))
}

/// Numbers in ascending order, in short: `1 to 5, 8`.
fn ranges(numbers: &[u64]) -> String {
    let run = |(first, last): &(u64, u64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    };
    runs(numbers.iter().copied()).iter().map(run).collect::<Vec<_>>().join(", ")
}

/// The tags that the user gave to trials.
pub fn tags(history: &History) -> Option<String> {
    let tag = |(id, text): (&TrialId, &String)| format!("trial {id} “{}”", format::clean(text));
    let tags: Vec<String> = history.steering.tags.iter().map(tag).collect();
    (!tags.is_empty()).then(|| format!("Tags: {}.", tags.join(", ")))
}

/// What `early_terminate` saved, and its error rate among trials where it was overruled.
pub(super) fn early_terminate(spec: &Spec, history: &History) -> Option<String> {
    let chosen = history.purchase.is_some_and(|purchase| purchase.min_iter.is_some());
    if spec.early_terminate.is_none() && !chosen {
        return None;
    }
    // A program does not announce its number of epochs, so the longest trial's number is assumed.
    let longest = history.trials.iter().map(|trial| trial.curve.len() as u64).max().unwrap_or(0);
    let planned =
        |trial: &TrialRecord| spec.recipe(&trial.settings).map_or(longest, |recipe| recipe.training.epochs.into());
    let stopped = |trial: &&TrialRecord| matches!(trial.outcome(), Some(Outcome::Stopped { .. }));
    let (mut count, mut trained, mut all) = (0, 0_u64, 0_u64);
    for trial in history.trials.iter().filter(stopped) {
        count += 1;
        trained += trial.curve.len() as u64;
        all += u64::max(planned(trial), trial.curve.len() as u64);
    }
    let mut line = format!(
        "{} stopped {} of {} trials. They trained {} epochs instead of {}.",
        if spec.early_terminate.is_none() { "The rule that the budget chose" } else { "`early_terminate`" },
        format::count(count),
        format::count(history.trials.len() as u64),
        format::count(trained),
        format::count(all)
    );
    let ranking = history.ranking(&spec.metric);
    let value = |spared: bool| {
        let one = |(trial, best): &&(&TrialRecord, EpochMetrics)| trial.spared.is_some() == spared && best.epoch > 0;
        ranking.iter().filter(one).filter_map(|(_, best)| best.get(&spec.metric.name)).collect::<Vec<f64>>()
    };
    let (spared, others) = (value(true), value(false));
    if !spared.is_empty() {
        let best = others.first();
        let wrong = spared.iter().filter(|value| best.is_none_or(|best| spec.metric.goal.better(**value, *best)));
        line += &format!(
            " To measure its error rate, {} that it would have stopped continued: {} became better than all trials \
             that it did not stop.",
            format::trials(spared.len()),
            format::count(wrong.count() as u64)
        );
    }
    Some(line)
}
