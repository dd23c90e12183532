//! What takes long to compute: findings, ties, effects, charts, and how the curves of many trials are spread. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use sweep_core::history::{History, Status};
use sweep_core::trial::{EpochMetrics, METRICS};
use sweep_report::analysis::Analysis;
use sweep_report::summary::Summary;
use sweep_report::{charts, format};
use sweep_spec::Spec;
use sweep_verdict::Finding;

/// From this number of curves on, the page shows how they are spread instead of drawing all of them.
pub const MANY: usize = 200;

/// Number of epochs at which the spread is computed.
const BINS: usize = 100;

/// The quantiles of the spread.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

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
        bands: bands(spec, history),
    }
}

/// An SVG that follows the page into the dark.
fn darkened(svg: &str, style: &str) -> String {
    match svg.find("<svg").and_then(|start| svg[start..].find('>').map(|end| start + end + 1)) {
        Some(end) => format!("{}{style}{}", &svg[..end], &svg[end..]),
        None => svg.to_owned(),
    }
}

fn bands(spec: &Spec, history: &History) -> BTreeMap<String, Value> {
    if history.trials.iter().filter(|trial| !trial.curve.is_empty()).count() <= MANY {
        return BTreeMap::new();
    }
    let own = Some(spec.metric.name.as_str()).filter(|name| !METRICS.contains(name));
    METRICS.into_iter().chain(own).filter_map(|name| Some((name.to_owned(), band(history, name)?))).collect()
}

/// The quantiles of a metric over all trials that have reached an epoch, at evenly chosen epochs.
fn band(history: &History, name: &str) -> Option<Value> {
    let last = history.trials.iter().map(|trial| trial.epochs()).max()?;
    let bins = BINS.min(last as usize).max(1);
    let epochs: Vec<u32> =
        (0..bins).map(|at| 1 + (at as u64 * u64::from(last - 1) / (bins as u64 - 1).max(1)) as u32).collect();
    let mut values = vec![Vec::new(); bins];
    for trial in &history.trials {
        for (&epoch, values) in epochs.iter().zip(&mut values) {
            values.extend(at(&trial.curve, epoch).and_then(|epoch| epoch.get(name)));
        }
    }
    if values.iter().all(Vec::is_empty) {
        return None;
    }
    let mut lines = vec![Vec::with_capacity(bins); QUANTILES.len()];
    for values in &mut values {
        values.sort_by(f64::total_cmp);
        for (line, share) in lines.iter_mut().zip(QUANTILES) {
            line.push(values.get((share * (values.len().max(1) - 1) as f64).round() as usize).copied().map(short));
        }
    }
    let over = history.trials.iter().filter(|trial| !trial.curve.is_empty()).count();
    Some(json!({"epochs": epochs, "quantiles": lines, "trials": over}))
}

/// The metrics of an epoch. Programs may leave out epochs.
fn at(curve: &[EpochMetrics], epoch: u32) -> Option<&EpochMetrics> {
    let guess = curve.get(epoch as usize - 1).filter(|found| found.epoch == epoch);
    guess.or_else(|| curve.binary_search_by_key(&epoch, |one| one.epoch).ok().map(|at| &curve[at]))
}

/// A number with the digits that a chart shows.
pub fn short(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// What an analysis depends on: it is repeated when this changes.
pub fn occasion(history: &History) -> (usize, usize) {
    let ended = history.trials.iter().filter(|trial| matches!(trial.status, Status::Ended(_))).count();
    (ended, history.extensions.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_many_curves_is_in_order_and_few_have_none() {
        let (spec, many) = (sweep_sample::spec(), sweep_sample::many(300));
        assert!(insight(&spec, &sweep_sample::history()).bands.is_empty());
        let band = &insight(&spec, &many).bands["val_loss"];
        let value = |line: usize, at: usize| band["quantiles"][line][at].as_f64().expect("a number");
        for at in 0..30 {
            assert!((1..5).all(|line| value(line - 1, at) <= value(line, at)), "{band}");
        }
    }

    #[test]
    fn charts_turn_dark_with_the_page_and_contain_no_markup_of_the_sweep() {
        let insight = insight(&sweep_sample::spec(), &sweep_sample::hostile());
        for svg in insight.charts.values() {
            assert!(svg.contains("prefers-color-scheme") && !svg.contains("<script"), "{svg}");
        }
        assert_eq!(insight.labels.len(), 2);
    }
}
