//! The table of all trials, which a click sorts.

use maud::{Markup, html};
use serde_json::Value;

use super::super::ranking::{Place, Ranking};
use super::super::words;
use crate::history::{History, TrialRecord};
use crate::trial::{EpochMetrics, Metric, TrialId};

/// A column of numbers: its heading, its value for sorting, and as it is shown.
type Column = (&'static str, fn(&EpochMetrics) -> Option<f64>, fn(Option<f64>) -> String);

const COLUMNS: [Column; 5] = [
    ("val. loss", |epoch| epoch.val_loss, |value| words::value("val_loss", value)),
    ("val. accuracy", |epoch| epoch.val_accuracy, |value| words::value("val_accuracy", value)),
    ("train. accuracy", |epoch| epoch.train_eval_accuracy, |value| words::value("train_eval_accuracy", value)),
    ("loss gap", EpochMetrics::loss_gap, words::loss_gap),
    ("accuracy gap", EpochMetrics::accuracy_gap, words::accuracy_gap),
];

/// Best first; those that cannot be ranked last, with what went wrong.
pub fn table(metric: &Metric, names: &[String], ranking: &Ranking, shown: &[&TrialRecord]) -> Markup {
    let placed = ranking.placed.iter().map(|place| (Some(place), place.trial));
    let rows = placed.chain(ranking.others.iter().map(|trial| (None, *trial)));
    html! {
        div.wide.table {
            table {
                thead { tr {
                    th.number aria-sort="ascending" { button { "rank" } }
                    th { button { "trial" } }
                    @for name in names { th { button { (name) } } }
                    th.number { button { "best epoch" } }
                    @for (heading, ..) in COLUMNS { th.number { button { (heading) } } }
                    th { button { "outcome" } }
                } }
                tbody { @for (place, trial) in rows { (row(metric, names, place, trial, shown)) } }
            }
        }
    }
}

fn row(
    metric: &Metric,
    names: &[String],
    place: Option<&Place>,
    trial: &TrialRecord,
    shown: &[&TrialRecord],
) -> Markup {
    let best = metric.best(&trial.curve);
    let error = trial.outcome().and_then(|outcome| outcome.error());
    html! {
        tr {
            td.number data-value=[place.map(|place| place.rank)] {
                @if let Some(place) = place { (place.rank) } @else { "–" }
            }
            td data-value=(trial.id.0) { (link(trial.id, shown)) }
            @for name in names {
                @let value = trial.settings.get(name);
                td.number[value.is_some_and(Value::is_number)] data-value=[value.map(words::setting)] {
                    @if let Some(value) = value { (words::setting(value)) }
                }
            }
            td.number data-value=[best.map(|best| best.epoch)] {
                @if let Some(best) = best { (best.epoch) " of " (trial.curve.len()) } @else { "–" }
            }
            @for (_, of, said) in COLUMNS {
                @let value = best.and_then(of);
                td.number data-value=[value] { (said(value)) }
            }
            td.error[error.is_some()] data-value=(words::status(trial)) {
                @let status = words::status(trial);
                @if let Some(error) = error { div { (status) ": " (error) } } @else { (status) }
            }
        }
    }
}

/// To the trial's chart in the page, or to its file.
pub fn link(id: TrialId, shown: &[&TrialRecord]) -> Markup {
    let inside = shown.iter().any(|trial| trial.id == id);
    let target = if inside { format!("#trial-{id}") } else { format!("trials/{id}/curves.svg") };
    html! { a href=(target) { (id) } }
}

/// Links to the charts that are not in the page.
pub fn rest(history: &History, shown: &[&TrialRecord]) -> Markup {
    let rest: Vec<_> = history.trials.iter().filter(|trial| !shown.iter().any(|one| one.id == trial.id)).collect();
    html! {
        @if !rest.is_empty() {
            p {
                "Shown are the best trials, the worst, those with the largest gaps and those that failed. The others: "
                @for trial in rest { (link(trial.id, shown)) " " }
            }
        }
    }
}
