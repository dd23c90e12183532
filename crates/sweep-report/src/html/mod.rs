//! `report.html`: one file that loads nothing from a network. maud escapes all data from files.

mod curves;
mod evaluation;
mod trials;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use sha2::{Digest, Sha256};

use super::analysis::{Analysis, IMAGES, LISTED};
use super::assets;
use super::charts;
use super::format;
use super::ranking::setting_names;
use super::summary::Summary;
use sweep_core::history::TrialRecord;
use sweep_verdict::merged_advice;

/// Renders the page. Its links are relative to the sweep's folder.
pub fn page(analysis: &Analysis) -> String {
    let Analysis { spec, history, .. } = analysis;
    let shown = analysis.shown();
    let (style, curves_style) = (include_str!("style.css"), assets::STYLE);
    let script = script();
    // Text of the sweep that became a script by mistake would not run.
    let digest = digest(&script);
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:");
    let dark = format!("@media screen and (prefers-color-scheme: dark) {{{}}}", charts::dark_style("svg"));
    let names = setting_names(history);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (history.name) }
                style { (PreEscaped(curves_style)) (PreEscaped(style)) (PreEscaped(dark)) }
            }
            body {
                h1 { (history.name) }
                @if let Some(description) = &spec.description { p.soft { (description) } }
                (head(&Summary::new(analysis)))
                @for section in analysis.sections() {
                    h2 { (section.heading) }
                    @for line in &section.lines { p { (prose(line)) } }
                    @if section.heading == IMAGES { (evaluation::images(analysis.evaluated.as_ref())) }
                    @for (_, chart) in &section.charts { (figure(chart)) }
                }
                section.tables {
                    @if spec.most_repeats > 1 {
                        h2 { "Configurations" }
                        p { "Mean ± standard deviation over repeats with different seeds." }
                        (settings(analysis, &names))
                    }
                    h2 { "Trials" }
                    p { "Metrics are from the best epoch. Accuracy gaps are in percentage points." }
                    (trials::table(analysis, &names))
                    @if history.trials.len() > LISTED { p.soft { "The best " (format::count(LISTED as u64)) " are listed. All are in trials.csv." } }
                }
                h2 { "Curves" }
                (overview())
                @if shown.len() < history.trials.len() {
                    p {
                        "Shown here: the best and the worst trials, those with the largest gaps, and failed ones. "
                        "To see the curves of another trial, click its number in the table."
                    }
                }
                div #curves { @for trial in &shown { (curves(analysis, trial)) } }
                (curves::data(analysis, names.len()))
                script type="module" { (PreEscaped(script)) }
            }
        }
    };
    // Text from files may contain control characters, which are invalid in a page.
    page.into_string().replace(|letter: char| letter.is_control() && letter != '\n', " ")
}

/// The scripts of the page as one module. The modules import nothing but each other.
fn script() -> String {
    let modules = [assets::COMMON, assets::CHART, assets::PANELS, include_str!("../../assets/report.js")];
    let lines = modules.iter().flat_map(|module| module.lines()).filter(|line| !line.starts_with("import "));
    lines.map(|line| format!("{}\n", line.strip_prefix("export ").unwrap_or(line))).collect()
}

/// The SHA-256 of a script in base 64, as a policy names it.
fn digest(script: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(script.as_bytes()))
}

/// The chart of all trials. The script fills it in.
fn overview() -> Markup {
    html! {
        div #overview hidden {
            div.tools {
                label { "Metric " select #metric {} }
                label { input #log-y type="checkbox"; " log values" }
                label { input #log-x type="checkbox"; " log epochs" }
                label { "Smoothing " input #smooth type="range" min="0" max="0.95" step="0.05" value="0"; }
                button #reset hidden { "Whole chart" }
            }
            div.chart tabindex="0" {}
            p #drawn.soft {}
            p.soft { "Move over a curve to see its values, click it to see the trial. Drag to enlarge, and double-click to see all." }
        }
    }
}

fn head(summary: &Summary) -> Markup {
    html! {
        section.best {
            p { (summary.headline) }
            @if !summary.settings.is_empty() {
                dl { @for (name, value) in &summary.settings { div { dt { (name) } dd { (value) } } } }
            }
            @for (what, said) in &summary.answer { p { b { (what) ": " } (prose(said)) } }
        }
        @if !summary.steps.is_empty() {
            h2 { "Next steps, in this order" }
            ol { @for step in &summary.steps { li { (prose(step)) } } }
            p { a href="next.yaml" { "next.yaml" } " is a proposed file for the next sweep, with a reason for each change." }
        }
        (list("Already settled", &summary.settled))
        (list("Checks before training", &summary.before))
        (list("Findings in the trials", &summary.ailments))
        (list("Most important parameters", &summary.drivers))
        h2 { "About the best trial and the sweep" }
        @for detail in &summary.details { p { (prose(detail)) } }
    }
}

fn list(heading: &str, items: &[String]) -> Markup {
    html! { @if !items.is_empty() { h2 { (heading) } ul { @for item in items { li { (prose(item)) } } } } }
}

/// Renders a sentence of the report. Text between backticks is code.
fn prose(text: &str) -> Markup {
    html! { @for (at, part) in text.split('`').enumerate() { @if at % 2 == 1 { code { (part) } } @else { (part) } } }
}

fn figure(figure: &charts::Figure) -> Markup {
    html! { div.wide { (PreEscaped(charts::svg(figure))) } }
}

fn curves(analysis: &Analysis, trial: &TrialRecord) -> Markup {
    let folder = format!("trials/{}", trial.id);
    let findings = analysis.verdicts.of(trial.id);
    html! {
        article id={ "trial-" (trial.id) } {
            (figure(&analysis.chart(trial)))
            @if !findings.is_empty() {
                ul.findings { @for finding in findings { li { b { (finding.label()) } " – " (finding.headline) } } }
                details {
                    summary { "Evidence and advice" }
                    @for finding in findings {
                        dl { @for evidence in &finding.evidence { div { dt { (evidence.what) } dd { (evidence.text()) } } } }
                    }
                    ol { @for advice in merged_advice(findings) { li { (advice.text(analysis.verdicts.task)) } } }
                }
            }
            p.soft {
                a href={ (folder) "/curves.svg" } { "SVG" } " · "
                (format::status(trial))
                @if let Some(parameters) = trial.parameters { " · " (format::count(parameters)) " weights" }
                " · " (format::duration(trial.seconds)) " on " (trial.slot)
                @if trial.attempts > 1 { " · " (trial.attempts) " attempts" }
            }
        }
    }
}

/// Renders a parameter's name, which may break after `_` and `.`.
fn breakable(name: &str) -> Markup {
    html! { @for part in name.split_inclusive(['_', '.']) { (part) wbr; } }
}

fn settings(Analysis { spec, groups, .. }: &Analysis, names: &[String]) -> Markup {
    html! {
        div.wide.table {
            table {
                thead { tr {
                    th { "Trials" }
                    @for name in names { th { (breakable(name)) } }
                    th.number { (format::metric(&spec.metric)) }
                    th.number { "validation accuracy" }
                    th.number { "accuracy gap" }
                } }
                tbody { @for group in groups.iter().take(trials::ROWS) { tr {
                    td { @for id in &group.trials { (trials::link(*id)) " " } }
                    @for value in names.iter().map(|name| group.settings.get(name)) {
                        td { @if let Some(value) = value { (format::brief(value)) } }
                    }
                    td.number { (format::spread(&spec.metric.name, Some(group.metric))) }
                    td.number { (format::spread("val_accuracy", group.accuracy)) }
                    td.number { (format::spread("accuracy_gap", group.accuracy_gap)) }
                } } }
            }
        }
        @if groups.len() > trials::ROWS { p.soft { "These are the best " (trials::ROWS) " of " (format::count(groups.len() as u64)) " configurations." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_sweep_becomes_markup() {
        let mut spec = sweep_sample::spec();
        spec.description = Some("</p><script>alert('description')</script>".into());
        (spec.repeats, spec.most_repeats) = (2, 2);
        let page = page(&Analysis::new(&spec, &sweep_sample::hostile()));
        assert_eq!(page.matches("<script").count(), 2, "only our own");
        for hostile in ["<img", "\u{1b}", "\u{0}", "</td></td>"] {
            assert!(!page.contains(hostile), "{hostile:?}");
        }
        assert!(page.contains("&lt;script&gt;alert('sweep')"));
    }

    #[test]
    fn the_page_asks_nothing_of_a_network() {
        let page = page(&Analysis::new(&sweep_sample::spec(), &sweep_sample::many(70)));
        let elsewhere: Vec<_> =
            page.match_indices("://").map(|(at, _)| &page[at - 6..(at + 24).min(page.len())]).collect();
        assert!(elsewhere.iter().all(|text| text.contains("://www.w3.org/2000/svg")), "{elsewhere:?}");
        for loading in ["src=", "@import", "url(", "<link"] {
            assert!(!page.contains(loading), "{loading}");
        }
    }

    #[test]
    fn many_trials_show_the_notable_ones_and_carry_the_curves_of_all() {
        let history = sweep_sample::many(80);
        let page = page(&Analysis::new(&sweep_sample::spec(), &history));
        let inline = page.matches("<article").count();
        assert!((12..=26).contains(&inline), "{inline}");
        let data = page.split("<script type=\"application/json\" id=\"data\">").nth(1).expect("there is data");
        let data: serde_json::Value = serde_json::from_str(data.split("</script>").next().expect("closed")).unwrap();
        for trial in &history.trials {
            assert!(data["trials"][trial.id.to_string()].is_object() != trial.curve.is_empty(), "{}", trial.id);
        }
        assert_eq!(data["metrics"][0], "val_loss");
    }
}
