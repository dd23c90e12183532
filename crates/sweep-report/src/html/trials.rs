//! The table of all trials. The page's script sorts and filters it by the content of its cells.

use maud::{Markup, html};
use serde_json::Value;

use super::super::analysis::Analysis;
use super::super::columns::{Column, columns};
use super::super::ranking::Place;
use super::super::words;
use super::breakable;
use sweep_core::history::TrialRecord;
use sweep_core::trial::TrialId;
use sweep_verdict::Finding;

/// Number of rows that are visible at first.
pub const ROWS: usize = 200;

/// Renders the table, best trial first. Trials that cannot be ranked are last, with what went wrong.
pub fn table(analysis: &Analysis, names: &[String]) -> Markup {
    let columns = columns(analysis);
    html! {
        p.filter {
            label for="filter" { "Filter " }
            input #filter type="search" placeholder="overfit dropout=0.2 val.accuracy>60" autocomplete="off";
            " " span #count.soft aria-live="polite" {} " " button #all hidden { "Show all" }
        }
        div.wide.table {
            table #trials {
                thead { tr {
                    th.number aria-sort="ascending" { button { "rank" } }
                    th { button { "trial" } }
                    @for name in names { th { button { (breakable(name)) } } }
                    th.number { button { "best epoch" } }
                    @for (heading, _) in &columns { th.number { button { (heading) } } }
                    th { button { "findings" } }
                    th { button { "outcome" } }
                } }
                tbody { @for (at, (place, trial)) in analysis.listed().enumerate() { (row(analysis, names, &columns, (place, trial), at)) } }
            }
        }
    }
}

fn row(
    analysis: &Analysis,
    names: &[String],
    columns: &[Column],
    (place, trial): (Option<&Place>, &TrialRecord),
    at: usize,
) -> Markup {
    let best = analysis.spec.metric.best(&trial.curve);
    let onset = analysis.verdicts.of(trial.id).iter().find_map(Finding::onset);
    let error = trial.outcome().and_then(|outcome| outcome.error());
    html! {
        tr hidden[at >= ROWS] data-best=[best.map(|best| best.epoch)] data-onset=[onset] {
            td.n { @if let Some(place) = place { (place.rank) } @else { "–" } }
            td { (link(trial.id)) }
            @for name in names {
                @let value = trial.settings.get(name);
                td.n[value.is_some_and(Value::is_number)] { @if let Some(value) = value { (words::brief(value)) } }
            }
            td.n { @if let Some(best) = best { (best.epoch) " of " (trial.epochs()) } @else { "–" } }
            @for (_, said) in columns { td.n { (said(best)) } }
            td.findings { (words::findings(analysis.verdicts.of(trial.id))) }
            td.error[error.is_some()] {
                @let status = words::status(trial);
                @if let Some(error) = error { div { (status) ": " (error) } } @else { (status) }
            }
        }
    }
}

/// A link to the trial's chart in the page, or to the place where the page's script draws it.
pub fn link(id: TrialId) -> Markup {
    html! { a href={ "#trial-" (id) } { (id) } }
}
