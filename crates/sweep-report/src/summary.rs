//! The results of the sweep as plain text. Pure.

mod sweep;

use super::analysis::Analysis;
use super::common;
use super::effects::Edge;
use super::format;
use super::identical::Identical;
use super::ranking::{Group, Place, setting_names};
use super::steps::{Step, Steps};
use super::ties::settling;
use super::verdicts::{Tally, is_meaningless};
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{Outcome, TrialId};
use sweep_core::warning::Warning;
use sweep_scheduler::search::{InPercent, Reached, Search, in_percent};
use sweep_spec::Spec;
use sweep_verdict::{Finding, Severity, Task};

pub use sweep::{extensions, hopeless, processors, scripts, tags};

use sweep::of_sweep;

/// Maximum number of kinds of findings reported, most frequent first.
const AILMENTS: usize = 5;
/// Number of the first trials to repeat if nothing is known about chance.
const UNKNOWN: usize = 3;
/// Maximum number of next steps reported.
const STEPS: usize = 7;

/// The head of the report.
#[derive(Debug)]
pub struct Summary {
    /// The best trial, its metric and its epoch, in one sentence.
    pub headline: String,
    /// The parameters of the best trial.
    pub settings: Vec<(String, String)>,
    /// The short answer, by topic: trials tied with the best, most common problem, most important parameters, first
    /// step.
    pub answer: Vec<(&'static str, String)>,
    /// Details about the best trial and the sweep, one or two sentences each.
    pub details: Vec<String>,
    /// The findings in the curves, with the number of trials that have each.
    pub ailments: Vec<String>,
    /// The most important parameters.
    pub drivers: Vec<String>,
    /// The findings of the checks before training, on images and initial weights.
    pub before: Vec<String>,
    /// The next steps, most urgent first.
    pub steps: Vec<String>,
    /// The advice that is already settled, and the reason.
    pub settled: Vec<String>,
}

impl Summary {
    /// Summarizes a sweep.
    pub fn new(analysis: &Analysis) -> Summary {
        let Analysis { spec, history, ranking, verdicts, .. } = analysis;
        let repeated = leader(spec, &analysis.groups);
        // With repeats, the best trial may be a lucky seed of another configuration. Then the best trial of the best
        // configuration is reported.
        let best = match repeated {
            Some(group) => ranking.placed.iter().find(|place| group.trials.contains(&place.trial.id)),
            None => ranking.best(),
        };
        let mut details = best.map_or_else(Vec::new, |best| of_leader(analysis, repeated, best));
        details.extend(of_sweep(analysis));
        let judged = verdicts.judged();
        let mut ailments: Vec<String> =
            verdicts.tally().iter().take(AILMENTS).map(|tally| ailment(tally, judged)).collect();
        ailments.extend(in_common(analysis));
        let Steps { open, settled } = &analysis.steps;
        let mut steps: Vec<String> =
            worthwhile(open).map(|step| told(step, judged, repeated.is_some(), verdicts.task)).collect();
        // What was measured comes before what curves suggest, unless the best trial itself makes its data suspect.
        let checks = worthwhile(open).take_while(|step| step.ask.leads && step.ask.advice.is_check()).count();
        let edges = analysis.effects.iter().flat_map(|effects| &effects.edges).filter(|edge| edge.proven);
        steps.splice(checks..checks, edges.map(Edge::sentence));
        let drivers = analysis.effects.as_ref().map(|effects| effects.drivers()).unwrap_or_default();
        let before = before(history);
        let mut summary = Summary {
            headline: opening(analysis, repeated, best),
            settings: best.map(|best| settings(best.trial)).unwrap_or_default(),
            answer: Vec::new(),
            details,
            ailments,
            drivers,
            before,
            steps,
            settled: settled.clone(),
        };
        summary.answer = summary.short_answer(analysis);
        summary
    }

    /// Returns the short answer, made of the first line of each topic.
    fn short_answer(&self, analysis: &Analysis) -> Vec<(&'static str, String)> {
        let Analysis { spec, history, verdicts, ranking, .. } = analysis;
        let first = |lines: &[String]| lines.first().cloned();
        let first_ones: Vec<TrialId> = ranking.placed.iter().take(UNKNOWN).map(|place| place.trial.id).collect();
        let open = if analysis.ties.unknown { &first_ones } else { &analysis.ties.trials };
        let settling = settling(history, open, analysis.time.slots.len()).filter(|_| spec.most_repeats < 2);
        let said = [Some(analysis.ties.sentence.clone()), settling].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let identical = if spec.program().is_some() { Identical::new(history) } else { Identical::default() };
        let tied = Some(said)
            .filter(|_| identical == Identical::default())
            .filter(|said| analysis.groups.len() > 1 && !said.is_empty());
        let mut warnings = history.pictures.iter().chain(history.trials.iter().map(|trial| &trial.warnings)).flatten();
        let serious = warnings.any(|warning| warning.serious);
        let answer = [
            ("Look at this first", identical.sentence()),
            ("Certainty", tied),
            ("Fix first", first(&self.before).filter(|_| serious)),
            ("Most common problem", wrong(&verdicts.tally(), verdicts.judged())),
            ("Most important parameter", first(&self.drivers)),
            ("First step", first(&self.steps)),
        ];
        answer.into_iter().filter_map(|(what, said)| Some((what, said?))).collect()
    }
}

/// The best trial or configuration, in one sentence.
fn opening(analysis: &Analysis, repeated: Option<&Group>, best: Option<&Place>) -> String {
    let spec = analysis.spec;
    match (best, repeated) {
        (Some(_), Some(group)) => of_settings(spec, group) + ".",
        (Some(best), None) => leading(analysis, best),
        (None, _) => match hopeless(analysis.history) {
            Some(failed) => format!("There is no result: {failed}."),
            None if !spec.ranks => "Trials were not ranked: the sweep file names no metric.".to_owned(),
            None => format!("No trial has ended with a {} yet.", format::metric(&spec.metric)),
        },
    }
}

fn settings(trial: &TrialRecord) -> Vec<(String, String)> {
    trial.settings.iter().map(|(name, value)| (name.clone(), format::brief(value))).collect()
}

/// Details about the best trial, and about its configuration if that was repeated.
fn of_leader(analysis: &Analysis, repeated: Option<&Group>, best: &Place) -> Vec<String> {
    let Analysis { spec, ranking, verdicts, .. } = analysis;
    let mut details = Vec::new();
    details.extend(repeated.map(|group| best_of(spec, best, group)));
    details.extend(repeated.and(ranking.best()).and_then(|luckiest| lucky(spec, luckiest, best)));
    details.extend(gap(best));
    details.extend(verdicts.of(best.trial.id).iter().filter(|one| one.severity > Severity::Note).map(of_best));
    details.retain(|detail| !detail.is_empty());
    details
}

/// The steps to report, in their order. They are the steps for the best configuration and those that helped in this
/// sweep. The other steps that most trials call for follow.
fn worthwhile(open: &[Step]) -> impl Iterator<Item = &Step> {
    let mut kept: Vec<usize> = (0..open.len()).collect();
    kept.sort_by_key(|at| {
        let Step { ask, tried } = &open[*at];
        (!ask.leads && tried.is_none(), std::cmp::Reverse(ask.trials))
    });
    kept.truncate(STEPS);
    kept.sort_unstable();
    kept.into_iter().map(|at| &open[at])
}

/// The text of a step, with its result in this sweep or the trials that call for it.
fn told(Step { ask, tried }: &Step, judged: usize, repeated: bool, task: Task) -> String {
    let advice = ask.advice.text(task);
    match tried {
        Some(tried) => format!("{advice} {}", tried.text),
        None if judged == 1 => advice,
        None => {
            let best = match ask.leads && ask.trials < judged {
                true if repeated => ", including the best configuration",
                true => ", including the best",
                false => "",
            };
            format!("{advice} ({}{best})", format::of_trials(ask.trials, judged))
        }
    }
}

/// The findings before training: on the images, and on the networks with each kind of finding once.
fn before(history: &History) -> Vec<String> {
    let pictures = history.pictures.as_deref().unwrap_or_default();
    let mut lines: Vec<String> = pictures.iter().map(|warning| format!("Images: {}", warning.text)).collect();
    let mut names: Vec<&str> = Vec::new();
    for (trial, warning) in history.trials.iter().flat_map(|trial| trial.warnings.iter().map(move |one| (trial, one))) {
        if !names.contains(&warning.name.as_str()) {
            names.push(&warning.name);
            // A program's network is not known.
            let of = if trial.parameters.is_some() { "Network of trial" } else { "Trial" };
            lines.push(format!("{of} {}: {}", trial.id, warning.text));
        }
    }
    if lines.is_empty() && history.pictures.is_some() {
        lines.push("No problem was found in the images or in the initial weights of the networks.".into());
    }
    lines
}

/// Returns the warnings about programs, each kind with the first trial that has it.
pub fn warnings_of_programs(history: &History) -> Vec<(TrialId, &Warning)> {
    let mut found: Vec<(TrialId, &Warning)> = Vec::new();
    // A program's network is not known.
    for trial in history.trials.iter().filter(|trial| trial.parameters.is_none()) {
        for warning in &trial.warnings {
            if !found.iter().any(|(_, known)| known.name == warning.name) {
                found.push((trial.id, warning));
            }
        }
    }
    found
}

/// The most common problem, in one sentence. Notes and rare findings do not count as an answer.
fn wrong(tally: &[Tally], judged: usize) -> Option<String> {
    let most: Vec<String> = tally
        .iter()
        .filter(|one| one.grave > 0 && 4 * one.trials >= judged)
        .take(2)
        .map(|one| format!("{} in {}: {}", one.name, format::of_trials(one.trials, judged), one.name.meaning()))
        .collect();
    (!most.is_empty()).then(|| most.join("; ") + ".")
}

/// What the trials without a result, and those that were stopped, have in common.
fn in_common(analysis: &Analysis) -> Vec<String> {
    let Analysis { history, verdicts, .. } = analysis;
    let names = setting_names(history);
    let over = || history.trials.iter().filter(|trial| trial.outcome().is_some());
    let lost = |trial: &TrialRecord| {
        let failed = matches!(
            trial.outcome(),
            Some(
                Outcome::Failed { .. }
                    | Outcome::Diverged { .. }
                    | Outcome::OutOfMemory { .. }
                    | Outcome::Impossible { .. }
            )
        );
        failed || is_meaningless(trial, verdicts.of(trial.id))
    };
    let cut = |trial: &TrialRecord| matches!(trial.outcome(), Some(Outcome::Stopped { .. }));
    type Is<'a> = &'a dyn Fn(&TrialRecord) -> bool;
    let kinds: [(&str, Is<'_>); 2] = [("failed, diverged or learned nothing", &lost), ("were stopped early", &cut)];
    let said = kinds.into_iter().filter_map(|(what, of)| {
        let (bad, good): (Vec<&TrialRecord>, Vec<&TrialRecord>) = over().partition(|trial| of(trial));
        let settings =
            |all: Vec<&'_ TrialRecord>| all.into_iter().map(|trial| trial.settings.clone()).collect::<Vec<_>>();
        let (bad, good) = (settings(bad), settings(good));
        common::separating(what, &names, &bad.iter().collect::<Vec<_>>(), &good.iter().collect::<Vec<_>>())
    });
    said.collect()
}

/// The text of a finding in the best trial.
fn of_best(finding: &Finding) -> String {
    format!("Finding in the best trial, {}: {}", finding.label(), finding.headline)
}

/// The text of a kind of finding: `overfit: 41 of 72 trials (30 clear or severe), from epoch 14 in the median trial`.
fn ailment(tally: &Tally, judged: usize) -> String {
    let grave = match tally.grave {
        0 => String::new(),
        1 if tally.trials == 1 => " (clear or severe)".into(),
        all if all == tally.trials => " (all clear or severe)".into(),
        some => format!(" ({} clear or severe)", format::count(some as u64)),
    };
    let onset = tally.onset.map_or(String::new(), |onset| format!(", from epoch {onset} in the median trial"));
    format!("{}: {}{grave}{onset}.", tally.name, format::of_trials(tally.trials, judged))
}

/// A trial's result in one sentence: `Trial 0003 is the best: …`. `rank` is what it is.
fn headline(spec: &Spec, best: &Place, rank: &str) -> String {
    let metric = &spec.metric;
    let mut line = format!(
        "Trial {} is {rank}: {} {} at epoch {} of {}",
        best.trial.id,
        format::metric(metric),
        format::value(&metric.name, best.best.get(&metric.name)),
        best.best.epoch,
        best.trial.epochs(),
    );
    for (name, said) in [("val_loss", "validation loss"), ("val_accuracy", "validation accuracy")] {
        if metric.name != name && best.best.get(name).is_some() {
            line += &format!(", {said} {}", format::value(name, best.best.get(name)));
        }
    }
    line + "."
}

/// The best trial in one sentence. Where others may be as good, it does not claim more than that the trial leads.
fn leading(analysis: &Analysis, best: &Place) -> String {
    match analysis.ties.trials.len() {
        _ if analysis.ties.unknown => headline(analysis.spec, best, "ahead"),
        0 | 1 => headline(analysis.spec, best, "the best"),
        2 => headline(analysis.spec, best, "ahead, but one other may be as good"),
        tied => headline(
            analysis.spec,
            best,
            &format!("ahead, but {} others may be as good", format::count(tied as u64 - 1)),
        ),
    }
}

fn gap(best: &Place) -> Option<String> {
    let (training, validation) = (best.best.train_eval_accuracy?, best.best.val_accuracy?);
    let gap = best.best.accuracy_gap()?;
    let mut line = format!(
        "At its best epoch, the best trial classifies {} of the training data and {} of the validation data \
         correctly: a gap of {} points",
        format::value("train_eval_accuracy", Some(training)),
        format::value("val_accuracy", Some(validation)),
        format::number(gap * 100.0, 1),
    );
    if let Some(gap) = best.best.loss_gap() {
        line += &format!(" (in loss, {})", format::significant(gap, 4));
    }
    Some(line + ".")
}

/// The best configuration, if the sweep repeats each and more than one of its repeats has a result.
pub fn leader<'g, 'h>(spec: &Spec, groups: &'g [Group<'h>]) -> Option<&'g Group<'h>> {
    groups.first().filter(|best| spec.most_repeats > 1 && best.trials.len() > 1)
}

/// The best configuration by its mean: `The best configuration is dropout 0.2: validation loss 1.402 ± 0.011 (mean ±
/// standard deviation over 3 trials)`.
pub fn of_settings(spec: &Spec, best: &Group) -> String {
    let metric = &spec.metric;
    let which = match best.settings.is_empty() {
        true => "No parameter varies".into(),
        false => format!("The best configuration is {}", format::settings(best.settings)),
    };
    let mut line = format!(
        "{which}: {} {} (mean ± standard deviation over {} trials)",
        format::metric(metric),
        format::spread(&metric.name, Some(best.metric)),
        best.trials.len(),
    );
    if let Some(accuracy) = best.accuracy.filter(|_| metric.name != "val_accuracy") {
        line += &format!(", validation accuracy {}", format::spread("val_accuracy", Some(accuracy)));
    }
    line
}

fn best_of(spec: &Spec, best: &Place, group: &Group) -> String {
    headline(spec, best, &format!("the best of these {}", group.trials.len()))
}

/// A sentence on a trial of another configuration that beat all trials of the best one.
fn lucky(spec: &Spec, luckiest: &Place, best: &Place) -> Option<String> {
    (luckiest.trial.settings != best.trial.settings).then(|| {
        format!(
            "Trial {} is better ({}), but probably because of a lucky seed: its configuration ({}) is worse on average over \
             its repeats.",
            luckiest.trial.id,
            format::value(&spec.metric.name, luckiest.best.get(&spec.metric.name)),
            format::settings(&luckiest.trial.settings)
        )
    })
}

/// Says that the sweep ended at its target, and how many trials were not started. Also says if the target and the
/// values have different scales.
pub fn target(spec: &Spec, history: &History) -> Option<String> {
    let scales = spec.target.and_then(|target| {
        let (of_target, of_values, remedy) = match in_percent(&spec.metric, target, history)? {
            InPercent::Values => ("a share", "percentages", target * 100.0),
            InPercent::Target => ("a percentage", "shares", target / 100.0),
        };
        Some(format!(
            "The target {target} is {of_target}, but the values of {} are {of_values}, so the target was converted. \
             In their scale, it is `target: {}`.",
            spec.metric.name,
            format::number(remedy, 4)
        ))
    });
    let said = [reached(spec, history), scales].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!said.is_empty()).then_some(said)
}

fn reached(spec: &Spec, history: &History) -> Option<String> {
    let Reached { trial, value, target, left } = Search::reached(spec.search_terms(), history)?;
    let name = &spec.metric.name;
    let left = match left {
        None => "no other trial was started".to_owned(),
        Some(1) => "1 trial was not started".to_owned(),
        Some(left) => format!("{} trials were not started", format::count(left)),
    };
    Some(format!(
        "Trial {trial} reached the target of {}, with {} {}: {left}.",
        format::value(name, Some(target)),
        format::metric(&spec.metric),
        format::value(name, Some(value))
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::sweep::early_terminate;
    use super::*;
    use sweep_core::history::{Entry, Machine, NodeChange};
    use sweep_core::stop::{Asha, EarlyTerminate, Rule};
    use sweep_core::trial::{Attempt, Stopper, TrialId};

    #[test]
    fn with_repeats_the_best_mean_leads_and_not_the_luckiest_seed() {
        let mut entries = sweep_sample::beginning("repeats");
        for (number, (dropout, loss)) in (1..).zip([(0.0, 1.0), (0.0, 2.0), (0.4, 1.2), (0.4, 1.3), (0.2, 0.5)]) {
            let mut attempt =
                sweep_sample::attempt(number, 1, &sweep_sample::settings(json!({"dropout": dropout})), 0, 1);
            if let Some(Entry::Epoch { metrics, .. }) = attempt.last_mut() {
                metrics.val_loss = Some(loss);
            }
            entries.extend(attempt);
            // Two of the three repeats of 0.2 have no result.
            let others = if dropout == 0.2 { 2 } else { 0 };
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
            for lost in 1..=others {
                entries.extend(sweep_sample::attempt(
                    number + lost,
                    1,
                    &sweep_sample::settings(json!({"dropout": dropout})),
                    0,
                    0,
                ));
                let what = "training loss is NaN".into();
                entries.push(sweep_sample::ended(number + lost, 1, Outcome::Diverged { epoch: 1, step: 1, what }));
            }
        }
        let (spec, history) =
            (Spec { repeats: 2, most_repeats: 2, ..sweep_sample::spec() }, sweep_sample::apply(&entries));
        let summary = Summary::new(&Analysis::new(&spec, &history));
        let start = "The best configuration is dropout 0.4: validation loss 1.250 ± 0.071 (mean ± standard deviation over 2 trials)";
        assert!(summary.headline.starts_with(start), "{}", summary.headline);
        assert_eq!(summary.settings, [("dropout".to_owned(), "0.4".to_owned())]);
        assert!(summary.details[0].starts_with("Trial 0003 is the best of these 2: "), "{:?}", summary.details);
        assert!(summary.details[1].contains("probably because of a lucky seed"), "{:?}", summary.details);
    }

    #[test]
    fn the_head_of_a_sweep_whose_trials_all_failed_says_so_with_the_last_error() {
        let after = |outcomes: &[Outcome]| {
            let mut entries = sweep_sample::beginning("failed");
            for (number, outcome) in (1..).zip(outcomes) {
                let epochs = if *outcome == Outcome::Finished { 3 } else { 0 };
                let settings = sweep_sample::settings(json!({"dropout": 0.1}));
                entries.extend(sweep_sample::attempt(number, 1, &settings, 0, epochs));
                entries.push(sweep_sample::ended(number, 1, outcome.clone()));
            }
            Summary::new(&Analysis::new(&sweep_sample::spec(), &sweep_sample::apply(&entries))).headline
        };
        let failed = |error: &str| Outcome::Failed { error: error.into() };
        let expected = "There is no result: all 2 trials that ended failed, the last one, 0002, with: no such file.";
        assert_eq!(after(&[failed("exit code 1"), failed("no such file")]), expected);
        let one = "There is no result: the only trial that ended, 0001, failed: exit code 1.";
        assert_eq!(after(&[failed("exit code 1")]), one);
        assert!(after(&[failed("exit code 1"), Outcome::Finished]).starts_with("Trial 0002 is "));
        assert_eq!(after(&[Outcome::Skipped]), "No trial has ended with a validation loss yet.");
    }

    #[test]
    fn a_leader_is_called_the_best_only_where_the_trials_can_carry_it() {
        let head = |noise: f64| {
            let mut entries = sweep_sample::beginning("lead");
            for number in 1..=12 {
                let settings = sweep_sample::settings(json!({"dropout": number as f64 / 20.0}));
                let mut attempt = sweep_sample::attempt(number, 1, &settings, 0, 20);
                for entry in &mut attempt {
                    if let Entry::Epoch { metrics, .. } = entry {
                        let wave = noise * f64::from((metrics.epoch * 7 + number as u32 * 5) % 11) / 11.0;
                        metrics.val_loss = Some(0.1 * number as f64 + 3.0 / f64::from(metrics.epoch) + wave);
                    }
                }
                entries.extend(attempt);
                entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
            }
            Summary::new(&Analysis::new(&sweep_sample::spec(), &sweep_sample::apply(&entries))).headline
        };
        assert!(head(0.5).contains("is ahead, but ") && head(0.5).contains("others may be as good"), "{}", head(0.5));
        assert!(!head(0.5).contains("is the best"), "{}", head(0.5));
        assert!(head(0.0).contains("Trial 0001 is the best: "), "{}", head(0.0));
    }

    #[test]
    fn what_was_found_before_training_is_told_once() {
        let warning = |name: &str| Warning { name: name.into(), serious: true, text: format!("{name} is wrong.") };
        let mut entries = sweep_sample::beginning("checked");
        if let Entry::Sweep { pictures, .. } = &mut entries[0] {
            *pictures = Some(vec![warning("pixel_order")]);
        }
        for number in 1..=3 {
            let mut attempt = sweep_sample::attempt(number, 1, &sweep_sample::settings(json!({"dropout": 0.1})), 0, 3);
            if let Entry::Began { warnings, .. } = &mut attempt[1] {
                warnings.extend((number > 1).then(|| warning("dead_units")));
            }
            entries.extend(attempt);
        }
        let expected = ["Images: pixel_order is wrong.", "Network of trial 0002: dead_units is wrong."];
        assert_eq!(before(&sweep_sample::apply(&entries)), expected);
        assert_eq!(before(&sweep_sample::apply(&sweep_sample::beginning("unchecked"))), [""; 0]);
        if let Entry::Sweep { pictures, .. } = &mut entries[0] {
            *pictures = Some(Vec::new());
        }
        let nothing = before(&sweep_sample::apply(&entries[..2]));
        assert!(nothing.len() == 1 && nothing[0].starts_with("No problem was found"), "{nothing:?}");
    }

    #[test]
    fn that_the_sweep_grew_and_ended_at_its_target_is_told() {
        let mut entries = sweep_sample::beginning("grown");
        let settings = sweep_sample::settings(json!({"learning_rate": 1e-3, "dropout": 0.0, "batch_norm": false}));
        entries.extend(sweep_sample::attempt(1, 1, &settings, 0, 20));
        entries.push(sweep_sample::ended(1, 1, Outcome::Finished));
        let extended = |trials, changes: &[&str]| Entry::Extended {
            at: 7200.0,
            version: "1".into(),
            base: "/nowhere".into(),
            start: None,
            before: String::new(),
            file: String::new(),
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
            trials,
            settings: Vec::new(),
            metric: None,
            stage: None,
        };
        entries.push(extended((Some(1), Some(6)), &["dropout: also 0.2", "target: none → 2"]));
        // The entry in the format of earlier versions.
        entries.push(extended((None, None), &[]));
        let history = sweep_sample::apply(&entries);
        let spec = Spec { target: Some(2.0), ..sweep_sample::spec() };
        let line = target(&spec, &history).unwrap();
        let start = "Trial 0001 reached the target of 2, with validation loss ";
        assert!(line.starts_with(start) && line.ends_with(": 5 trials were not started."), "{line}");
        assert_eq!(target(&Spec { target: Some(0.0), ..sweep_sample::spec() }, &history), None);
        let told: Vec<String> = extensions(&history).collect();
        let first = "The sweep was extended from 1 to 6 trials, 2 h 00 min after its start, when 1 trial had been \
                     started: dropout: also 0.2; target: none → 2.";
        assert_eq!(told, [first, "The sweep was extended 2 h 00 min after its start, when 1 trial had been started."]);
        let page = crate::markdown::page(&Analysis::new(&spec, &history));
        assert!(page.contains(&line) && page.contains("2 h 00 min after its start"), "{page}");
    }

    #[test]
    fn hosts_with_different_instruction_sets_are_told() {
        let mut entries = sweep_sample::beginning("hosts");
        let mut join = |node: &str, processor: &str| {
            let machine = Machine { about: String::new(), processor: processor.into() };
            let what = NodeChange::Joined { slots: vec![format!("{node}/cpu:0")], machine };
            entries.push(Entry::Node { at: 1.0, node: node.into(), what });
            processors(&sweep_sample::apply(&entries))
        };
        assert_eq!(join("gpu1", "x86_64 avx2 fma"), None);
        assert_eq!(join("gpu2", "x86_64 avx2 fma"), None);
        assert_eq!(join("old", ""), None, "nothing is known about it");
        let told = join("gpu3", "x86_64 avx2 avx512f fma").expect("they differ");
        let list = "x86_64 avx2 avx512f fma (gpu3); x86_64 avx2 fma (gpu1, gpu2).";
        assert!(told.contains("may differ in its last bits") && told.ends_with(list), "{told}");
        let history = sweep_sample::apply(&entries);
        let page = crate::markdown::page(&Analysis::new(&sweep_sample::spec(), &history));
        assert!(page.contains("different instruction sets"), "{page}");
    }

    #[test]
    fn what_stopping_saved_and_what_it_would_have_cost_is_told() {
        let mut entries = sweep_sample::beginning("stopped");
        for (number, outcome) in [(1, Outcome::Finished), (2, Outcome::Finished)] {
            entries.extend(sweep_sample::attempt(number, 1, &sweep_sample::settings(json!({"dropout": 0.1})), 0, 10));
            if number == 2 {
                let attempt = Attempt { trial: TrialId(2), number: 1 };
                entries.push(Entry::Spared { at: 1.0, attempt, by: Stopper::Asha, epoch: 3 });
            }
            entries.push(sweep_sample::ended(number, 1, outcome));
        }
        entries.extend(sweep_sample::attempt(3, 1, &sweep_sample::settings(json!({"dropout": 0.1})), 0, 4));
        entries.push(sweep_sample::ended(3, 1, Outcome::Stopped { by: Stopper::Asha, epoch: 4 }));
        let history = sweep_sample::apply(&entries);
        let terms = EarlyTerminate { rule: Some(Rule::Asha(Asha::new(1, 3.0))), overfit: false, audit: 0.1 };
        let spec = Spec { early_terminate: Some(terms), ..sweep_sample::spec() };
        let planned = spec.recipe(&history.trials[0].settings).unwrap().training.epochs;
        let line = early_terminate(&spec, &history).unwrap();
        assert!(
            line.contains(&format!("stopped 1 of 3 trials. They trained 4 epochs instead of {planned}.")),
            "{line}"
        );
        assert!(line.contains("1 trial that it would have stopped continued: "), "{line}");
        assert_eq!(early_terminate(&sweep_sample::spec(), &history), None);
    }
}
