//! What the curves of a sweep show: findings for every trial that is over, how often each was found. Pure.

use std::collections::BTreeMap;

use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::trial::{Outcome, TrialId};
use sweep_spec::Spec;
use sweep_verdict::{Advice, Context, Finding, Name, Others, Severity, judge};

/// Findings for every trial, in the order of [`History::trials`].
#[derive(Debug)]
pub struct Verdicts {
    findings: Vec<Vec<Finding>>,
}

/// How often something was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// What.
    pub name: Name,
    /// In so many trials.
    pub trials: usize,
    /// In so many of them it is clear or severe.
    pub grave: usize,
    /// The epoch after which it sets in, in the middle of those trials that tell it: whose validation loss has turned.
    pub onset: Option<u32>,
}

impl Verdicts {
    /// Judges all curves.
    pub fn new(spec: &Spec, history: &History) -> Verdicts {
        let others = Others::of_each(history);
        let each = history.trials.iter().zip(others);
        Verdicts {
            findings: each
                .map(|(trial, others)| verdict(spec, trial, Some(others), history.pictures_sound()))
                .collect(),
        }
    }

    /// What was found in a trial; nothing in one that is not over or could not be trained.
    pub fn of(&self, id: TrialId) -> &[Finding] {
        let at = usize::try_from(id.0).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| self.findings.get(at)).map_or(&[], Vec::as_slice)
    }

    /// Trials with at least one finding.
    pub fn judged(&self) -> usize {
        self.findings.iter().filter(|findings| !findings.is_empty()).count()
    }

    /// How often each thing was found, most often first.
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

/// What one curve shows, among others where they are known; `sound` are pictures that were checked.
pub fn verdict(spec: &Spec, trial: &TrialRecord, others: Option<Others>, sound: bool) -> Vec<Finding> {
    let Status::Ended(outcome) = &trial.status else { return Vec::new() };
    if matches!(outcome, Outcome::Failed { .. } | Outcome::OutOfMemory { .. }) {
        return Vec::new();
    }
    // A program need not tell anything.
    if trial.curve.is_empty() && *outcome == Outcome::Finished {
        return Vec::new();
    }
    let recipe = spec.recipe(&trial.settings).ok();
    let mut context = Context::of_trial(trial, recipe.as_ref(), others);
    if recipe.is_some() && sound {
        // Labels were held against pictures, and scaling, last layer and loss are the trainer's own.
        context.followed.extend([Advice::CheckData, Advice::CheckTask]);
    }
    let mut findings = judge(&trial.curve, &context);
    if matches!(outcome, Outcome::Stopped { .. }) {
        // Of the beginning of a curve only what would not have mended can be said.
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
