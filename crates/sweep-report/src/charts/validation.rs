//! All validation curves of a sweep in one chart. The best are highlighted, and the others form the background.

use super::axis::Axis;
use super::figure::{Figure, Point, SMALL, Side, fit, width_of};
use super::ink::Ink;
use super::panel::{Panel, Quantity};
use crate::format;
use crate::ranking::Ranking;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{METRICS, Metric};

/// The colors of the best trials, best first.
pub const HIGHLIGHTS: [Ink; 5] = [Ink::Blue, Ink::Vermilion, Ink::Green, Ink::Purple, Ink::Orange];
/// Maximum number of background curves. More would make a large file in which no curve is visible.
const BACKGROUND: usize = 300;
/// Maximum number of points per background curve.
const POINTS: usize = 120;

/// Draws the chart of a sweep.
pub fn validation(history: &History, metric: &Metric) -> Figure {
    let ranking = Ranking::new(history, metric);
    let best: Vec<_> = ranking.placed.iter().take(HIGHLIGHTS.len()).map(|place| place.trial).collect();
    let rest: Vec<_> = history.trials.iter().filter(|trial| !best.iter().any(|one| one.id == trial.id)).collect();
    let rest: Vec<_> = rest.into_iter().filter(|trial| !trial.curve.is_empty()).collect();
    let drawn = thinned(&rest, BACKGROUND);

    let height = 404.0 + 19.0 * best.len().max(1) as f32;
    let mut figure = Figure::new((960, height as u32), format!("Validation curves of {}", history.name));
    figure.bold((24.0, 25.0), "Validation", 15.0, Ink::Text, Side::Start);
    let count = best.len() + rest.len();
    let trials = format::trials(count);
    let by = format::metric(metric);
    let mut note = match best.len() {
        0 => trials,
        1 => format!("{trials}, the best by {by} in color"),
        colored => format!("{trials}, the best {colored} by {by} in color"),
    };
    if drawn.len() < rest.len() {
        note += &format!("; {} of the other {} are drawn", drawn.len(), format::count(rest.len() as u64));
    }
    let indent = 24.0 + width_of("Validation", 15.0, true) + 14.0;
    figure.text((indent, 26.0), note, 12.0, Ink::Soft, Side::Start);
    if count == 0 {
        figure.text((480.0, 200.0), "no epoch was completed", 14.0, Ink::Soft, Side::Middle);
        return figure;
    }
    // If a program's trials are ranked by a custom metric, it has the first panel. Metrics that were not measured have
    // none.
    let is_measured = |quantity: &Quantity| {
        let name = quantity.metric("val");
        history.trials.iter().any(|trial| trial.curve.iter().any(|epoch| epoch.get(&name).is_some()))
    };
    let mut quantities = vec![Quantity::Loss, Quantity::Accuracy];
    quantities.retain(is_measured);
    if !METRICS.contains(&metric.name.as_str()) {
        quantities.insert(0, Quantity::Named(&metric.name));
    }
    if quantities.is_empty() {
        figure.text((480.0, 200.0), "no validation metric was measured", 14.0, Ink::Soft, Side::Middle);
    }
    let right = if quantities.len() == 1 { 906.0 } else { 426.0 };
    for (quantity, left) in quantities.into_iter().zip([0.0, 480.0]) {
        panel(&mut figure, quantity, (64.0 + left, right + left), &best, &drawn, metric);
    }
    for (number, place) in ranking.placed.iter().take(best.len()).enumerate() {
        let y = 394.0 + 19.0 * number as f32;
        figure.line(vec![(24.0, y), (46.0, y)], HIGHLIGHTS[number], 2.0);
        figure.bold((54.0, y), place.trial.id.to_string(), 12.0, Ink::Text, Side::Start);
        let value = format::value(&metric.name, place.best.get(&metric.name));
        let line = format!("{value} at epoch {}: {}", place.best.epoch, format::settings(&place.trial.settings));
        figure.text((98.0, y), fit(&line, 12.0, 838.0), 12.0, Ink::Text, Side::Start);
    }
    figure
}

fn panel(
    figure: &mut Figure,
    quantity: Quantity<'_>,
    (left, right): (f32, f32),
    best: &[&TrialRecord],
    rest: &[&TrialRecord],
    metric: &Metric,
) {
    let name = quantity.metric("val");
    let trials = || best.iter().chain(rest);
    let values = trials().flat_map(|trial| trial.curve.iter().filter_map(|epoch| epoch.get(&name)));
    let last = trials().filter_map(|trial| trial.curve.last()).map(|epoch| epoch.epoch).max().unwrap_or(1);
    let own = best.iter().flat_map(|trial| trial.curve.iter().filter_map(|epoch| epoch.get(&name)));
    let values: Vec<f64> = values.collect();
    let values = match quantity.axis(values.iter().copied()) {
        axis if axis.log => axis,
        _ => Axis::about(own, values, quantity.limits()),
    };
    let corners = ((left, 80.0), (right, 324.0));
    let panel = Panel::with_axes(figure, quantity, corners, Axis::epochs(last), values);
    for trial in rest {
        panel.curve(figure, &thinned(&trial.curve, POINTS), &name, Ink::Faint, 0.75);
    }
    for (trial, ink) in best.iter().zip(HIGHLIGHTS).rev() {
        panel.curve(figure, &trial.curve, &name, ink, 2.0);
        let place = metric.best(&trial.curve).and_then(|epoch| panel.find(epoch.epoch, epoch.get(&name)?));
        if let Some(place) = place {
            figure.ring(place, 4.0, ink);
        }
    }
    let ends = best.iter().zip(HIGHLIGHTS).filter_map(|(trial, ink)| {
        let (epoch, value) = trial.curve.iter().rev().find_map(|epoch| Some((epoch.epoch, epoch.get(&name)?)))?;
        Some(Label { text: trial.id.to_string(), ink, at: panel.find(epoch, value)? })
    });
    // A curve that ended early has its label at its end.
    let (beside, inside): (Vec<_>, Vec<_>) = ends.partition(|label| panel.right() - label.at.0 < 30.0);
    label_inside(figure, inside, &panel);
    label(figure, beside, &panel);
}

/// Distance between two labels, and the width of one.
const GAP: f32 = 13.0;
const WIDTH: f32 = 40.0;

/// The label at the end of a curve.
struct Label {
    text: String,
    ink: Ink,
    at: Point,
}

/// Places labels beside the ends of their curves. Those of curves that end near each other are moved apart.
fn label_inside(figure: &mut Figure, mut labels: Vec<Label>, panel: &Panel<'_>) {
    labels.sort_by(|a, b| a.at.0.total_cmp(&b.at.0));
    for near in labels.chunk_by_mut(|a, b| b.at.0 - a.at.0 < WIDTH) {
        near.sort_by(|a, b| a.at.1.total_cmp(&b.at.1));
        let mut heights: Vec<f32> = near.iter().map(|label| label.at.1 - 9.0).collect();
        apart(&mut heights, GAP, panel.span());
        for (Label { text, ink, at: (x, _) }, y) in near.iter().zip(heights) {
            figure.bold((x + 8.0, y), text, SMALL, *ink, Side::Start);
        }
    }
}

/// Places labels to the right of the panel, level with the ends of their curves and without overlap.
fn label(figure: &mut Figure, mut labels: Vec<Label>, panel: &Panel<'_>) {
    let right = panel.right();
    labels.sort_by(|a, b| a.at.1.total_cmp(&b.at.1));
    let mut heights: Vec<f32> = labels.iter().map(|label| label.at.1).collect();
    apart(&mut heights, GAP, panel.span());
    for (label, y) in labels.iter().zip(heights) {
        let (x, end) = label.at;
        if right - x > 2.0 || (y - end).abs() > 2.0 {
            figure.line(vec![(x + 3.0, end), (right + 7.0, y)], label.ink, 0.75);
        }
        figure.bold((right + 10.0, y), &label.text, SMALL, label.ink, Side::Start);
    }
}

/// Moves sorted heights apart to at least `gap`. Each group stays centered on its mean, within the limits.
fn apart(heights: &mut [f32], gap: f32, (ceiling, floor): (f32, f32)) {
    // Merges groups until none overlap. A group is the sum of its members' original heights and their number.
    let mut groups: Vec<(f32, usize)> = Vec::new();
    let top = |&(sum, count): &(f32, usize)| {
        let height = gap * (count as f32 - 1.0);
        (sum / count as f32 - height / 2.0).min(floor - height).max(ceiling)
    };
    for &height in heights.iter() {
        groups.push((height, 1));
        while let [.., above, below] = groups[..]
            && top(&below) < top(&above) + gap * above.1 as f32
        {
            groups.truncate(groups.len() - 2);
            groups.push((above.0 + below.0, above.1 + below.1));
        }
    }
    let placed = groups.iter().flat_map(|group| (0..group.1).map(move |n| top(group) + gap * n as f32));
    for (height, placed) in heights.iter_mut().zip(placed.collect::<Vec<_>>()) {
        *height = placed;
    }
}

/// At most `most` of the items, evenly chosen, including the first and the last.
pub fn thinned<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    if items.len() <= most {
        return items.to_vec();
    }
    (0..most).map(|n| items[n * (items.len() - 1) / (most - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_apart_about_their_middle() {
        let mut heights = [10.0, 10.0, 12.0, 100.0];
        apart(&mut heights, 13.0, (-50.0, 200.0));
        let middle = (heights[0] + heights[1] + heights[2]) / 3.0;
        assert!((middle - 32.0 / 3.0).abs() < 1e-3, "{heights:?}");
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] > 12.99), "{heights:?}");
        assert_eq!(heights[3], 100.0);
        apart(&mut heights, 13.0, (0.0, 90.0));
        assert_eq!(heights[3], 90.0);
    }

    #[test]
    fn thinning_keeps_the_ends() {
        let items: Vec<u32> = (0..1000).collect();
        let few = thinned(&items, 10);
        assert_eq!((few.len(), few[0], few[9]), (10, 0, 999));
        assert_eq!(thinned(&items[..3], 10), [0, 1, 2]);
    }
}
