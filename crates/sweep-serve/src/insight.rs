//! Slow computations: findings, ties, effects, charts, and the spread of the curves of many trials. Pure.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use sweep_core::history::{History, Status};
use sweep_report::Evaluated;
use sweep_report::analysis::{Analysis, IMAGES};
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
    /// The PNG of the worst validation images, if it was drawn.
    pub worst: Option<Vec<u8>>,
}

/// Analyzes a sweep, with what is known of the best trial's images.
pub fn insight(spec: &Spec, history: &History, evaluated: Option<Evaluated>) -> Insight {
    let history = &*sweep_report::bounded::history(history);
    let mut analysis = Analysis::new(spec, history);
    analysis.evaluated = evaluated;
    let findings = || history.trials.iter().map(|trial| analysis.verdicts.of(trial.id));
    let summary = Summary::new(&analysis);
    let dark = format!("<style>@media (prefers-color-scheme:dark){{{}}}</style>", charts::dark_style("svg"));
    let (mut drawn, mut sections) = (BTreeMap::new(), Vec::new());
    for section in analysis.sections() {
        // These two are drawn by the page itself.
        let own = section.charts.iter().filter(|(name, _)| !["validation", "parallel"].contains(name));
        let names: Vec<&str> = own.clone().map(|(name, _)| *name).collect();
        drawn.extend(own.map(|(name, figure)| (*name, darkened(&charts::svg(figure), &dark))));
        if !names.is_empty() || section.heading == IMAGES {
            let confusion = analysis.evaluated.as_ref().filter(|_| section.heading == IMAGES).map(confusion);
            sections.push(
                json!({"heading": section.heading, "lines": section.lines, "charts": names, "images": confusion}),
            );
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
        worst: analysis.evaluated.take().and_then(|evaluated| evaluated.worst),
        bands: spread::bands(spec, history),
    }
}

/// The confusion matrix of the best trial, and whether there is an image of the worst predictions.
fn confusion(evaluated: &Evaluated) -> Value {
    let matrix = evaluated.matrix();
    let matrix =
        matrix.map(|(rows, caption)| json!({"caption": caption, "classes": evaluated.classes(), "rows": rows}));
    json!({"matrix": matrix, "worst": evaluated.worst.is_some()})
}

/// Returns an SVG that follows the dark mode of the page.
fn darkened(svg: &str, style: &str) -> String {
    match svg.find("<svg").and_then(|start| svg[start..].find('>').map(|end| start + end + 1)) {
        Some(end) => format!("{}{style}{}", &svg[..end], &svg[end..]),
        None => svg.to_owned(),
    }
}

/// Number of ended trials and of extensions.
type Progress = (usize, usize);

/// What an analysis depends on. The analysis is repeated when this changes. The best trial is evaluated after the last
/// trial has ended.
pub type Occasion = (Progress, Option<SystemTime>);

/// How far a sweep is.
pub fn progress(history: &History) -> Progress {
    let ended = history.trials.iter().filter(|trial| matches!(trial.status, Status::Ended(_))).count();
    (ended, history.extensions.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_turn_dark_with_the_page_and_contain_no_markup_of_the_sweep() {
        let insight = insight(&sweep_sample::spec(), &sweep_sample::hostile(), None);
        for svg in insight.charts.values() {
            assert!(svg.contains("prefers-color-scheme") && !svg.contains("<script"), "{svg}");
        }
        assert_eq!(insight.labels.len(), 2);
    }
}
