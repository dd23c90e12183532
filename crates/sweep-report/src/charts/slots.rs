//! The busy times of each slot, and their part after each trial's best epoch.

use super::axis::Axis;
use super::figure::{Figure, SMALL, Side, fit, width};
use super::ink::Ink;
use crate::time::{Stretch, Time};

/// Maximum number of slots shown.
const SLOTS: usize = 64;
const LEFT: f32 = 120.0;
const RIGHT: f32 = 936.0;
const TOP: f32 = 48.0;
const ROW: f32 = 22.0;

/// Draws the chart, or returns `None` if no trial has ended.
pub fn slots(time: &Time) -> Option<Figure> {
    let span = time.stretches.iter().map(|stretch| stretch.until).reduce(f64::max).filter(|span| *span > 0.0)?;
    let shown = time.slots.len().min(SLOTS);
    let bottom = TOP + ROW * shown as f32;
    let mut figure = Figure::new((960, (bottom + 64.0) as u32), "Time used".to_owned());
    figure.bold((24.0, 25.0), "Time used", 15.0, Ink::Text, Side::Start);
    let (unit, seconds) = match span {
        0.0..300.0 => ("seconds", 1.0),
        300.0..18_000.0 => ("minutes", 60.0),
        _ => ("hours", 3600.0),
    };
    let axis = Axis::upto(span / seconds);
    let x = |at: f64| LEFT + axis.share(at / seconds) as f32 * (RIGHT - LEFT);
    for &tick in &axis.ticks {
        let at = x(tick * seconds);
        figure.line(vec![(at, TOP), (at, bottom)], Ink::Grid, 1.0);
        let number = axis.label(tick);
        figure.text((at, bottom + 13.0), number, SMALL, Ink::Soft, Side::Middle);
    }
    figure.text((RIGHT, bottom + 29.0), format!("{unit} since the sweep started"), SMALL, Ink::Soft, Side::End);
    for (row, name) in time.slots.iter().take(shown).enumerate() {
        let y = TOP + ROW * row as f32;
        figure.text((LEFT - 10.0, y + ROW / 2.0), fit(name, SMALL, 90.0), SMALL, Ink::Soft, Side::End);
        for Stretch { from, best, until, .. } in time.stretches.iter().filter(|stretch| stretch.slot == row) {
            // Leaves a thin gap between two trials if there is room.
            let (start, middle, end) = (x(*from), x(*best), x(*until));
            let end = if end - start > 3.0 { end - 0.75 } else { end };
            figure.area((start, y + 3.0), (middle.min(end), y + ROW - 3.0), Ink::Blue);
            if end > middle {
                figure.area((middle, y + 3.0), (end, y + ROW - 3.0), Ink::Sky);
            }
        }
    }
    let mut at = LEFT;
    for (ink, label) in [(Ink::Blue, "up to the best epoch of a trial"), (Ink::Sky, "after its best epoch")] {
        let y = bottom + 46.0;
        figure.area((at, y - 5.0), (at + 16.0, y + 5.0), ink);
        figure.text((at + 23.0, y), label, 12.0, Ink::Text, Side::Start);
        at += 23.0 + width(label, 12.0) + 24.0;
    }
    Some(figure)
}
