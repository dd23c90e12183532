//! All that the pages show, worked out once. Pure.

use super::asked::Ask;
use super::charts::{self, Figure};
use super::effects::Effects;
use super::ranking::{Group, Place, Ranking, groups, setting_names};
use super::steps::Steps;
use super::ties::Ties;
use super::time::Time;
use super::verdicts::Verdicts;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{Outcome, TrialId};
use sweep_spec::Spec;
use sweep_verdict::{Advice, Finding, Name};

/// Up to so many trials, the chart of each is in the page; with more, those of the notable ones, and the others are
/// drawn in the browser when they are asked for.
const CHARTS: usize = 60;

/// So many trials are in the page's table; `trials.csv` has all.
pub const LISTED: usize = 10_000;

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
    /// What the settings do; `None` where none varied.
    pub effects: Option<Effects>,
    /// How the time went.
    pub time: Time,
    /// What to do next.
    pub steps: Steps,
}

/// A part of the report: sentences, then charts, each with the name of its files.
#[derive(Debug)]
pub struct Section {
    /// Above it.
    pub heading: &'static str,
    /// A paragraph each.
    pub lines: Vec<String>,
    /// `validation` is in `charts/validation.svg` and `.png`.
    pub charts: Vec<(&'static str, Figure)>,
}

impl Section {
    fn new<const N: usize>(
        heading: &'static str,
        lines: Vec<String>,
        charts: [(&'static str, Option<Figure>); N],
    ) -> Section {
        let charts = charts.into_iter().filter_map(|(name, chart)| Some((name, chart?)));
        Section { heading, lines, charts: charts.collect() }
    }
}

impl<'a> Analysis<'a> {
    /// Looks at a sweep.
    pub fn new(spec: &'a Spec, history: &'a History) -> Analysis<'a> {
        let ranking = Ranking::new(history, &spec.metric);
        let groups = groups(&ranking, &spec.metric);
        let ties = Ties::new(spec, &ranking, &groups);
        let verdicts = Verdicts::new(spec, history);
        let trained = |id: &TrialId| {
            let stopped = matches!(history.trial(*id).and_then(|trial| trial.outcome()), Some(Outcome::Stopped { .. }));
            !stopped && verdicts.of(*id).iter().all(|finding| finding.name != Name::Stuck)
        };
        let trained = |group: &Group| group.trials.iter().all(trained);
        let effects = Effects::new(spec, &groups, &setting_names(history), trained);
        let time = Time::new(history, &ranking, &spec.metric);
        let steps = Steps::new(history, &groups, &verdicts, effects.as_ref());
        Analysis { spec, history, ties, groups, ranking, verdicts, effects, time, steps }
    }

    /// Who asks for a piece of advice that is worth following.
    pub fn asked(&self, of: impl Fn(Advice) -> bool) -> Option<Ask> {
        self.steps.open.iter().map(|step| step.ask).find(|ask| of(ask.advice))
    }

    /// The trials whose charts are in the page, best first.
    pub fn shown(&self) -> Vec<&'a TrialRecord> {
        if self.history.trials.len() > CHARTS {
            return self.ranking.notable();
        }
        let placed = self.ranking.placed.iter().map(|place| place.trial);
        placed.chain(self.ranking.others.iter().copied()).collect()
    }

    /// The trials in the page's table, best first; those that cannot be ranked have no place.
    pub fn listed(&self) -> impl Iterator<Item = (Option<&Place<'a>>, &'a TrialRecord)> {
        let placed = self.ranking.placed.iter().map(|place| (Some(place), place.trial));
        placed.chain(self.ranking.others.iter().map(|trial| (None, *trial))).take(LISTED)
    }

    /// What is shown of the whole sweep, in the order of the report.
    pub fn sections(&self) -> Vec<Section> {
        let validation = charts::validation(self.history, &self.spec.metric);
        let mut sections = vec![Section::new("Validation curves", Vec::new(), [("validation", Some(validation))])];
        if let Some(effects) = &self.effects {
            let charts = [
                ("effects", Some(charts::effects(effects))),
                ("interactions", charts::interactions(effects)),
                ("parallel", Some(charts::parallel(effects))),
            ];
            sections.push(Section::new("What the settings do", effects.remarks(), charts));
        }
        sections.push(Section::new("Gap against accuracy", Vec::new(), [("gap", charts::gap(&self.ranking))]));
        let time = [("time", charts::slots(&self.time))];
        sections.push(Section::new("How the time went", self.time.sentences(), time));
        sections.retain(|section| !section.charts.is_empty());
        sections
    }

    /// The chart of one of its trials.
    pub fn chart(&self, trial: &TrialRecord) -> Figure {
        let onset = self.verdicts.of(trial.id).iter().find_map(Finding::onset);
        charts::trial(trial, &self.spec.metric, onset)
    }
}
