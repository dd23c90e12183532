//! The pages, as HTML. They contain names and numbers of the sweep; what changes is filled in by the scripts. maud
//! escapes all text.

use std::sync::Arc;

use maud::{DOCTYPE, Markup, html};

use crate::sweep::Sweep;
use sweep_report::format;
use sweep_report::ranking::Counts;

/// The page that gives the cookie, and opens the next.
pub fn enter() -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta http-equiv="refresh" content="0;url=/"; title { "sweep" }
                link rel="icon" href="/assets/icon.svg"; }
            body { a href="/" { "Open the page" } }
        }
    };
    page.into_string()
}

/// The page of several sweeps side by side.
pub fn all(sweeps: &[Arc<Sweep>]) -> String {
    let body = html! {
        header { h1 { (format::count(sweeps.len() as u64)) " sweeps" } (theme()) }
        main #sweeps {
            @for (at, sweep) in sweeps.iter().enumerate() {
                article.card.sweep data-sweep=(at + 1) {
                    h2 { a href={ "/sweep/" (at + 1) "/" } { (format::clean(&sweep.state().history.name)) } " " span.pill {} }
                    p.counts { (Counts::new(&sweep.state().history).sentence()) }
                    progress max="1" value="0" {}
                    p.best {}
                    div.chart.small {}
                    p.soft.note {}
                }
            }
        }
    };
    frame("sweeps", "all.js", None, &body)
}

/// The page of one sweep.
pub fn sweep(sweep: &Sweep, number: usize, has_others: bool, control: bool) -> String {
    let name = format::clean(&sweep.state().history.name);
    let description = sweep.state().spec.description.as_deref().map(format::clean);
    let counts = Counts::new(&sweep.state().history).sentence();
    let body = html! {
        header {
            @if has_others { a.home href="/" { "All sweeps" } }
            h1 { (name) } span #pill.pill {}
            nav {
                @for (id, title) in [("curves", "Curves"), ("trials", "Trials"), ("parallel", "Parameters"),
                    ("findings", "Findings"), ("effects", "Effects"), ("slots", "Slots")] {
                    a href={ "#" (id) } { (title) }
                }
            }
            button #help title="Keyboard shortcuts" { "?" }
            (theme())
        }
        main {
            p #problem.bad role="alert" hidden {}
            p #lost.bad role="status" hidden { "The connection to sweep serve is lost. Trying again." }
            @if let Some(description) = description { p.soft { (description) } }
            section #cards aria-label="Overview" {
                div.card { h2 { "Trials" } p #ended.big { "–" } progress #progress max="1" value="0" {} p #counts.soft { (counts) } p #failure.bad {} }
                div.card { h2 { "Time left" } p #left.big { "–" } p #hourly.soft {} }
                div.card.wide { h2 { "Best so far" } p #best.big { "–" } p #settings.soft {} p #ties.soft {} }
            }
            section #curves { h2 { "Curves" } (chart_tools()) div #chart.chart tabindex="0" {} p #drawn.soft {} }
            section #trials { h2 { "Trials" } (table()) }
            section #parallel {
                h2 { "Parameters and results" }
                p.soft { "Drag along an axis to select trials. Click the axis to end the selection. The table and the curves show only selected trials." }
                div.scroll { div #coordinates.chart {} } p #lines.soft {}
            }
            section #findings { h2 { "Findings" } div #told { p.soft { "Trials are judged when they end." } } }
            section #effects { h2 { "Effects and time" } div #charts { p.soft { "Charts are shown when trials have \
                ended." } } }
            section #slots { h2 { "Slots" } div.scroll { table #slot-table { tbody {} } } @if control { div #steer.tools {} } }
            p #answer role="status" hidden {}
        }
        dialog #trial aria-label="Trial" { div #trial-body {} }
        dialog #keys aria-label="Keyboard shortcuts" { div { (keys()) } }
    };
    frame(&name, "app.js", Some((number, control)), &body)
}

fn frame(title: &str, script: &str, shown: Option<(usize, bool)>, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/chart.css";
                link rel="stylesheet" href="/assets/style.css";
                script type="module" src={ "/assets/" (script) } {}
            }
            body data-sweep=[shown.map(|(number, _)| number)] data-control[shown.is_some_and(|(_, control)| control)] { (body) }
        }
    };
    page.into_string()
}

fn theme() -> Markup {
    html! { button #theme title="Light or dark (d)" aria-label="Light or dark" { "◐" } }
}

fn chart_tools() -> Markup {
    html! {
        div.tools {
            label { "Metric " select #metric {} }
            label { input #log-y type="checkbox"; " log values" }
            label { input #log-x type="checkbox"; " log epochs" }
            label { "Smoothing " input #smooth type="range" min="0" max="0.95" step="0.05" value="0"; }
            button #reset hidden { "Whole chart" }
        }
    }
}

fn table() -> Markup {
    html! {
        div.tools {
            label { "Filter " input #filter type="search" placeholder="overfit dropout=0.2 val.accuracy>60" autocomplete="off" spellcheck="false"; }
            span #count.soft aria-live="polite" {}
            details #columns { summary { "Columns" } div #choices {} }
        }
        div.scroll.tall { table #table { thead { tr {} } tbody {} } }
        button #more hidden { "Show more" }
    }
}

fn keys() -> Markup {
    let keys = [
        ("/", "filter the table"),
        ("j, k", "next or previous trial of the table"),
        ("Enter", "open the trial"),
        ("Esc", "close the trial, leave the filter"),
        ("l", "logarithmic values"),
        ("d", "light or dark"),
        ("1 … 6", "go to a section"),
        ("←, →", "epoch by epoch in the chart, when it has the focus"),
    ];
    html! {
        h2 { "Keyboard" }
        dl { @for (key, does) in keys { div { dt { kbd { (key) } } dd { (does) } } } }
        button.close { "Close" }
    }
}
