//! Slow computations: findings, ties, effects, charts, and the spread of the curves of many trials. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use sweep_core::history::{History, Status};
use sweep_report::analysis::Analysis;
use sweep_report::summary::Summary;
use sweep_report::{charts, format, spread};
use sweep_spec::Spec;
use sweep_verdict::Finding;

/// The results of an analysis. It describes the sweep as it was when the analysis began.
#[derive(Debug, Default, Clone)]
pub struct Insight {
    /// The findings of each trial in one line, in the order of the trials.
    pub labels: Vec<String>,
    /// The epoch of onset of each trial, if it overfits.
    pub onsets: Vec<Option<u32>>,
    /// Numbers of the trials that cannot be distinguished from the best.
    pub tied: Vec<u64>,
    /// Charts as SVG, by name.
    pub charts: BTreeMap<&'static str, String>,
    /// What the page shows as text.
    pub told: Value,
    /// The spread of the curves of each metric, if there are many.
    pub bands: BTreeMap<String, Value>,
}

/// Analyzes a sweep.
pub fn insight(spec: &Spec, history: &History) -> Insight {
    let history = &*sweep_report::bounded::history(history);
    let analysis = Analysis::new(spec, history);
    let findings = || history.trials.iter().map(|trial| analysis.verdicts.of(trial.id));
    let summary = Summary::new(&analysis);
    let dark = format!("<style>@media (prefers-color-scheme:dark){{{}}}</style>", charts::dark_style("svg"));
    let (mut drawn, mut sections) = (BTreeMap::new(), Vec::new());
    for section in analysis.sections() {
        // These two are drawn by the page itself.
        let own = section.charts.iter().filter(|(name, _)| !["validation", "parallel"].contains(name));
        let names: Vec<&str> = own.clone().map(|(name, _)| *name).collect();
        drawn.extend(own.map(|(name, figure)| (*name, darkened(&charts::svg(figure), &dark))));
        if !names.is_empty() {
            sections.push(json!({"heading": section.heading, "lines": section.lines, "charts": names}));
        }
    }
    let tally = analysis.verdicts.tally().into_iter().map(|tally| {
        json!({"name": tally.name.to_string(), "meaning": tally.name.meaning(), "trials": tally.trials,
            "grave": tally.grave, "onset": tally.onset})
    });
    let told = json!({
        "headline": summary.headline,
        "answer": summary.answer,
        "steps": summary.steps,
        "drivers": summary.drivers,
        "before": summary.before,
        "tally": tally.collect::<Vec<_>>(),
        "judged": analysis.verdicts.judged(),
        "ties": analysis.ties.sentence,
        "sections": sections,
    });
    Insight {
        labels: findings().map(format::findings).collect(),
        onsets: findings().map(|findings| findings.iter().find_map(Finding::onset)).collect(),
        tied: analysis.ties.trials.iter().map(|id| id.0).collect(),
        charts: drawn,
        told,
        bands: spread::bands(spec, history),
    }
}

/// Returns an SVG that follows the dark mode of the page.
fn darkened(svg: &str, style: &str) -> String {
    match svg.find("<svg").and_then(|start| svg[start..].find('>').map(|end| start + end + 1)) {
        Some(end) => format!("{}{style}{}", &svg[..end], &svg[end..]),
        None => svg.to_owned(),
    }
}

/// Returns what an analysis depends on. The analysis is repeated when this changes.
pub fn occasion(history: &History) -> (usize, usize) {
    let ended = history.trials.iter().filter(|trial| matches!(trial.status, Status::Ended(_))).count();
    (ended, history.extensions.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_turn_dark_with_the_page_and_contain_no_markup_of_the_sweep() {
        let insight = insight(&sweep_sample::spec(), &sweep_sample::hostile());
        for svg in insight.charts.values() {
            assert!(svg.contains("prefers-color-scheme") && !svg.contains("<script"), "{svg}");
        }
        assert_eq!(insight.labels.len(), 2);
    }
}
