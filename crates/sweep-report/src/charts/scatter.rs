//! The generalization gap of each trial against its accuracy, at its best epoch.

use super::axis::Axis;
use super::figure::{Figure, SMALL, Side, width_of};
use super::ink::Ink;
use super::validation::{HIGHLIGHTS, thinned};
use crate::ranking::{Place, Ranking};

const BOX: [f32; 4] = [64.0, 64.0, 936.0, 348.0];
/// Maximum number of dots. More would merge into a cloud.
const DOTS: usize = 1500;

/// Draws the chart, or returns `None` if no trial has both values.
pub fn gap(ranking: &Ranking) -> Option<Figure> {
    let point = |place: &Place| Some((place.best.val_accuracy?, place.best.accuracy_gap()?));
    let points: Vec<(f64, f64)> = ranking.placed.iter().filter_map(point).collect();
    if points.len() < 2 {
        return None;
    }
    let [left, top, right, bottom] = BOX;
    let across = Axis::values(points.iter().map(|point| point.0), 0.0..=1.0);
    let up = Axis::values(points.iter().map(|point| point.1), -1.0..=1.0);
    let place = |(accuracy, gap): (f64, f64)| {
        let (x, y) = (across.share(accuracy), up.share(gap).min(1.0));
        (left + x as f32 * (right - left), bottom - y as f32 * (bottom - top))
    };
    let mut figure = Figure::new((960, 400), "Gap and accuracy".to_owned());
    figure.bold((24.0, 25.0), "Gap and accuracy", 15.0, Ink::Text, Side::Start);
    let note = "one dot per trial at its best epoch; right: more accurate, low: less overfit; the best five in color";
    figure.text((38.0 + width_of("Gap and accuracy", 15.0, true), 26.0), note, 12.0, Ink::Soft, Side::Start);
    for &tick in &up.ticks {
        let (_, y) = place((*across.range.start(), tick));
        figure.line(vec![(left, y), (right, y)], Ink::Grid, 1.0);
        figure.text((left - 8.0, y), up.percent(tick), SMALL, Ink::Soft, Side::End);
    }
    for &tick in &across.ticks {
        let (x, _) = place((tick, 0.0));
        figure.line(vec![(x, bottom), (x, bottom + 4.0)], Ink::Soft, 1.0);
        figure.text((x, bottom + 13.0), across.percent(tick), SMALL, Ink::Soft, Side::Middle);
    }
    figure.line(vec![(left, bottom), (right, bottom)], Ink::Soft, 1.0);
    figure.text((left, top - 16.0), "training minus validation accuracy (points)", SMALL, Ink::Soft, Side::Start);
    figure.text((right, bottom + 30.0), "validation accuracy (%)", SMALL, Ink::Soft, Side::End);
    for &point in thinned(&points, DOTS).iter().rev() {
        figure.dot(place(point), 3.0, Ink::Faint);
    }
    let colored = || ranking.placed.iter().zip(HIGHLIGHTS).filter_map(|(best, ink)| Some((best, point(best)?, ink)));
    for (_, point, ink) in colored().collect::<Vec<_>>().into_iter().rev() {
        figure.dot(place(point), 4.5, ink);
    }
    // Dots of the best trials lie close together: labels beside them would overlap.
    let mut x = left;
    for (best, _, ink) in colored() {
        let name = best.trial.id.to_string();
        figure.dot((x + 4.5, bottom + 30.0), 4.5, ink);
        figure.bold((x + 14.0, bottom + 30.0), &name, SMALL, ink, Side::Start);
        x += 14.0 + width_of(&name, SMALL, true) + 14.0;
    }
    Some(figure)
}
