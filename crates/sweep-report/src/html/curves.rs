//! Curves of trials without a chart in the page. They are stored as numbers, and the browser draws one on request.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use serde_json::json;

use super::super::analysis::Analysis;
use super::super::charts;
use sweep_core::history::TrialRecord;
use sweep_core::trial::{EpochMetrics, METRICS, Metric};

/// Maximum number of points kept per curve. It keeps the page for 10,000 trials below 15 MB.
const POINTS: usize = 17;

/// A script element with a JSON object of the curves by trial. Each has its `epochs` and one list per metric, rounded
/// to the digits that a chart shows. `named` has the metrics with custom names: the index in `names`, the epochs and
/// the values. Apart from numbers, only `names` contains data from files.
pub fn data(analysis: &Analysis, shown: &[&TrialRecord]) -> Markup {
    let shown: std::collections::HashSet<_> = shown.iter().map(|trial| trial.id).collect();
    let rest = analysis.listed().map(|(_, trial)| trial);
    let rest = rest.filter(|trial| !shown.contains(&trial.id) && !trial.curve.is_empty());
    let mut names = Vec::new();
    let mut objects: Vec<String> =
        rest.map(|trial| format!("\"{}\":{}", trial.id, object(trial, &analysis.spec.metric, &mut names))).collect();
    // Escaped so that no name can close the element.
    objects.push(format!("\"names\":{}", json!(names).to_string().replace('<', "\\u003c")));
    html! { script type="application/json" id="data" { (PreEscaped(format!("{{{}}}", objects.join(",")))) } }
}

fn object<'a>(trial: &'a TrialRecord, metric: &'a Metric, names: &mut Vec<&'a str>) -> String {
    let named = charts::named(trial, metric).into_iter().map(|name| {
        let at = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        let points = charts::points(trial, name);
        let (epochs, values): (Vec<_>, Vec<_>) =
            thinned(&points).into_iter().map(|(epoch, value)| (epoch.to_string(), short(Some(*value)))).unzip();
        format!("[{at},[{}],[{}]]", epochs.join(","), values.join(","))
    });
    let named: Vec<String> = named.collect();
    let curve = curve(&thinned(&trial.curve));
    if named.is_empty() { curve + "}" } else { format!("{curve},\"named\":[{}]}}", named.join(",")) }
}

/// Evenly chosen epochs, including the first and the last.
fn thinned<T>(curve: &[T]) -> Vec<&T> {
    let most = curve.len().min(POINTS);
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
