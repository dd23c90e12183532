//! The findings in every trial that is over, and the frequency of each. Pure.

use std::collections::BTreeMap;

use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::trial::{Outcome, TrialId};
use sweep_spec::Spec;
use sweep_verdict::{Advice, Context, Finding, Name, Others, Severity, judge};

/// The findings in every trial, in the order of [`History::trials`].
#[derive(Debug)]
pub struct Verdicts {
    findings: Vec<Vec<Finding>>,
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
        Verdicts {
            findings: each
                .map(|(trial, others)| verdict(spec, trial, Some(others), history.pictures_sound()))
                .collect(),
        }
    }

    /// The findings in a trial. There are none if it is not over or could not be trained.
    pub fn of(&self, id: TrialId) -> &[Finding] {
        let at = usize::try_from(id.0).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| self.findings.get(at)).map_or(&[], Vec::as_slice)
    }

    /// Number of trials with at least one finding.
    pub fn judged(&self) -> usize {
        self.findings.iter().filter(|findings| !findings.is_empty()).count()
    }

    /// The frequency of each finding, most frequent first.
    pub fn tally(&self) -> Vec<Tally> {
        let mut found: BTreeMap<Name, Vec<&Finding>> = BTreeMap::new();
        for finding in self.findings.iter().flatten() {
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
    if recipe.is_some() && sound {
        // The check compared labels with images, and the trainer itself provides scaling, last layer and loss.
        context.followed.extend([Advice::CheckData, Advice::CheckTask]);
    }
    let mut findings = judge(&trial.curve, &context);
    if matches!(outcome, Outcome::Stopped { .. }) {
        // The beginning of a curve proves only problems that more training would not have fixed.
        findings.retain(|finding| matches!(finding.name, Name::Stuck | Name::Diverged));
    }
    findings
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
