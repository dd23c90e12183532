//! Parallel coordinates: every configuration as a line through its parameter values to its result.

use super::axis::Axis;
use super::figure::{Figure, SMALL, Side, fit, fit_name, width, width_of};
use super::ink::Ink;
use super::validation::{HIGHLIGHTS, thinned};
use crate::effects::Effects;
use crate::format;
use sweep_core::trial::Goal;

const TITLE: &str = "Parameters and results";
/// Maximum number of parameters shown, most important first.
const SETTINGS: usize = 7;
/// Maximum number of background lines.
const LINES: usize = 300;
/// Share of the configurations that are highlighted as the best, up to [`MOST_BEST`], and at least those that have a
/// color in the other charts.
const BEST: f64 = 0.1;
const MOST_BEST: usize = 30;
const SPAN: (f32, f32) = (86.0, 330.0);

/// Draws the chart. Configurations are in the order of the ranking.
pub fn parallel(effects: &Effects) -> Figure {
    let mut figure = Figure::new((960, 364), TITLE.to_owned());
    let coordinates = Coordinates::new(effects);
    coordinates.draw_head(&mut figure);
    coordinates.draw_lines(&mut figure);
    coordinates.draw_parameters(&mut figure);
    coordinates.draw_results(&mut figure);
    figure
}

/// The axes of the chart: one for each parameter, and one for the result.
struct Coordinates<'a> {
    effects: &'a Effects,
    /// Index of each parameter's factor, from left to right.
    shown: Vec<usize>,
    /// Distance between two axes.
    step: f32,
    /// The axis of the result.
    results: Axis,
    /// Number of configurations.
    count: usize,
    /// Number of configurations that are highlighted.
    best: usize,
}

impl Coordinates<'_> {
    fn new(effects: &Effects) -> Coordinates<'_> {
        let count = effects.metric.values.len();
        let best = ((count as f64 * BEST).ceil() as usize).clamp(HIGHLIGHTS.len().min(count.max(1)), MOST_BEST);
        // The most important parameters are next to the result.
        let mut shown: Vec<usize> = effects.order().into_iter().take(SETTINGS).collect();
        shown.reverse();
        let step = 780.0 / shown.len() as f32;
        let values = effects.metric.values.iter().copied();
        let limits = f64::NEG_INFINITY..=f64::INFINITY;
        let results = if effects.metric.log { Axis::decades(values) } else { Axis::values(values, limits) };
        Coordinates { effects, shown, step, results, count, best }
    }

    /// The place of an axis. That of the result is the last one.
    fn x(&self, at: usize) -> f32 {
        90.0 + self.step * at as f32
    }

    fn height_of_level(&self, factor: usize, level: usize) -> f32 {
        let (top, bottom) = SPAN;
        let levels = self.effects.factors[factor].levels.len();
        bottom - (level as f32 + 0.5) / levels as f32 * (bottom - top)
    }

    fn height_of_result(&self, value: f64) -> f32 {
        let (top, bottom) = SPAN;
        let share = self.results.share(value).clamp(0.0, 1.0) as f32;
        // Better results are higher.
        let share = if self.effects.metric.goal == Goal::Minimize { 1.0 - share } else { share };
        bottom - share * (bottom - top)
    }

    /// The line of a configuration. Lines at the same level are spread out in the order of their results, so that each
    /// can be followed.
    fn line(&self, configuration: usize) -> Vec<(f32, f32)> {
        let (top, bottom) = SPAN;
        let spread = 0.5 - configuration as f32 / self.count.max(2) as f32;
        let places = self.shown.iter().enumerate().map(|(at, &index)| {
            let factor = &self.effects.factors[index];
            let room = (bottom - top) / factor.levels.len() as f32 * 0.5;
            (self.x(at), self.height_of_level(index, factor.of[configuration]) - spread * room)
        });
        let result = self.height_of_result(self.effects.metric.values[configuration]);
        places.chain([(self.x(self.shown.len()), result)]).collect()
    }

    fn draw_head(&self, figure: &mut Figure) {
        figure.bold((24.0, 25.0), TITLE, 15.0, Ink::Text, Side::Start);
        let mut note = match (self.count, self.best) {
            (1, _) => "1 configuration".to_owned(),
            (count, best) if count == best => {
                format!("one line for each of {count} configurations, in color as in the other charts")
            }
            (count, best) => {
                let first = if best > HIGHLIGHTS.len() { " the first five" } else { "" };
                let count = format::count(count as u64);
                format!(
                    "one line for each of {count} configurations; the best {best} in color,{first} as in the other charts"
                )
            }
        };
        let (shown, all) = (self.shown.len(), self.effects.factors.len() + self.effects.too_many.len());
        if shown < all {
            note += &format!("; {shown} of {all} parameters");
        }
        figure.text((38.0 + width_of(TITLE, 15.0, true), 26.0), note, 12.0, Ink::Soft, Side::Start);
    }

    /// Draws the configurations, the best last.
    fn draw_lines(&self, figure: &mut Figure) {
        let rest: Vec<usize> = (self.best..self.count).collect();
        for configuration in thinned(&rest, LINES).into_iter().rev() {
            figure.line(self.line(configuration), Ink::Faint, 0.75);
        }
        for configuration in (0..self.best.min(self.count)).rev() {
            let ink = self.effects.ranks[configuration].map_or(Ink::Sky, |rank| HIGHLIGHTS[rank]);
            figure.line(self.line(configuration), ink, if configuration == 0 { 2.0 } else { 1.25 });
        }
    }

    fn draw_parameters(&self, figure: &mut Figure) {
        let (top, bottom) = SPAN;
        for (at, &index) in self.shown.iter().enumerate() {
            let (x, factor) = (self.x(at), &self.effects.factors[index]);
            figure.line(vec![(x, top), (x, bottom)], Ink::Soft, 1.0);
            let name = fit_name(&factor.name, 12.0, (self.step - 12.0).min(2.0 * x - 12.0) / 1.08);
            figure.bold((x, top - 22.0), name, 12.0, Ink::Text, Side::Middle);
            for (level, name) in factor.levels.iter().enumerate() {
                let label = fit(name, SMALL, (self.step - 16.0).min(70.0));
                let y = self.height_of_level(index, level);
                figure.area((x - 8.0 - width(&label, SMALL), y - 6.5), (x - 4.0, y + 6.5), Ink::Paper);
                figure.text((x - 6.0, y), label, SMALL, Ink::Text, Side::End);
            }
        }
    }

    fn draw_results(&self, figure: &mut Figure) {
        let (top, bottom) = SPAN;
        let (metric, right) = (&self.effects.metric, self.x(self.shown.len()));
        figure.line(vec![(right, top), (right, bottom)], Ink::Soft, 1.0);
        figure.bold((936.0, top - 22.0), &metric.words, 12.0, Ink::Text, Side::End);
        for &tick in &self.results.ticks {
            let number = match metric.name.ends_with("accuracy") {
                true => format!("{}%", self.results.percent(tick)),
                false => self.results.label(tick),
            };
            figure.text((right + 6.0, self.height_of_result(tick)), number, SMALL, Ink::Soft, Side::Start);
        }
        let value = |value| format::value(&metric.name, Some(value));
        let capped = metric.cap().map(|cap| format!("capped at {}", value(cap)));
        let note = capped.or_else(|| self.results.beyond.map(|most| format!("axis cut: up to {}", value(most))));
        if let Some(note) = note {
            figure.text((936.0, bottom + 16.0), note, SMALL, Ink::Soft, Side::End);
        }
    }
}
