//! One metric against another, with the Pareto front.

use super::axis::Axis;
use super::figure::{Figure, SMALL, Side, width_of};
use super::ink::Ink;
use super::validation::thinned;
use crate::format;
use crate::tradeoff::Tradeoff;

const BOX: [f32; 4] = [96.0, 64.0, 936.0, 348.0];
/// Maximum number of dots. More would merge into a cloud.
const DOTS: usize = 1500;
/// Maximum number of labels.
const LABELS: usize = 12;

/// Draws the first two metrics, or returns `None` if fewer than two trials have both.
pub fn pareto(tradeoff: &Tradeoff) -> Option<Figure> {
    let [first, second] = tradeoff.metrics.get(..2)? else { return None };
    let points: Vec<(f64, f64)> = tradeoff.trials.iter().map(|(_, values)| (values[1], values[0])).collect();
    if points.len() < 2 {
        return None;
    }
    let [left, top, right, bottom] = BOX;
    let across = Axis::values(points.iter().map(|point| point.0), f64::MIN..=f64::MAX);
    let up = Axis::values(points.iter().map(|point| point.1), f64::MIN..=f64::MAX);
    let place = |(x, y): (f64, f64)| {
        let (x, y) = (across.share(x).clamp(0.0, 1.0), up.share(y).clamp(0.0, 1.0));
        (left + x as f32 * (right - left), bottom - y as f32 * (bottom - top))
    };
    let mut figure = Figure::new((960, 400), "Pareto front".to_owned());
    figure.bold((24.0, 25.0), "Pareto front", 15.0, Ink::Text, Side::Start);
    let note = "one dot per trial; in color: no other trial is at least as good in all metrics and better in one";
    figure.text((38.0 + width_of("Pareto front", 15.0, true), 26.0), note, 12.0, Ink::Soft, Side::Start);
    let tick = |value: f64| format::significant(value, 3);
    for &at in &up.ticks {
        let (_, y) = place((*across.range.start(), at));
        figure.line(vec![(left, y), (right, y)], Ink::Grid, 1.0);
        figure.text((left - 8.0, y), tick(at), SMALL, Ink::Soft, Side::End);
    }
    for &at in &across.ticks {
        let (x, _) = place((at, *up.range.start()));
        figure.line(vec![(x, bottom), (x, bottom + 4.0)], Ink::Soft, 1.0);
        figure.text((x, bottom + 13.0), tick(at), SMALL, Ink::Soft, Side::Middle);
    }
    figure.line(vec![(left, bottom), (right, bottom)], Ink::Soft, 1.0);
    figure.text((left, top - 16.0), format::metric(first).to_owned(), SMALL, Ink::Soft, Side::Start);
    figure.text((right, bottom + 30.0), format::metric(second).to_owned(), SMALL, Ink::Soft, Side::End);
    for &point in thinned(&points, DOTS).iter().rev() {
        figure.dot(place(point), 3.0, Ink::Faint);
    }
    for (number, (trial, values)) in tradeoff.front().enumerate() {
        let (x, y) = place((values[1], values[0]));
        figure.dot((x, y), 4.5, super::validation::HIGHLIGHTS[0]);
        if number < LABELS {
            let side = if x > right - 50.0 { (x - 8.0, Side::End) } else { (x + 8.0, Side::Start) };
            figure.text((side.0, y - 8.0), trial.id.to_string(), SMALL, Ink::Text, side.1);
        }
    }
    Some(figure)
}
