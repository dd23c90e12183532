//! The report as JSON, for programs: the content of `report.html`, under keys that docs/reference/json.md lists. Pure.

use serde_json::{Value, json};

use super::analysis::Analysis;
use super::bounded;
use super::effects::Effects;
use super::evaluated::Evaluated;
use super::ranking::Counts;
use super::summary::Summary;
use sweep_core::history::{History, TrialRecord};
use sweep_spec::Spec;
use sweep_store::Layout;

/// Version of the object. It rises when a key is removed or changes its meaning, not when one is added.
const SCHEMA: u32 = 1;

/// The report of a sweep.
pub fn json(layout: &Layout, spec: &Spec, history: &History) -> Value {
    let history = &*bounded::history(history);
    let mut analysis = Analysis::new(spec, history);
    analysis.evaluated = Evaluated::read(layout);
    let summary = Summary::new(&analysis);
    let names = |trial: &TrialRecord| -> Vec<_> { analysis.verdicts.of(trial.id).iter().map(|one| one.name).collect() };
    let ranking = analysis.ranking.placed.iter().map(|place| {
        json!({
            "rank": place.rank,
            "trial": place.trial.id,
            "value": place.best.get(&spec.metric.name),
            "epoch": place.best.epoch,
            "epochs": place.trial.epochs(),
            "parameters": place.trial.settings,
            "findings": names(place.trial),
        })
    });
    let others = analysis.ranking.others.iter().map(|trial| {
        json!({
            "trial": trial.id,
            "status": trial.status.name(),
            "error": trial.outcome().and_then(|outcome| outcome.error()),
            "parameters": trial.settings,
        })
    });
    let findings = analysis.verdicts.tally().into_iter().map(|tally| {
        json!({"name": tally.name, "meaning": tally.name.meaning(), "trials": tally.trials, "grave": tally.grave,
            "onset": tally.onset})
    });
    json!({
        "schema": SCHEMA,
        "name": history.name,
        "metric": spec.metric,
        "complete": history.complete,
        "counts": Counts::new(history),
        "headline": summary.headline,
        "answer": summary.answer.iter().map(|(topic, text)| json!({"topic": topic, "text": text})).collect::<Vec<_>>(),
        "tied": analysis.ties.trials,
        "next_steps": summary.steps,
        "settled": summary.settled,
        "checks": summary.before,
        "findings": findings.collect::<Vec<_>>(),
        "judged": analysis.verdicts.judged(),
        "effects": analysis.effects.as_ref().map(effects),
        "details": summary.details,
        "ranking": ranking.collect::<Vec<_>>(),
        "others": others.collect::<Vec<_>>(),
        "files": {
            "html": layout.report_html(),
            "markdown": layout.report_md(),
            "trials": layout.trials_csv(),
            "epochs": layout.epochs_csv(),
            "next": Some(layout.next_file()).filter(|file| file.is_file()),
        },
    })
}

/// The parameters that varied, most important first, and what is said about them.
fn effects(effects: &Effects) -> Value {
    let share = |at: usize| effects.metric.importance.as_ref().map(|importance| importance.alone[at]);
    let parameters = effects.order().into_iter();
    let parameters = parameters.map(|at| json!({"name": effects.factors[at].name, "importance": share(at)}));
    json!({
        "parameters": parameters.collect::<Vec<_>>(),
        "sentences": effects.drivers(),
        "remarks": effects.remarks(),
    })
}
