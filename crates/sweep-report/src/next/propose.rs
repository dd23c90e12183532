//! The changes that follow from the findings.

use serde_yaml::{Mapping, Value};

use super::super::analysis::Analysis;
use super::super::format;
use super::super::identical::Identical;
use super::super::ties::SEEDS;
use super::{Change, rate, regularization, statistics, values};
use sweep_core::trial::TrialId;
use sweep_spec::Network;
use sweep_verdict::{Advice, Name};

/// Early stopping is proposed if at least this share of the epochs came after the best one.
const WASTED: f64 = 0.25;
/// A lower learning rate is proposed if at least this share of the trials has no result.
const LOST: f64 = 0.5;

/// Maximum number of tied trials that are run again.
const TIED: usize = 7;

/// The proposed changes, in the order in which they are validated. Of several changes of one key, the first valid one
/// is made. If only repeats can go on, they are all that changes.
pub fn changes(file: &Mapping, analysis: &Analysis) -> Vec<Change> {
    let mut changes = vec![change(&["name"], format!("{}-next", analysis.spec.name), "")];
    if !analysis.ranking.placed.is_empty() {
        changes.extend(of_seed(analysis));
    }
    let improving: Vec<Change> = match analysis.spec.network() {
        Some(network) => {
            let training = of_training(network, analysis).into_iter();
            training.chain(regularization::changes(network, file, analysis)).collect()
        }
        None => epochs_of_program(analysis, file).into_iter().collect(),
    };
    let statistics = statistics::change(file, analysis);
    let rate = if statistics.is_some() { Vec::new() } else { rate::changes(file, analysis) };
    // As long as something may improve all configurations, it is too early to tell the best of them apart.
    let too_early = !rate.is_empty()
        || statistics.is_some()
        || analysis.effects.iter().any(|effects| effects.edges.iter().any(|edge| edge.proven))
        || improving.iter().any(|change| change.path.last().is_some_and(|key| key != "early_stopping"));
    let repeats = if too_early { Vec::new() } else { of_ties(analysis) };
    if !repeats.is_empty() {
        changes.extend(repeats);
        return changes;
    }
    if file.contains_key("enqueue") {
        let reason = "`enqueue` is removed, because its configurations were tried.".into();
        changes.push(Change { path: vec!["enqueue".into()], value: None, reason });
    }
    changes.extend(rate);
    match statistics {
        // What validation measured says nothing about the parameters yet.
        Some(change) => changes.push(change),
        None => changes.extend(of_parameters(file, analysis)),
    }
    changes.extend(improving);
    changes
}

/// A new seed, and the old one for the split: the results of both sweeps are then measured on the same images.
fn of_seed(analysis: &Analysis) -> Vec<Change> {
    let spec = analysis.spec;
    let mut changes =
        vec![change(&["seed"], spec.seed.wrapping_add(1), "A new seed, so that the search draws different values.")];
    // The split of data that has its own validation images is drawn only where something else is held out or left out.
    let drawn = |network: &Network| {
        let is_own =
            network.own_validation || network.fixed.get("validation").is_some_and(serde_json::Value::is_string);
        !is_own || ["test", "train_examples"].iter().any(|name| network.fixed.contains_key(*name))
    };
    if spec.network().is_some_and(drawn) {
        let reason = "The same images are held out as before, so that the results can be compared.";
        changes.push(change(&["data", "split_seed"], spec.split_seed(), reason));
    }
    changes
}

/// Names that programs give to their number of epochs.
const EPOCHS: [&str; 5] = ["epochs", "num_epochs", "max_epochs", "n_epochs", "num_train_epochs"];

/// More epochs for a program, if the file gives it a fixed number of them.
fn epochs_of_program(analysis: &Analysis, file: &Mapping) -> Option<Change> {
    let (until, reason) = longer(analysis)?;
    let parameters = file.get("parameters")?.as_mapping()?;
    let fixed = |name: &&&str| {
        parameters.get(**name).and_then(Value::as_mapping).is_some_and(|table| {
            table.len() == 1
                && table.get("value").and_then(Value::as_u64).is_some_and(|epochs| epochs < u64::from(until))
        })
    };
    let name = EPOCHS.iter().find(fixed)?;
    Some(change(&["parameters", name], Mapping::from_iter([("value".into(), until.into())]), reason))
}

/// The number of epochs that the trials ask for, and the reason.
fn longer(analysis: &Analysis) -> Option<(u32, String)> {
    let ask = analysis.asked(|advice| matches!(advice, Advice::MoreEpochs { .. }))?;
    let Advice::MoreEpochs { until, .. } = ask.advice else { return None };
    let were = if ask.trials == 1 { "was" } else { "were" };
    Some((until, format!("{} {were} still improving at the last epoch.", format::trials(ask.trials))))
}

/// Proposes repeats for the trials that cannot be distinguished, and for no others.
fn of_ties(analysis: &Analysis) -> Vec<Change> {
    let (spec, tied) = (analysis.spec, &analysis.ties.trials);
    // What is equal to the last digit would be so again.
    let identical = || spec.program().is_some() && Identical::new(analysis.history) != Identical::default();
    if spec.most_repeats > 1 || tied.len() < 2 || identical() {
        return Vec::new();
    }
    let count = tied.len().min(TIED);
    let points: Option<Vec<Value>> =
        tied.iter().take(count).map(|id| Some(Value::from(point(analysis, *id)?))).collect();
    let which = if count < tied.len() { format!("The best {count} of them") } else { "They".to_owned() };
    let reason = format!("{} trials are tied. {which} run again, and no others.", tied.len());
    let mut changes: Vec<Change> = points.map(|points| change(&["enqueue"], points, reason)).into_iter().collect();
    if !changes.is_empty() {
        changes.push(change(&["repeats"], SEEDS, "Only repeats with other seeds can show which is best."));
        let reason = format!("These {count} configurations with {SEEDS} seeds each.");
        changes.push(change(&["run_cap"], SEEDS * count as u64, reason));
    }
    changes
}

/// Proposes to run the best configuration first, so that the next sweep contains it. `kept` are the changes so far: a
/// new parameter has its first value there, which is what the last sweep had.
pub fn of_best(analysis: &Analysis, kept: &[Change]) -> Vec<Change> {
    if kept.iter().any(|change| change.path == ["enqueue"] && change.value.is_some()) {
        return Vec::new();
    }
    let Some(best) = analysis.ties.trials.first() else { return Vec::new() };
    let new = |table: &mut Mapping| {
        for change in kept {
            let [section, name] = &change.path[..] else { continue };
            let first = change.value.as_ref().and_then(|value| value.get("values")?.get(0));
            let fixed = change.value.as_ref().and_then(|value| value.get("value"));
            if let Some(fixed) = fixed.filter(|_| section == "parameters") {
                table.insert(name.as_str().into(), fixed.clone());
            }
            if let Some(first) = first.filter(|_| section == "parameters" && !table.contains_key(name.as_str())) {
                table.insert(name.as_str().into(), first.clone());
            }
        }
    };
    let table = point(analysis, *best).map(|mut table| {
        new(&mut table);
        table
    });
    let reason = "The best configuration so far runs first, to compare with.";
    let table = table.filter(|table| !table.is_empty());
    table.map(|table| change(&["enqueue"], vec![Value::from(table)], reason)).into_iter().collect()
}

/// The parameters of a trial, as `enqueue` takes them. Numbers keep all of their digits: with a learning rate that is too
/// high, the fourth one can decide on the result.
pub fn point(analysis: &Analysis, id: TrialId) -> Option<Mapping> {
    let settings = &analysis.history.trial(id)?.settings;
    let parameters = analysis.spec.space.parameters.iter();
    let known = parameters.filter_map(|one| Some((one, settings.get(&one.name)?)));
    known.map(|(parameter, value)| Some((parameter.name.as_str().into(), serde_yaml::to_value(value).ok()?))).collect()
}

/// Recommended steps before the next sweep that no sweep can take.
pub fn remarks(file: &Mapping, analysis: &Analysis) -> Vec<String> {
    let mut remarks = vec![format!(
        "Proposed next sweep after {}. The reason is above each change. Review it, then run: sweep plan next.yaml",
        analysis.history.name
    )];
    let identical = analysis.spec.program().and_then(|_| Identical::new(analysis.history).sentence());
    remarks.extend(identical.map(|said| format!("Look at this first: {said}")));
    let longer = longer(analysis).filter(|_| analysis.spec.program().is_some());
    if let Some((until, reason)) = longer.filter(|_| epochs_of_program(analysis, file).is_none()) {
        remarks.push(format!(
            "{reason} Train longer, to about epoch {until}. The script sets the number of epochs, \
            not this file."
        ));
    }
    let first = [
        Advice::HoldOut,
        Advice::MeasureTraining,
        Advice::CompareSets,
        Advice::CheckData,
        Advice::CheckTask,
        Advice::CheckCapacity,
        Advice::KnownNetwork,
    ];
    let open = analysis.steps.open.iter().map(|step| step.ask.advice);
    let before =
        open.filter(|advice| first.contains(advice)).map(|advice| format!("- {}", advice.text(analysis.verdicts.task)));
    let before: Vec<String> = before.collect();
    if !before.is_empty() {
        remarks.push("Do this first, because no search over parameters can replace it:".into());
        remarks.extend(before);
    }
    remarks
}

pub fn change(path: &[&str], value: impl Into<Value>, reason: impl Into<String>) -> Change {
    let path = path.iter().map(|key| key.to_string()).collect();
    Change { path, value: Some(value.into()), reason: reason.into() }
}

/// Changes of lists and ranges. Parameters that vary together are left unchanged.
pub fn of_parameters(file: &Mapping, analysis: &Analysis) -> Vec<Change> {
    let Some(parameters) = file.get("parameters").and_then(Value::as_mapping) else { return Vec::new() };
    let zipped = serde_json::to_string(&file.get("zip")).unwrap_or_default();
    let mut found = Vec::new();
    for (name, table) in parameters {
        let (Some(name), Some(table)) = (name.as_str(), table.as_mapping()) else { continue };
        if zipped.contains(&format!("\"{name}\"")) {
            continue;
        }
        let alternatives = values::changes(name, table, analysis);
        found.extend(alternatives.into_iter().map(|(value, reason)| change(&["parameters", name], value, reason)));
    }
    found
}

/// Changes of epochs and learning rate.
fn of_training(network: &Network, analysis: &Analysis) -> Vec<Change> {
    let (spec, time) = (analysis.spec, &analysis.time);
    let varies = |name: &str| spec.space.parameters.iter().any(|one| one.name.starts_with(name));
    let mut found = Vec::new();
    if let Some((until, reason)) = longer(analysis).filter(|_| !varies("epochs")) {
        found.push(change(&["training", "epochs"], u64::from(until), reason));
    }
    let wasted = time.after_best as f64 / time.epochs.max(1) as f64;
    let stops = network.fixed.keys().any(|name| name.starts_with("early_stopping"));
    if let Some(saving) = time.patience.found.filter(|_| wasted >= WASTED && !stops && !varies("early_stopping")) {
        let table = Mapping::from_iter([("patience".into(), saving.patience.into())]);
        let reason = format!(
            "{:.0}% of the epochs came after the best epoch of their trial. This patience would have stopped no \
             leading trial before its best epoch.",
            wasted * 100.0
        );
        found.push(change(&["training", "early_stopping"], table, reason));
    }
    let lost: usize = [Name::Diverged, Name::Worsening, Name::Stuck, Name::Unstable]
        .iter()
        .filter_map(|name| analysis.verdicts.tally().into_iter().find(|tally| tally.name == *name))
        .map(|tally| tally.trials)
        .sum();
    let first = analysis.history.trials.first().and_then(|trial| spec.training(&trial.settings).ok());
    if let Some(training) = first.filter(|_| !varies("learning_rate"))
        && lost as f64 >= LOST * analysis.verdicts.judged().max(1) as f64
    {
        // What the sweep had comes first.
        let values = vec![Value::from(training.learning_rate), Value::from(training.learning_rate / 10.0)];
        let table = Mapping::from_iter([("values".into(), Value::Sequence(values))]);
        let reason = format!(
            "{} diverged, were unstable or learned nothing. Try a tenth of the learning rate.",
            format::trials(lost)
        );
        found.push(change(&["parameters", "learning_rate"], table, reason));
    }
    found
}
