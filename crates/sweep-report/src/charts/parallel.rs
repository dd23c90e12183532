//! Parallel coordinates: every configuration as a line through its parameter values to its result.

use super::axis::Axis;
use super::figure::{Figure, SMALL, Side, fit, width, width_of};
use super::ink::Ink;
use super::validation::{HIGHLIGHTS, thinned};
use crate::effects::Effects;
use crate::words;
use sweep_core::trial::Goal;

/// Maximum number of parameters shown, most important first.
const SETTINGS: usize = 7;
/// Maximum number of background lines.
const LINES: usize = 300;
/// Share of the configurations that are highlighted as the best, up to [`MOST_BEST`].
const BEST: f64 = 0.1;
const MOST_BEST: usize = 30;
const SPAN: (f32, f32) = (86.0, 330.0);

/// Draws the chart. Configurations are in the order of the ranking.
pub fn parallel(effects: &Effects) -> Figure {
    let mut figure = Figure::new((960, 364), "Parameters and results".to_owned());
    figure.bold((24.0, 25.0), "Parameters and results", 15.0, Ink::Text, Side::Start);
    let count = effects.metric.values.len();
    let best = ((count as f64 * BEST).ceil() as usize).clamp(1, MOST_BEST);
    let note = match count {
        1 => "1 configuration".to_owned(),
        _ => format!(
            "one line for each of {} configurations; the best {best} in color, the first five as in the other charts",
            words::count(count as u64)
        ),
    };
    figure.text((38.0 + width_of("Parameters and results", 15.0, true), 26.0), note, 12.0, Ink::Soft, Side::Start);
    // The most important parameters are next to the result.
    let mut shown: Vec<usize> = effects.order().into_iter().take(SETTINGS).collect();
    shown.reverse();
    let step = 780.0 / shown.len() as f32;
    let x = |at: usize| 90.0 + step * at as f32;
    let (top, bottom) = SPAN;
    let limits = f64::NEG_INFINITY..=f64::INFINITY;
    let of_metric = || effects.metric.values.iter().copied();
    let values = if effects.metric.log { Axis::decades(of_metric()) } else { Axis::values(of_metric(), limits) };
    let result = |value: f64| {
        let share = values.share(value).clamp(0.0, 1.0) as f32;
        // Better results are higher.
        let share = if effects.metric.goal == Goal::Minimize { 1.0 - share } else { share };
        bottom - share * (bottom - top)
    };
    let height = |factor: usize, level: usize| {
        let levels = effects.factors[factor].levels.len();
        bottom - (level as f32 + 0.5) / levels as f32 * (bottom - top)
    };
    // Lines at the same level are spread out in the order of their results, so that each can be followed.
    let line = |point: usize| {
        let spread = 0.5 - point as f32 / count.max(2) as f32;
        let places = shown.iter().enumerate().map(|(at, &factor)| {
            let room = (bottom - top) / effects.factors[factor].levels.len() as f32 * 0.5;
            (x(at), height(factor, effects.factors[factor].of[point]) - spread * room)
        });
        let mut line: Vec<_> = places.collect();
        line.push((x(shown.len()), result(effects.metric.values[point])));
        line
    };
    let rest: Vec<usize> = (best..count).collect();
    for point in thinned(&rest, LINES).into_iter().rev() {
        figure.line(line(point), Ink::Faint, 0.75);
    }
    for point in (0..best.min(count)).rev() {
        figure.line(
            line(point),
            effects.ranks[point].map_or(Ink::Sky, |rank| HIGHLIGHTS[rank]),
            if point == 0 { 2.0 } else { 1.25 },
        );
    }
    for (at, &factor) in shown.iter().enumerate() {
        figure.line(vec![(x(at), top), (x(at), bottom)], Ink::Soft, 1.0);
        figure.bold(
            (x(at), top - 22.0),
            fit(&effects.factors[factor].name, 12.0, step - 8.0),
            12.0,
            Ink::Text,
            Side::Middle,
        );
        for (level, name) in effects.factors[factor].levels.iter().enumerate() {
            let said = fit(name, SMALL, (step - 16.0).min(70.0));
            let y = height(factor, level);
            figure.area((x(at) - 8.0 - width(&said, SMALL), y - 6.5), (x(at) - 4.0, y + 6.5), Ink::Paper);
            figure.text((x(at) - 6.0, y), said, SMALL, Ink::Text, Side::End);
        }
    }
    let right = x(shown.len());
    figure.line(vec![(right, top), (right, bottom)], Ink::Soft, 1.0);
    figure.bold((936.0, top - 22.0), &effects.metric.words, 12.0, Ink::Text, Side::End);
    for &tick in &values.ticks {
        let number = match effects.metric.name.ends_with("accuracy") {
            true => format!("{}%", values.percent(tick)),
            false => values.label(tick),
        };
        figure.text((right + 6.0, result(tick)), number, SMALL, Ink::Soft, Side::Start);
    }
    if let Some(cap) = effects.metric.cap() {
        let note = format!("capped at {}", words::value(&effects.metric.name, Some(cap)));
        figure.text((936.0, bottom + 16.0), note, SMALL, Ink::Soft, Side::End);
    } else if let Some(most) = values.beyond {
        let note = format!("axis cut: up to {}", words::value(&effects.metric.name, Some(most)));
        figure.text((936.0, bottom + 16.0), note, SMALL, Ink::Soft, Side::End);
    }
    figure
}
