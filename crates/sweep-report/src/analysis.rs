//! The results that all report pages share, computed once. Pure.

use super::asked::Ask;
use super::charts::{self, Figure};
use super::effects::Effects;
use super::evaluated::{self, Evaluated};
use super::ranking::{Group, Place, Ranking, groups, setting_names};
use super::steps::Steps;
use super::ties::Ties;
use super::time::{Time, Trainer};
use super::tradeoff::Tradeoff;
use super::verdicts::{Verdicts, is_meaningless};
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{Outcome, Settings, TrialId};
use sweep_spec::Spec;
use sweep_verdict::{Advice, Finding};

/// Maximum number of trials for which the page contains every chart. In larger sweeps it contains the charts of the
/// notable trials only, and the browser draws the others on request.
const CHARTS: usize = 60;

/// Maximum number of trials in the page's table. `trials.csv` lists all of them.
pub const LISTED: usize = 10_000;

/// The analysis of a sweep: its ranking, findings, effects, times, and next steps.
#[derive(Debug)]
pub struct Analysis<'a> {
    /// The sweep file.
    pub spec: &'a Spec,
    /// The sweep's journal, replayed.
    pub history: &'a History,
    /// The trials in order, best first.
    pub ranking: Ranking<'a>,
    /// The ranking by configuration, with the repeats of each combined.
    pub groups: Vec<Group<'a>>,
    /// The trials that cannot be distinguished from the best.
    pub ties: Ties,
    /// The findings in each learning curve.
    pub verdicts: Verdicts,
    /// The effect of each parameter, or `None` if no parameter varied.
    pub effects: Option<Effects>,
    /// How the sweep used its time.
    pub time: Time,
    /// The next steps.
    pub steps: Steps,
    /// The predictions of the best configuration on validation and test images, if they were evaluated.
    pub evaluated: Option<Evaluated>,
}

/// Heading of the section about the images of the best configuration.
pub const IMAGES: &str = "The best configuration's images";

/// A part of the report: sentences, then charts. Each chart has the name of its files.
#[derive(Debug)]
pub struct Section {
    pub heading: &'static str,
    /// The text, one paragraph per entry.
    pub lines: Vec<String>,
    /// The charts by file name: `validation` is in `charts/validation.svg` and `.png`.
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
    /// Analyzes a sweep.
    pub fn new(spec: &'a Spec, history: &'a History) -> Analysis<'a> {
        let ranking = Ranking::new(history, &spec.metric);
        let groups = groups(&ranking, &spec.metric);
        let ties = Ties::new(spec, history, &ranking, &groups);
        let verdicts = Verdicts::new(spec, history);
        let sound = |id: &TrialId| history.trial(*id).is_some_and(|trial| !is_meaningless(trial, verdicts.of(*id)));
        let whole = |id: &TrialId| {
            !matches!(history.trial(*id).and_then(|trial| trial.outcome()), Some(Outcome::Stopped { .. }))
        };
        let tried: Vec<&Settings> = verdicts.counted(history).iter().map(|trial| &trial.settings).collect();
        let sound = |group: &Group| group.trials.iter().all(sound);
        let whole = |group: &Group| group.trials.iter().all(whole);
        let mut effects = Effects::new(spec, &groups, &ranking, &tried, &setting_names(history), (sound, whole));
        // Where chance explains most differences, it explains a trend in them, too.
        if 2 * ties.trials.len() > ranking.placed.len() {
            effects.iter_mut().flat_map(|effects| &mut effects.edges).for_each(|edge| edge.proven = false);
        }
        let time = Time::new(history, &ranking, &spec.metric, &ties.trials);
        let steps = Steps::new(history, &groups, &verdicts, effects.as_ref());
        Analysis { spec, history, ties, groups, ranking, verdicts, effects, time, steps, evaluated: None }
    }

    /// The first request for advice that `of` accepts, if it is an open step.
    pub fn asked(&self, of: impl Fn(Advice) -> bool) -> Option<Ask> {
        self.steps.open.iter().map(|step| step.ask).find(|ask| of(ask.advice))
    }

    /// The trials with a chart in the page, best first.
    pub fn shown(&self) -> Vec<&'a TrialRecord> {
        if self.history.trials.len() > CHARTS {
            return self.ranking.notable();
        }
        let placed = self.ranking.placed.iter().map(|place| place.trial);
        placed.chain(self.ranking.others.iter().copied()).collect()
    }

    /// The trials in the page's table, best first. A trial that cannot be ranked has no place.
    pub fn listed(&self) -> impl Iterator<Item = (Option<&Place<'a>>, &'a TrialRecord)> {
        let placed = self.ranking.placed.iter().map(|place| (Some(place), place.trial));
        placed.chain(self.ranking.others.iter().map(|trial| (None, *trial))).take(LISTED)
    }

    /// The sections about the whole sweep, in report order.
    pub fn sections(&self) -> Vec<Section> {
        let validation = charts::validation(self.history, &self.spec.metric);
        let mut sections = vec![Section::new("Validation curves", Vec::new(), [("validation", Some(validation))])];
        if let Some(effects) = &self.effects {
            let charts = [
                ("effects", charts::effects(effects)),
                ("interactions", charts::interactions(effects)),
                ("parallel", Some(charts::parallel(effects))),
            ];
            sections.push(Section::new("Effects of the parameters", effects.remarks(), charts));
        }
        if let Some(tradeoff) = Tradeoff::new(self.spec, self.history) {
            sections
                .insert(0, Section::new("Trade-offs", tradeoff.sentences(), [("pareto", charts::pareto(&tradeoff))]));
        }
        sections.push(Section::new("Gap and accuracy", Vec::new(), [("gap", charts::gap(&self.ranking))]));
        let time = [("time", charts::slots(&self.time))];
        let trainer = if self.spec.program().is_some() { Trainer::Program } else { Trainer::BuiltIn };
        sections.push(Section::new("Time used", self.time.sentences(trainer), time));
        sections.retain(|section| !section.charts.is_empty());
        if let Some(evaluated) = &self.evaluated {
            let lines = evaluated::sentences(&evaluated.evaluation);
            sections.insert(0, Section { heading: IMAGES, lines, charts: Vec::new() });
        }
        sections
    }

    /// The chart of one trial of the sweep.
    pub fn chart(&self, trial: &TrialRecord) -> Figure {
        let onset = self.verdicts.of(trial.id).iter().find_map(Finding::onset);
        charts::trial(trial, &self.spec.metric, onset)
    }
}
