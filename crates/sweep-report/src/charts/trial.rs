//! The curves of one trial: loss and accuracy on training images during training, on training images in evaluation
//! mode, and on validation images.

use super::figure::{Figure, Side, fit, width, width_of};
use super::ink::Ink;
use super::panel::{POINTS, Panel, Quantity};
use super::validation::thinned;
use crate::format;
use sweep_core::history::TrialRecord;
use sweep_core::trial::{EpochMetrics, METRICS, Metric};

const SIZE: (u32, u32) = (960, 400);
/// Size of a panel's inner area, and distance between rows of panels, in pixels.
const WIDE: f32 = 392.0;
/// Width of a panel that is alone.
const WHOLE: f32 = 872.0;
const HIGH: f32 = 232.0;
const ROW: u32 = 300;
/// Maximum number of custom metrics with a panel.
const MOST_NAMED: usize = 12;
/// Curves in drawing order. Validation is the most important, so it is on top.
const CURVES: [(&str, &str, Ink, f32); 3] = [
    ("train", "training data, during training", Ink::Sky, 1.5),
    ("train_eval", "training data, evaluation mode", Ink::Blue, 2.0),
    ("val", "validation data", Ink::Vermilion, 2.0),
];

/// Draws the chart of a trial in any state. `onset` is the epoch at which it began to overfit.
pub fn trial(trial: &TrialRecord, metric: &Metric, onset: Option<u32>) -> Figure {
    let state = trial.outcome().and_then(|outcome| outcome.error()).unwrap_or_else(|| format::status(trial).into());
    let alarm = trial.failed();
    let title = format!("Trial {}", trial.id);
    let settings = format::settings(&trial.settings);
    let heading = Heading { title: &title, state: &state, alarm, line: &settings, onset };
    let named = named(trial, metric);
    if named.is_empty() { curve(&heading, &trial.curve, metric) } else { program(&heading, trial, metric, &named) }
}

/// The names of a trial's custom metrics, up to the number of panels.
pub fn named<'a>(trial: &'a TrialRecord, metric: &'a Metric) -> Vec<&'a str> {
    let own = Some(metric.name.as_str()).filter(|name| !METRICS.contains(name) && metric.best(&trial.curve).is_some());
    own.into_iter().chain(trial.others.keys().map(String::as_str)).take(MOST_NAMED).collect()
}

/// The values of a custom metric by epoch.
pub fn points(trial: &TrialRecord, name: &str) -> Vec<(u32, f64)> {
    match trial.others.get(name) {
        Some(values) => values.clone(),
        None => trial.curve.iter().filter_map(|epoch| Some((epoch.epoch, epoch.get(name)?))).collect(),
    }
}

/// The chart of a trial with custom metrics. Each has a panel, after loss and accuracy if those were measured.
fn program(heading: &Heading, trial: &TrialRecord, metric: &Metric, named: &[&str]) -> Figure {
    let measured = |quantity: &Quantity| is_measured(*quantity, &trial.curve);
    let usual: Vec<_> = [Quantity::Loss, Quantity::Accuracy].into_iter().filter(measured).collect();
    let rows = (usual.len() + named.len()).div_ceil(2);
    let mut figure = head(heading, ROW * (rows as u32 - 1));
    if !usual.is_empty() {
        legend(&mut figure, SIZE.1 + ROW * (rows as u32 - 1), &trial.curve);
    }
    let best = metric.best(&trial.curve);
    let place = |at: usize| ([64.0, 544.0][at % 2], 92.0 + (ROW as usize * (at / 2)) as f32);
    for (at, quantity) in usual.iter().enumerate() {
        panel(&mut figure, *quantity, (place(at), WIDE), &trial.curve, (best, heading.onset));
    }
    for (at, name) in named.iter().enumerate() {
        let points = thinned(&points(trial, name), POINTS).into_iter();
        let points: Vec<(f64, f64)> = points.map(|(epoch, value)| (f64::from(epoch), value)).collect();
        let (left, top) = place(usual.len() + at);
        let last = trial.curve.last().map_or(1, |epoch| epoch.epoch);
        let frame = ((left, top), (left + WIDE, top + HIGH));
        let panel = Panel::new(&mut figure, Quantity::Named(name), frame, last, points.iter().map(|point| point.1));
        if let Some(best) = best {
            panel.mark_epoch(&mut figure, best.epoch, &format!("best epoch {}", best.epoch));
        }
        panel.piece(&mut figure, points, Ink::Vermilion, 2.0);
    }
    figure
}

/// Whether any metric of this quantity was measured.
fn is_measured(quantity: Quantity, curve: &[EpochMetrics]) -> bool {
    let names = CURVES.map(|(of, ..)| quantity.metric(of));
    curve.iter().any(|epoch| names.iter().any(|name| epoch.get(name).is_some()))
}

/// The text above the curves.
#[derive(Debug, Clone, Copy)]
pub struct Heading<'a> {
    /// The name of the trial.
    pub title: &'a str,
    /// Its outcome, in a few words.
    pub state: &'a str,
    /// Whether the outcome is a failure.
    pub alarm: bool,
    /// An additional line.
    pub line: &'a str,
    /// The last epoch before overfitting, which is marked.
    pub onset: Option<u32>,
}

/// Draws the chart of a curve. `metric` determines its best epoch.
pub fn curve(heading: &Heading, curve: &[EpochMetrics], metric: &Metric) -> Figure {
    let mut figure = head(heading, 0);
    if curve.is_empty() {
        let middle = (SIZE.0 as f32 / 2.0, SIZE.1 as f32 / 2.0);
        figure.text(middle, "no epoch was completed", 14.0, Ink::Soft, Side::Middle);
        return figure;
    }
    legend(&mut figure, SIZE.1, curve);
    let best = metric.best(curve);
    let measured = |quantity: &Quantity| is_measured(*quantity, curve);
    let quantities: Vec<Quantity> = [Quantity::Loss, Quantity::Accuracy].into_iter().filter(measured).collect();
    let wide = if quantities.len() == 1 { WHOLE } else { WIDE };
    for (quantity, left) in quantities.iter().zip([64.0, 544.0]) {
        panel(&mut figure, *quantity, ((left, 92.0), wide), curve, (best, heading.onset));
    }
    if quantities.is_empty() {
        figure.text((480.0, 200.0), "neither loss nor accuracy was measured", 14.0, Ink::Soft, Side::Middle);
    }
    figure
}

/// An empty figure with its heading. It is `more` pixels taller than one row of panels needs.
fn head(heading: &Heading, more: u32) -> Figure {
    let Heading { title, state, alarm, line, .. } = *heading;
    let mut figure = Figure::new((SIZE.0, SIZE.1 + more), format!("{title}: {state}. {line}"));
    let room = SIZE.0 as f32 - 48.0;
    figure.bold((24.0, 25.0), title, 15.0, Ink::Text, Side::Start);
    let indent = 24.0 + width_of(title, 15.0, true) + 14.0;
    let ink = if alarm { Ink::Vermilion } else { Ink::Soft };
    figure.text((indent, 26.0), fit(state, 12.0, room - indent), 12.0, ink, Side::Start);
    figure.text((24.0, 46.0), fit(line, 12.0, room), 12.0, Ink::Text, Side::Start);
    figure
}

/// Names the curves that were measured.
fn legend(figure: &mut Figure, height: u32, curve: &[EpochMetrics]) {
    let mut x = 24.0;
    let measured = |of: &str| {
        let names = [Quantity::Loss, Quantity::Accuracy].map(|quantity| quantity.metric(of));
        curve.iter().any(|epoch| names.iter().any(|name| epoch.get(name).is_some()))
    };
    for (_, label, ink, thickness) in CURVES.into_iter().rev().filter(|(of, ..)| measured(of)) {
        let y = height as f32 - 16.0;
        figure.line(vec![(x, y), (x + 22.0, y)], ink, thickness);
        figure.text((x + 29.0, y), label, 12.0, Ink::Text, Side::Start);
        x += 29.0 + width(label, 12.0) + 26.0;
    }
}

fn panel(
    figure: &mut Figure,
    quantity: Quantity<'_>,
    ((left, top), wide): ((f32, f32), f32),
    curve: &[EpochMetrics],
    (best, onset): (Option<&EpochMetrics>, Option<u32>),
) {
    let metrics = CURVES.map(|(of, ..)| quantity.metric(of));
    let values = curve.iter().flat_map(|epoch| metrics.iter().filter_map(|name| epoch.get(name)));
    let last = curve.last().map_or(1, |epoch| epoch.epoch);
    let panel = Panel::new(figure, quantity, ((left, top), (left + wide, top + HIGH)), last, values);
    if let Some(best) = best {
        let value = best.get(&quantity.metric("val")).map(|value| format!(": {}", quantity.value(value)));
        let then = if onset == Some(best.epoch) { ", then overfits" } else { "" };
        let label = format!("best epoch {}{}{then}", best.epoch, value.unwrap_or_default());
        panel.mark_epoch(figure, best.epoch, &label);
    }
    if let Some(onset) = onset.filter(|onset| best.is_none_or(|best| best.epoch != *onset)) {
        panel.mark_onset(figure, onset, &format!("overfits from epoch {onset}"));
    }
    for ((_, _, ink, thickness), metric) in CURVES.into_iter().zip(&metrics) {
        panel.curve(figure, curve, metric, ink, thickness);
    }
    let place = best.and_then(|best| panel.find(best.epoch, best.get(&quantity.metric("val"))?));
    if let Some(place) = place {
        figure.ring(place, 4.5, Ink::Vermilion);
    }
}
