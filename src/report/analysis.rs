//! All that the pages show, worked out once. Pure.

use super::charts::{self, Figure};
use super::fit::Finding;
use super::ranking::{Group, Ranking, groups};
use super::ties::Ties;
use super::verdicts::Verdicts;
use crate::history::{History, TrialRecord};
use crate::spec::Spec;

/// A sweep, looked at from all sides.
#[derive(Debug)]
pub struct Analysis<'a> {
    /// The sweep file.
    pub spec: &'a Spec,
    /// What has happened.
    pub history: &'a History,
    /// Who is best.
    pub ranking: Ranking<'a>,
    /// The same with repeats taken together.
    pub groups: Vec<Group<'a>>,
    /// Who may be the best as well.
    pub ties: Ties,
    /// What the curves show.
    pub verdicts: Verdicts,
}

impl<'a> Analysis<'a> {
    /// Looks at a sweep.
    pub fn new(spec: &'a Spec, history: &'a History) -> Analysis<'a> {
        let ranking = Ranking::new(history, &spec.metric);
        let groups = groups(&ranking, &spec.metric);
        let ties = Ties::new(spec, &ranking, &groups);
        Analysis { spec, history, ties, groups, ranking, verdicts: Verdicts::new(spec, history) }
    }

    /// The chart of one of its trials.
    pub fn chart(&self, trial: &TrialRecord) -> Figure {
        let onset = self.verdicts.of(trial.id).iter().find_map(Finding::onset);
        charts::trial(trial, &self.spec.metric, onset)
    }
}
