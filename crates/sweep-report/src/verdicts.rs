//! The findings in every trial that is over, and the frequency of each. Pure.

use std::collections::BTreeMap;

use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::trial::{EpochMetrics, METRICS, Outcome, TrialId};
use sweep_spec::Spec;
use sweep_verdict::{Advice, Context, Finding, Name, Others, Severity, Task, judge};

/// The findings in every trial, in the order of the trials of the history.
#[derive(Debug)]
pub struct Verdicts {
    /// The task, which determines the wording of advice.
    pub task: Task,
    findings: Vec<Vec<Finding>>,
    /// Number of leading trials that do not count, because a stage with other constants came after them.
    apart: usize,
}

/// The frequency of a finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// The finding.
    pub name: Name,
    /// Number of trials with the finding.
    pub trials: usize,
    /// Number of trials in which it is clear or severe.
    pub grave: usize,
    /// The median epoch after which the validation loss rises, over the trials where such an epoch is known.
    pub onset: Option<u32>,
}

impl Verdicts {
    /// Diagnoses all curves.
    pub fn new(spec: &Spec, history: &History) -> Verdicts {
        let others = Others::of_each(history);
        let each = history.trials.iter().zip(others);
        let findings: Vec<Vec<Finding>> =
            each.map(|(trial, others)| verdict(spec, trial, Some(others), history.pictures_sound())).collect();
        // A stage that has no result yet has nothing to say.
        let apart = history.apart();
        let apart = if findings[apart..].iter().any(|findings| !findings.is_empty()) { apart } else { 0 };
        Verdicts { task: task(spec, history), findings, apart }
    }

    /// The trials that count: all, or those of the newest comparable stages.
    pub fn counted<'a>(&self, history: &'a History) -> &'a [TrialRecord] {
        &history.trials[self.apart..]
    }

    /// The findings in a trial. There are none if it is not over or could not be trained.
    pub fn of(&self, id: TrialId) -> &[Finding] {
        let at = usize::try_from(id.0).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| self.findings.get(at)).map_or(&[], Vec::as_slice)
    }

    /// Number of trials with at least one finding.
    pub fn judged(&self) -> usize {
        self.findings[self.apart..].iter().filter(|findings| !findings.is_empty()).count()
    }

    /// The frequency of each finding, most frequent first.
    pub fn tally(&self) -> Vec<Tally> {
        let mut found: BTreeMap<Name, Vec<&Finding>> = BTreeMap::new();
        for finding in self.findings[self.apart..].iter().flatten() {
            found.entry(finding.name).or_default().push(finding);
        }
        let tally = |(name, findings): (Name, Vec<&Finding>)| {
            let mut onsets: Vec<u32> = findings.iter().filter_map(|finding| finding.onset()).collect();
            onsets.sort_unstable();
            Tally {
                name,
                trials: findings.len(),
                grave: findings.iter().filter(|finding| finding.severity >= Severity::Clear).count(),
                onset: onsets.get(onsets.len() / 2).copied(),
            }
        };
        let mut tallies: Vec<Tally> = found.into_iter().map(tally).collect();
        tallies.sort_by_key(|tally| std::cmp::Reverse(tally.trials));
        tallies
    }
}

/// The findings in one curve, compared with `others` if they are given. `sound` means that the images were checked.
pub fn verdict(spec: &Spec, trial: &TrialRecord, others: Option<Others>, sound: bool) -> Vec<Finding> {
    let Status::Ended(outcome) = &trial.status else { return Vec::new() };
    if *outcome == Outcome::Skipped || outcome.error().is_some() && !matches!(outcome, Outcome::Diverged { .. }) {
        return Vec::new();
    }
    // A program need not tell anything.
    if trial.curve.is_empty() && *outcome == Outcome::Finished {
        return Vec::new();
    }
    let recipe = spec.recipe(&trial.settings).ok();
    let mut context = Context::of_trial(trial, recipe.as_ref(), others);
    if recipe.is_none() {
        of_program(spec, trial, &mut context);
    }
    if recipe.is_some() && sound {
        // The check compared labels with images, and the trainer itself provides scaling, last layer and loss.
        context.followed.extend([Advice::CheckData, Advice::CheckTask]);
    }
    let mut findings = judge(&trial.curve, &context);
    if matches!(outcome, Outcome::Stopped { .. }) {
        // The beginning of a curve proves only problems that more training would not have fixed.
        findings.retain(|finding| matches!(finding.name, Name::Stuck | Name::Diverged | Name::Worsening));
    }
    findings
}

/// Adds what is known about a user's program: its task by its words, its objective, and the parameters that the sweep
/// gives to it.
fn of_program(spec: &Spec, trial: &TrialRecord, context: &mut Context) {
    context.task = program_task(spec, [trial]);
    context.objective = Some(spec.metric.clone()).filter(|metric| !METRICS.contains(&metric.name.as_str()));
    let names = spec.space.parameters.iter().map(|one| one.name.clone()).chain(trial.settings.keys().cloned());
    context.parameters = Some(names.collect());
}

/// What the sweep's networks are trained for.
pub fn task(spec: &Spec, history: &History) -> Task {
    match spec.program() {
        None => Task::Images,
        Some(_) => program_task(spec, history.trials.first()),
    }
}

/// Recognizes a program's task by the words of its command, parameters, and metrics.
fn program_task<'t>(spec: &Spec, trials: impl IntoIterator<Item = &'t TrialRecord>) -> Task {
    let program = spec.program().into_iter().flat_map(|program| program.program.iter().chain(&program.command));
    let parameters = spec.space.parameters.iter().map(|one| &one.name);
    let metrics = trials.into_iter().flat_map(|trial| trial.others.keys()).chain([&spec.metric.name]);
    Task::of_names(metrics.chain(parameters).chain(program).map(String::as_str))
}

/// Whether the report itself calls the trial's result meaningless: training never worked, or evaluation did not measure
/// it, or the trial was stopped while validation was still flat and training loss fell.
pub fn is_meaningless(trial: &TrialRecord, findings: &[Finding]) -> bool {
    const BROKEN: [Name; 5] =
        [Name::Diverged, Name::Worsening, Name::ModeMismatch, Name::Stuck, Name::ValidationAtChance];
    findings.iter().any(|finding| BROKEN.contains(&finding.name)) || cut_on_plateau(trial)
}

/// Whether the trial was ended while its validation had hardly moved and its training had.
fn cut_on_plateau(trial: &TrialRecord) -> bool {
    /// Share of its first value by which the training loss must have fallen, …
    const TRAINED: f64 = 0.1;
    /// … and by which the validation loss must not have.
    const FLAT: f64 = 0.02;
    if !matches!(trial.outcome(), Some(Outcome::Stopped { .. } | Outcome::EarlyStopped)) {
        return false;
    }
    let fell = |of: fn(&EpochMetrics) -> Option<f64>| {
        let values: Vec<f64> = trial.curve.iter().filter_map(of).collect();
        let first = *values.first()?;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        Some((first - least) / first.abs().max(f64::MIN_POSITIVE))
    };
    let trained = fell(|epoch| epoch.train_loss).is_some_and(|fell| fell >= TRAINED);
    trained && fell(|epoch| epoch.val_loss).is_some_and(|fell| fell < FLAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_that_was_trained_to_an_end_is_judged() {
        let (spec, history) = (sweep_sample::spec(), sweep_sample::history());
        let verdicts = Verdicts::new(&spec, &history);
        assert!((1..=5).all(|trial| !verdicts.of(TrialId(trial)).is_empty()));
        assert!(verdicts.of(TrialId(6)).is_empty(), "it failed before its first epoch");
        assert!(verdicts.of(TrialId(0)).is_empty() && verdicts.of(TrialId(7)).is_empty());
        assert_eq!(verdicts.of(TrialId(5))[0].name, Name::Diverged);
        let tally = verdicts.tally();
        assert_eq!(tally.iter().find(|tally| tally.name == Name::Diverged).map(|tally| tally.trials), Some(1));
        assert!(tally.windows(2).all(|pair| pair[0].trials >= pair[1].trials), "{tally:?}");
    }
}
