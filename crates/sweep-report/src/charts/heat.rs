//! The strongest interactions of two parameters, as heat maps.

use super::figure::{Figure, SMALL, Side, fit, fit_name, width, width_of};
use super::ink::Ink;
use crate::effects::{Cell, Effects, Pair};
use crate::format;
use sweep_core::trial::Goal;

/// Height of a cell in pixels.
const ROW: f32 = 30.0;
const TOP: f32 = 96.0;

/// Draws the interactions. The better a combination, the stronger its color. Returns `None` if there are none.
pub fn interactions(effects: &Effects) -> Option<Figure> {
    let rows = effects.pairs.iter().map(|pair| pair.cells.len()).max()?;
    let height = TOP + ROW * rows as f32 + 54.0;
    let mut figure = Figure::new((960, height as u32), "Interactions between parameters".to_owned());
    figure.bold((24.0, 25.0), "Interactions", 15.0, Ink::Text, Side::Start);
    let mean = if effects.metric.log { "geometric mean" } else { "mean" };
    let capped = match effects.metric.cap() {
        Some(cap) => {
            let sign = bound(effects.metric.goal);
            format!("; {sign}: with values capped at {}", format::value(&effects.metric.name, Some(cap)))
        }
        None => String::new(),
    };
    let note = format!("{mean} {} (number of trials); a stronger color is better{capped}", effects.metric.words);
    figure.text((38.0 + width_of("Interactions", 15.0, true), 26.0), note, 12.0, Ink::Soft, Side::Start);
    for (pair, left) in effects.pairs.iter().zip([24.0, 504.0]) {
        map(&mut figure, effects, pair, left);
    }
    Some(figure)
}

fn map(figure: &mut Figure, effects: &Effects, pair: &Pair, left: f32) {
    let (first, second) = (&effects.factors[pair.factors.0], &effects.factors[pair.factors.1]);
    let share = format!("explains {:.0}% beyond each alone", pair.share * 100.0);
    let room = (432.0 - width_of(&format!(" ×  {share}"), 12.0, true)) / 2.0;
    let [one, other] = [first, second].map(|factor| fit_name(&factor.name, 12.0, room / 1.08));
    figure.bold((left, 58.0), format!("{one} × {other} {share}"), 12.0, Ink::Text, Side::Start);
    let start = left + 108.0;
    let wide = (324.0 / second.levels.len() as f32).min(108.0);
    let means = || pair.cells.iter().flatten().flatten().map(|cell| cell.mean);
    let (low, high) = (means().fold(f64::INFINITY, f64::min), means().fold(f64::NEG_INFINITY, f64::max));
    for (column, level) in second.levels.iter().enumerate() {
        let x = start + wide * (column as f32 + 0.5);
        figure.text((x, TOP - 10.0), fit(level, SMALL, wide - 4.0), SMALL, Ink::Soft, Side::Middle);
    }
    for (row, (level, cells)) in first.levels.iter().zip(&pair.cells).enumerate() {
        let y = TOP + ROW * row as f32;
        figure.text((start - 8.0, y + ROW / 2.0), fit(level, SMALL, 96.0), SMALL, Ink::Soft, Side::End);
        for (column, cell) in cells.iter().enumerate() {
            let x = start + wide * column as f32;
            let middle = (x + wide / 2.0, y + ROW / 2.0);
            let Some(Cell { mean, trials, capped }) = cell else {
                let said = if width("never tried", SMALL) <= wide - 4.0 { "never tried" } else { "–" };
                figure.text(middle, said, SMALL, Ink::Soft, Side::Middle);
                continue;
            };
            let good = if high > low { (mean - low) / (high - low) } else { 0.5 };
            let mean = effects.metric.natural(*mean);
            let good = if effects.metric.goal == Goal::Minimize { 1.0 - good } else { good };
            let ink = Ink::Heat((good * f64::from(Ink::HOTTEST)).round() as u8);
            figure.area((x + 1.0, y + 1.0), (x + wide - 1.0, y + ROW - 1.0), ink);
            let said = format::value(&effects.metric.name, Some(mean));
            // With capped values, it is not the mean but a bound of it.
            let sign = bound(effects.metric.goal);
            let said = if *capped { format!("{sign} {said}") } else { said };
            // A number that is cut would be another one.
            let short = format::significant(mean, 2);
            let texts = [format!("{said} ({trials})"), said, if *capped { format!("{sign} {short}") } else { short }];
            let fitting = texts.into_iter().find(|text| width(text, SMALL) <= wide - 6.0).unwrap_or_default();
            figure.text(middle, fitting, SMALL, ink.beside(), Side::Middle);
        }
    }
    let bottom = TOP + ROW * pair.cells.len() as f32 + 14.0;
    let [down, across] = [first, second].map(|factor| fit_name(&factor.name, SMALL, 120.0));
    figure.text((start, bottom), format!("down: {down}, across: {across}"), SMALL, Ink::Soft, Side::Start);
}

/// The sign before a mean of values of which some are capped on the bad side.
fn bound(goal: Goal) -> &'static str {
    match goal {
        Goal::Minimize => "≥",
        Goal::Maximize => "≤",
    }
}
