//! One pair of axes with its curves.

use std::ops::RangeInclusive;

use super::axis::Axis;
use super::figure::{Figure, Point, SMALL, Side, fit, width};
use super::ink::Ink;
use super::validation::thinned;
use crate::format::{percent, significant};
use sweep_core::trial::EpochMetrics;

/// Maximum number of points of a curve. A chart is less than a thousand pixels wide.
pub const POINTS: usize = 1000;
/// Room for the numbers of the vertical axis, in pixels. A panel whose numbers are wider is narrower.
const NUMBERS: f32 = 52.0;

/// The quantity that a panel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity<'a> {
    Loss,
    Accuracy,
    /// The learning rate, as a share of the trial's own.
    Rate,
    /// A metric with a program's own name.
    Named(&'a str),
}

impl<'a> Quantity<'a> {
    /// The heading of the panel.
    pub fn title(self) -> &'a str {
        match self {
            Quantity::Named(name) => name,
            Quantity::Loss => "Loss",
            Quantity::Accuracy => "Accuracy (%)",
            Quantity::Rate => "% of each trial's learning rate",
        }
    }

    /// The name of this quantity's metric for `of`, the part of the data.
    pub fn metric(self, of: &str) -> String {
        match self {
            Quantity::Loss => format!("{of}_loss"),
            Quantity::Accuracy => format!("{of}_accuracy"),
            Quantity::Rate => "learning_rate".to_owned(),
            Quantity::Named(name) => name.to_owned(),
        }
    }

    /// Formats a value with its significant digits.
    pub fn value(self, value: f64) -> String {
        match self {
            Quantity::Loss | Quantity::Named(_) => significant(value, 4),
            Quantity::Accuracy | Quantity::Rate => percent(value),
        }
    }

    pub fn limits(self) -> RangeInclusive<f64> {
        match self {
            Quantity::Loss | Quantity::Named(_) => f64::NEG_INFINITY..=f64::INFINITY,
            Quantity::Accuracy | Quantity::Rate => 0.0..=1.0,
        }
    }

    /// An axis for these values. It is logarithmic for losses that span decades.
    pub fn axis(self, values: impl IntoIterator<Item = f64>) -> Axis {
        let values: Vec<f64> = values.into_iter().collect();
        match self {
            Quantity::Loss if Axis::spans_decades(&values) => Axis::decades(values),
            _ => Axis::values(values, self.limits()),
        }
    }

    fn tick(self, axis: &Axis, value: f64) -> String {
        match self {
            Quantity::Loss | Quantity::Named(_) => axis.label(value),
            Quantity::Accuracy | Quantity::Rate => axis.percent(value),
        }
    }
}

/// An area of the page with axes.
#[derive(Debug)]
pub struct Panel<'a> {
    quantity: Quantity<'a>,
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
    epochs: Axis,
    values: Axis,
}

impl<'a> Panel<'a> {
    /// Draws axes for these values. The curves go in the rectangle from `corner` to `opposite`; heading and numbers are
    /// outside it.
    pub fn new(
        figure: &mut Figure,
        quantity: Quantity<'a>,
        (corner, opposite): (Point, Point),
        last_epoch: u32,
        values: impl IntoIterator<Item = f64>,
    ) -> Panel<'a> {
        let values = quantity.axis(values);
        Panel::with_axes(figure, quantity, (corner, opposite), Axis::epochs(last_epoch), values)
    }

    /// Draws a panel with given axes.
    pub fn with_axes(
        figure: &mut Figure,
        quantity: Quantity<'a>,
        ((left, top), (right, bottom)): (Point, Point),
        epochs: Axis,
        values: Axis,
    ) -> Panel<'a> {
        let mut panel = Panel { quantity, left, right, top, bottom, epochs, values };
        let widest = panel.values.ticks.iter().map(|tick| width(&quantity.tick(&panel.values, *tick), SMALL));
        panel.left += (widest.fold(0.0, f32::max) - NUMBERS).max(0.0);
        panel.draw_axes(figure, left);
        panel
    }

    /// Draws a line through pairs of epoch and value, all within the axes.
    pub fn line(&self, figure: &mut Figure, points: &[(f64, f64)], ink: Ink, width: f32) {
        figure.line(points.iter().map(|&(epoch, value)| self.place(epoch, value)).collect(), ink, width);
    }

    /// Draws the axes. The title begins at `start`, whatever room the numbers need.
    fn draw_axes(&self, figure: &mut Figure, start: f32) {
        let scale = if self.values.log { " (logarithmic)" } else { "" };
        let title = format!("{}{scale}", self.quantity.title());
        figure.bold((start, self.top - 30.0), fit(&title, 12.0, self.right - start), 12.0, Ink::Text, Side::Start);
        for &tick in &self.values.ticks {
            let y = self.y(tick);
            figure.line(vec![(self.left, y), (self.right, y)], Ink::Grid, 1.0);
            let number = self.quantity.tick(&self.values, tick);
            figure.text((self.left - 8.0, y), number, SMALL, Ink::Soft, Side::End);
        }
        figure.line(vec![(self.left, self.bottom), (self.right, self.bottom)], Ink::Soft, 1.0);
        for &tick in &self.epochs.ticks {
            let x = self.x(tick);
            figure.line(vec![(x, self.bottom), (x, self.bottom + 4.0)], Ink::Soft, 1.0);
            figure.text((x, self.bottom + 13.0), epoch_label(tick), SMALL, Ink::Soft, Side::Middle);
        }
        figure.text((self.right, self.bottom + 29.0), "epoch", SMALL, Ink::Soft, Side::End);
        if let Some(most) = self.values.beyond {
            let note = format!("axis cut: values up to {}", self.quantity.value(most));
            figure.text((self.right, self.top - 20.0), note, SMALL, Ink::Soft, Side::End);
        }
    }

    /// Draws a metric of a curve. Epochs without the metric leave a gap, and an isolated epoch becomes a dot.
    pub fn curve(&self, figure: &mut Figure, curve: &[EpochMetrics], metric: &str, ink: Ink, width: f32) {
        let mut piece: Vec<(f64, f64)> = Vec::new();
        let ends = [None];
        let thin = thinned(curve, POINTS);
        let measured = thin.iter().map(|epoch| epoch.get(metric).map(|value| (f64::from(epoch.epoch), value)));
        for point in measured.chain(ends) {
            match point {
                Some(point) => piece.push(point),
                None => self.piece(figure, std::mem::take(&mut piece), ink, width),
            }
        }
    }

    /// Draws consecutive points, cut where they leave the panel. A single point becomes a dot.
    pub fn piece(&self, figure: &mut Figure, piece: Vec<(f64, f64)>, ink: Ink, width: f32) {
        let top = *self.values.range.end();
        if let [(epoch, value)] = piece[..] {
            if value <= top {
                figure.dot(self.place(epoch, value), width + 1.5, ink);
            }
            return;
        }
        for inside in below(&piece, top) {
            figure.line(inside.into_iter().map(|(epoch, value)| self.place(epoch, value)).collect(), ink, width);
        }
    }

    /// The position of a value at an epoch, if it is inside the panel.
    pub fn find(&self, epoch: u32, value: f64) -> Option<Point> {
        self.values.range.contains(&value).then(|| self.place(f64::from(epoch), value))
    }

    /// Draws a vertical line at an epoch, with a label above the curves.
    pub fn mark_epoch(&self, figure: &mut Figure, epoch: u32, label: &str) {
        figure.dashes(self.x(f64::from(epoch)), self.top + 7.0, self.bottom, Ink::Soft);
        self.label(figure, epoch, self.top, label, Ink::Text);
    }

    /// Draws a vertical line at the epoch where overfitting begins. Its label is above the other one.
    pub fn mark_onset(&self, figure: &mut Figure, epoch: u32, label: &str) {
        figure.dashes(self.x(f64::from(epoch)), self.top + 7.0, self.bottom, Ink::Vermilion);
        self.label(figure, epoch, self.top - 13.0, label, Ink::Vermilion);
    }

    /// Draws a label at an epoch, within the panel.
    fn label(&self, figure: &mut Figure, epoch: u32, y: f32, label: &str, ink: Ink) {
        let half = width(label, SMALL) / 2.0;
        let at = self.x(f64::from(epoch)).min(self.right - half).max(self.left + half);
        figure.text((at, y), label, SMALL, ink, Side::Middle);
    }

    /// The right edge, in pixels.
    pub fn right(&self) -> f32 {
        self.right
    }

    /// The top and bottom edges, in pixels.
    pub fn span(&self) -> (f32, f32) {
        (self.top, self.bottom)
    }

    fn place(&self, epoch: f64, value: f64) -> Point {
        (self.x(epoch), self.y(value))
    }

    fn x(&self, epoch: f64) -> f32 {
        self.left + self.epochs.share(epoch) as f32 * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f32 {
        // Reserves space above the curves for the label of the best epoch.
        let top = self.top + 10.0;
        self.bottom - self.values.share(value) as f32 * (self.bottom - top)
    }
}

/// The number of an epoch, in thousands or millions if it is long.
fn epoch_label(epoch: f64) -> String {
    match epoch {
        1e6.. => format!("{}M", epoch / 1e6),
        1e5.. => format!("{}k", epoch / 1e3),
        _ => epoch.to_string(),
    }
}

/// The parts of a line at or below a height, cut where the line crosses it.
fn below(line: &[(f64, f64)], top: f64) -> Vec<Vec<(f64, f64)>> {
    let mut parts: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut part: Vec<(f64, f64)> = Vec::new();
    for (number, &(x, y)) in line.iter().enumerate() {
        if let Some(&(x0, y0)) = number.checked_sub(1).map(|before| &line[before])
            && (y > top) != (y0 > top)
        {
            part.push((x0 + (x - x0) * (top - y0) / (y - y0), top));
        }
        if y <= top {
            part.push((x, y));
        } else if !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
    }
    parts.push(part);
    parts.retain(|part| part.len() > 1);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_it_leaves_the_panel() {
        let line = [(1.0, 4.0), (2.0, 0.0), (3.0, 1.0), (4.0, 3.0)];
        assert_eq!(below(&line, 2.0), [[(1.5, 2.0), (2.0, 0.0), (3.0, 1.0), (3.5, 2.0)]]);
        assert_eq!(below(&line, 9.0), [line]);
        assert!(below(&line, -1.0).is_empty());
    }
}
