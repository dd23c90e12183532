//! The chart of each level's effect on the metric and on the gap, with intervals.

use super::axis::Axis;
use super::figure::{Figure, SMALL, Side, fit, fit_name, width, width_of};
use super::ink::Ink;
use crate::effects::{Effects, Estimate, Target};
use crate::format;

/// Maximum number of parameters shown, most important first.
const SETTINGS: usize = 10;
/// Line height in pixels.
const LINE: f32 = 19.0;
const TOP: f32 = 92.0;

/// Draws the effects of the parameters, or returns `None` if no effect can be shown.
pub fn effects(effects: &Effects) -> Option<Figure> {
    let told = |at: &usize| effects.metric.model.as_ref().is_none_or(|model| model.has(*at));
    let shown: Vec<usize> = effects.order().into_iter().filter(told).take(SETTINGS).collect();
    if shown.is_empty() {
        return None;
    }
    let all = effects.factors.len() + effects.too_many.len();
    let lines: usize = shown.iter().map(|&at| effects.factors[at].levels.len() + 1).sum();
    let bottom = TOP + LINE * lines as f32;
    let title = format!("Effects of the parameters on {}", effects.metric.words);
    let mut figure = Figure::new((960, (bottom + 44.0) as u32), title);
    figure.bold((24.0, 25.0), "Effects of the parameters", 15.0, Ink::Text, Side::Start);
    let which = match shown.len() {
        some if some < all => format!("the {some} most important of {all} parameters, each with the others held equal"),
        _ => "all other parameters held equal".to_owned(),
    };
    let indent = 38.0 + width_of("Effects of the parameters", 15.0, true);
    let note = format!("{which}; bars: 95% intervals; importance: share explained");
    figure.text((indent, 26.0), fit(&note, 12.0, 936.0 - indent), 12.0, Ink::Soft, Side::Start);
    let mut y = TOP + LINE / 2.0;
    for &at in &shown {
        let factor = &effects.factors[at];
        figure.bold((24.0, y), fit_name(&factor.name, 12.0, 230.0), 12.0, Ink::Text, Side::Start);
        for (row, level) in factor.levels.iter().enumerate() {
            let y = y + LINE * (row + 1) as f32;
            figure.text((254.0, y), fit(level, 12.0, 220.0), 12.0, Ink::Text, Side::End);
        }
        y += LINE * (factor.levels.len() + 1) as f32;
    }
    let metric = Ink::Vermilion;
    panel(&mut figure, effects, &shown, &effects.metric, (270.0, 590.0, bottom), metric);
    if let Some(gap) = &effects.gap {
        panel(&mut figure, effects, &shown, gap, (620.0, 936.0, bottom), Ink::Blue);
    }
    Some(figure)
}

fn panel(
    figure: &mut Figure,
    effects: &Effects,
    shown: &[usize],
    target: &Target,
    (left, right, bottom): (f32, f32, f32),
    ink: Ink,
) {
    figure.bold((left, 60.0), &target.words, 12.0, ink, Side::Start);
    let Some(model) = &target.model else {
        figure.text((left, TOP), "effects cannot be separated", SMALL, Ink::Soft, Side::Start);
        return;
    };
    let ends = |Estimate { value, margin }: Estimate| [value - margin.unwrap_or(0.0), value + margin.unwrap_or(0.0)];
    let rows = |at: usize| (0..effects.factors[at].levels.len()).map(move |level| model.level(at, level));
    let all = shown.iter().flat_map(|&at| rows(at)).flatten().flat_map(ends);
    let axis = Axis::values(all, f64::NEG_INFINITY..=f64::INFINITY);
    let x = |value: f64| left + axis.share(value).clamp(0.0, 1.0) as f32 * (right - left);
    let percent = target.name.contains("accuracy");
    let number = |tick: f64| match percent {
        true => axis.percent(tick),
        false if target.log => format::significant(target.natural(tick), 2),
        false => axis.label(tick),
    };
    // As many ticks as have room for their numbers, the outer of which reach beyond the panel.
    let widest = axis.ticks.iter().map(|tick| width(&number(*tick), SMALL)).fold(0.0, f32::max);
    let most = (((right - left) / (widest + 12.0)) as usize).clamp(1, 6);
    for &tick in axis.ticks.iter().step_by(axis.ticks.len().div_ceil(most).max(1)) {
        figure.line(vec![(x(tick), TOP - 8.0), (x(tick), bottom)], Ink::Grid, 1.0);
        let number = number(tick);
        for y in [TOP - 16.0, bottom + 12.0] {
            let half = width(&number, SMALL) / 2.0;
            let at = x(tick).clamp(left - 10.0 + half, (right + 20.0 - half).max(left));
            figure.text((at, y), &number, SMALL, Ink::Soft, Side::Middle);
        }
    }
    let mut y = TOP + LINE / 2.0;
    for &at in shown {
        if let Some(importance) = &target.importance {
            let said = format!("importance {:.0}%", importance.alone[at] * 100.0);
            figure.text((right, y), said, SMALL, Ink::Soft, Side::End);
        }
        for (level, estimate) in rows(at).enumerate() {
            y += LINE;
            let Some(estimate) = estimate else {
                let why =
                    if effects.factors[at].is_absent(level) { "its condition is false" } else { "never varied alone" };
                figure.text((left, y), why, SMALL, Ink::Soft, Side::Start);
                continue;
            };
            if estimate.margin.is_some() {
                let [low, high] = ends(estimate);
                figure.line(vec![(x(low), y), (x(high), y)], ink, 1.5);
            }
            figure.dot((x(estimate.value), y), 4.0, ink);
        }
        y += LINE;
    }
    if let Some(cap) = target.cap() {
        let said = format!("capped at {}", format::value(&target.name, Some(cap)));
        figure.text((left, bottom + 28.0), said, SMALL, Ink::Soft, Side::Start);
    }
    if percent {
        figure.text((right, bottom + 28.0), "%", SMALL, Ink::Soft, Side::End);
    } else if let Some(value) = axis.beyond {
        figure.text(
            (right, bottom + 28.0),
            format!("axis cut: up to {}", format::value("loss", Some(value))),
            SMALL,
            Ink::Soft,
            Side::End,
        );
    }
}
