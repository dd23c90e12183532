//! One trial's curves: loss and accuracy, on training pictures while training, on training pictures afterwards, and
//! on validation pictures.

use super::figure::{Figure, Side, fit, width};
use super::ink::Ink;
use super::panel::{Panel, Quantity};
use crate::history::TrialRecord;
use crate::report::words;
use crate::trial::{EpochMetrics, Metric};

const SIZE: (u32, u32) = (960, 400);
/// First below: validation is what counts.
const CURVES: [(&str, &str, Ink, f32); 3] = [
    ("train", "training pictures, while training", Ink::Sky, 1.5),
    ("train_eval", "training pictures, evaluated", Ink::Blue, 2.0),
    ("val", "validation pictures", Ink::Vermilion, 2.0),
];

/// The chart of a trial, whatever became of it; `onset` is the epoch at which it began to overfit.
pub fn trial(trial: &TrialRecord, metric: &Metric, onset: Option<u32>) -> Figure {
    let state = trial.outcome().and_then(|outcome| outcome.error()).unwrap_or_else(|| words::status(trial).into());
    let alarm = trial.failed();
    let title = format!("Trial {}", trial.id);
    let settings = words::settings(&trial.settings);
    curve(&Heading { title: &title, state: &state, alarm, line: &settings, onset }, &trial.curve, metric)
}

/// What stands above the curves.
#[derive(Debug, Clone, Copy)]
pub struct Heading<'a> {
    /// What was trained.
    pub title: &'a str,
    /// What became of it, in a few words.
    pub state: &'a str,
    /// Whether that is bad.
    pub alarm: bool,
    /// One line more.
    pub line: &'a str,
    /// The last epoch before it overfits, which is marked.
    pub onset: Option<u32>,
}

/// The chart of a curve; `metric` chooses its best epoch.
pub fn curve(heading: &Heading, curve: &[EpochMetrics], metric: &Metric) -> Figure {
    let Heading { title, state, alarm, line, onset } = *heading;
    let mut figure = Figure::new(SIZE, format!("{title}: {state}. {line}"));
    let room = SIZE.0 as f32 - 48.0;
    figure.bold((24.0, 25.0), title, 15.0, Ink::Text, Side::Start);
    let indent = 24.0 + width(title, 15.0) + 14.0;
    let ink = if alarm { Ink::Vermilion } else { Ink::Soft };
    figure.text((indent, 26.0), fit(state, 12.0, room - indent), 12.0, ink, Side::Start);
    figure.text((24.0, 46.0), fit(line, 12.0, room), 12.0, Ink::Text, Side::Start);
    if curve.is_empty() {
        let middle = (SIZE.0 as f32 / 2.0, SIZE.1 as f32 / 2.0);
        figure.text(middle, "no epoch was completed", 14.0, Ink::Soft, Side::Middle);
        return figure;
    }
    legend(&mut figure);
    let best = metric.best(curve);
    for (quantity, left) in [(Quantity::Loss, 64.0), (Quantity::Accuracy, 544.0)] {
        panel(&mut figure, quantity, left, curve, (best, onset));
    }
    figure
}

fn legend(figure: &mut Figure) {
    let mut x = 24.0;
    for (_, label, ink, thickness) in CURVES.into_iter().rev() {
        let y = SIZE.1 as f32 - 16.0;
        figure.line(vec![(x, y), (x + 22.0, y)], ink, thickness);
        figure.text((x + 29.0, y), label, 12.0, Ink::Text, Side::Start);
        x += 29.0 + width(label, 12.0) + 26.0;
    }
}

fn panel(
    figure: &mut Figure,
    quantity: Quantity,
    left: f32,
    curve: &[EpochMetrics],
    (best, onset): (Option<&EpochMetrics>, Option<u32>),
) {
    let metrics = CURVES.map(|(of, ..)| quantity.metric(of));
    let values = curve.iter().flat_map(|epoch| metrics.iter().filter_map(|name| epoch.get(name)));
    let last = curve.last().map_or(1, |epoch| epoch.epoch);
    if values.clone().next().is_none() {
        let at = (left + 196.0, 200.0);
        figure.bold((left, 62.0), quantity.title(), 12.0, Ink::Text, Side::Start);
        figure.text(at, "not measured", 12.0, Ink::Soft, Side::Middle);
        return;
    }
    let panel = Panel::new(figure, quantity, ((left, 92.0), (left + 392.0, 324.0)), last, values);
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
