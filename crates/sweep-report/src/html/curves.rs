//! The curves of the trials as numbers, from which the page's script draws charts.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use serde_json::json;

use super::super::analysis::Analysis;
use super::super::charts;
use super::super::spread;
use sweep_core::history::TrialRecord;
use sweep_core::trial::{EpochMetrics, METRICS, Metric};

/// Maximum number of points kept per curve, and of all of them in a small sweep. The page for 10,000 trials stays below
/// 15 MB.
const POINTS: usize = 17;
const ALL_POINTS: usize = 60_000;
/// A chart shows no more points of a curve.
const MOST_POINTS: usize = 400;

/// A script element with a JSON object. `trials` has the curves by trial: each has its `epochs` and one list per metric,
/// rounded to the digits that a chart shows. `named` has the metrics with custom names: the index in `names`, the epochs
/// and the values. `bands` has the spread of many curves. Only `names` and `metrics` contain text from files.
pub fn data(analysis: &Analysis, settings: usize) -> Markup {
    let listed: Vec<&TrialRecord> =
        analysis.listed().map(|(_, trial)| trial).filter(|trial| !trial.curve.is_empty()).collect();
    let most = (ALL_POINTS / listed.len().max(1)).clamp(POINTS, MOST_POINTS);
    let metric = &analysis.spec.metric;
    let mut names = Vec::new();
    let trials: Vec<String> =
        listed.iter().map(|trial| format!("\"{}\":{}", trial.id, object(trial, metric, &mut names, most))).collect();
    // Trials of a sweep report the same metrics, so the first are enough to tell which there are.
    let is_measured = |name: &&str| listed.iter().take(50).any(|trial| !charts::points(trial, name).is_empty());
    let own = std::iter::once(metric.name.as_str()).filter(is_measured);
    let usual = ["val_loss", "val_accuracy"].into_iter().chain(METRICS).filter(is_measured);
    let mut metrics: Vec<&str> = Vec::new();
    for name in own.chain(usual).chain(names.iter().copied()) {
        if !metrics.contains(&name) {
            metrics.push(name);
        }
    }
    // Escaped so that no name can close the element.
    let text = |value: serde_json::Value| value.to_string().replace('<', "\\u003c");
    let bands = text(json!(spread::bands(analysis.spec, analysis.history)));
    let (names, metrics) = (text(json!(names)), text(json!(metrics)));
    let trials = trials.join(",");
    let data = format!(
        "{{\"settings\":{settings},\"names\":{names},\"metrics\":{metrics},\"bands\":{bands},\"trials\":{{{trials}}}}}"
    );
    html! { script type="application/json" id="data" { (PreEscaped(data)) } }
}

fn object<'a>(trial: &'a TrialRecord, metric: &'a Metric, names: &mut Vec<&'a str>, most: usize) -> String {
    let named = charts::named(trial, metric).into_iter().map(|name| {
        let at = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        let points = charts::points(trial, name);
        let (epochs, values): (Vec<_>, Vec<_>) =
            thinned(&points, most).into_iter().map(|(epoch, value)| (epoch.to_string(), short(Some(*value)))).unzip();
        format!("[{at},[{}],[{}]]", epochs.join(","), values.join(","))
    });
    let named: Vec<String> = named.collect();
    let curve = curve(&thinned(&trial.curve, most));
    if named.is_empty() { curve + "}" } else { format!("{curve},\"named\":[{}]}}", named.join(",")) }
}

/// Evenly chosen epochs, including the first and the last.
fn thinned<T>(curve: &[T], most: usize) -> Vec<&T> {
    let most = curve.len().min(most);
    (0..most).map(|n| &curve[n * (curve.len() - 1) / (most - 1).max(1)]).collect()
}

/// The JSON object of a curve, without its closing brace.
fn curve(epochs: &[&EpochMetrics]) -> String {
    let numbers: Vec<String> = epochs.iter().map(|epoch| epoch.epoch.to_string()).collect();
    let mut object = format!("{{\"epochs\":[{}]", numbers.join(","));
    for name in METRICS {
        let values: Vec<Option<f64>> = epochs.iter().map(|epoch| epoch.get(name)).collect();
        if values.iter().any(Option::is_some) {
            let values: Vec<String> = values.into_iter().map(short).collect();
            let _ = write!(object, ",\"{name}\":[{}]", values.join(","));
        }
    }
    object
}

/// Formats a value with three digits; a chart shows no more.
fn short(value: Option<f64>) -> String {
    let Some(value) = value else { return "null".into() };
    let digits = (2.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 9.0) as usize;
    match value.abs() {
        1e4.. => format!("{value:.2e}"),
        _ if digits == 0 => format!("{value:.0}"),
        _ => format!("{value:.digits$}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_read_back() {
        for value in [0.0, 1.40237, 0.6159, 12345.6, -0.25, 1e-12, 2e9] {
            let text = short(Some(value));
            let read: f64 = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!((read - value).abs() <= 0.006 * value.abs() + 1e-9 && text.len() <= 8, "{value} {text}");
        }
    }
}
