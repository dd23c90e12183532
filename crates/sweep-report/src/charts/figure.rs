//! A picture before it is painted: marks on a page, in pixels of the finished picture, y downwards.

use plotters::style::IntoFont;

use super::ink::Ink;
use crate::words::clean;

/// A place on the page.
pub type Point = (f32, f32);

/// What can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A line through all points.
    Line { points: Vec<Point>, ink: Ink, width: f32 },
    /// A filled box, from its corner at the top left to the opposite one.
    Area { corner: Point, opposite: Point, ink: Ink },
    /// A filled circle.
    Dot { at: Point, radius: f32, ink: Ink },
    /// One line of text; `at` is its start, middle or end, halfway up.
    Text { at: Point, text: String, size: f32, bold: bool, ink: Ink, side: Side },
}

/// Which part of a text its place means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Start,
    Middle,
    End,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Width and height.
    pub size: (u32, u32),
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// First below, last on top.
    pub marks: Vec<Mark>,
}

/// The size of most texts.
pub const SMALL: f32 = 11.0;

impl Figure {
    /// An empty page.
    pub fn new(size: (u32, u32), title: String) -> Figure {
        Figure { size, title: clean(&title), marks: Vec::new() }
    }

    /// A line through all points.
    pub fn line(&mut self, points: Vec<Point>, ink: Ink, width: f32) {
        self.marks.push(Mark::Line { points, ink, width });
    }

    /// A vertical line of dashes.
    pub fn dashes(&mut self, x: f32, top: f32, bottom: f32, ink: Ink) {
        let mut y = top;
        while y < bottom {
            self.line(vec![(x, y), (x, (y + 4.0).min(bottom))], ink, 1.0);
            y += 7.0;
        }
    }

    /// A filled box.
    pub fn area(&mut self, corner: Point, opposite: Point, ink: Ink) {
        self.marks.push(Mark::Area { corner, opposite, ink });
    }

    /// A filled circle.
    pub fn dot(&mut self, at: Point, radius: f32, ink: Ink) {
        self.marks.push(Mark::Dot { at, radius, ink });
    }

    /// A circle in `ink` with the page's ground inside.
    pub fn ring(&mut self, at: Point, radius: f32, ink: Ink) {
        self.dot(at, radius, ink);
        self.dot(at, radius - 1.75, Ink::Paper);
    }

    /// One line of plain text.
    pub fn text(&mut self, at: Point, text: impl AsRef<str>, size: f32, ink: Ink, side: Side) {
        let text = clean(text.as_ref());
        self.marks.push(Mark::Text { at, text, size, bold: false, ink, side });
    }

    /// One line of bold text.
    pub fn bold(&mut self, at: Point, text: impl AsRef<str>, size: f32, ink: Ink, side: Side) {
        let text = clean(text.as_ref());
        self.marks.push(Mark::Text { at, text, size, bold: true, ink, side });
    }
}

/// The width of a text in the embedded font.
pub fn width(text: &str, size: f32) -> f32 {
    super::paint::register_fonts();
    let font = (super::paint::FAMILY, f64::from(size * super::paint::EM * 16.0)).into_font();
    font.box_size(text).map_or(0.0, |(width, _)| width as f32 / 16.0)
}

/// The text, or as much of its start as fits, with an ellipsis.
pub fn fit(text: &str, size: f32, room: f32) -> String {
    // Measuring a text of any length would take any time; none of this many letters fits any picture.
    const LONGEST: usize = 400;
    let mut letters: Vec<char> = clean(text).chars().take(LONGEST).collect();
    let whole: String = letters.iter().collect();
    if letters.len() < LONGEST && width(&whole, size) <= room {
        return whole;
    }
    while !letters.is_empty() {
        let shorter = letters.iter().collect::<String>().trim_end().to_owned() + "…";
        let excess = width(&shorter, size) - room;
        if excess <= 0.0 {
            return shorter;
        }
        // No letter is wider than its size, so this never takes too many.
        let surplus = ((excess / size) as usize).max(1);
        letters.truncate(letters.len().saturating_sub(surplus));
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_cut_to_fit() {
        let long = "learning_rate 0.001 · ".repeat(50);
        let cut = fit(&long, SMALL, 300.0);
        assert!(cut.ends_with('…') && width(&cut, SMALL) <= 300.0, "{cut}");
        assert!(width(&cut, SMALL) > 280.0, "most of the room is used: {cut}");
        assert_eq!(fit("short", SMALL, 300.0), "short");
        assert_eq!(fit("none", SMALL, 1.0), "");
    }

    #[test]
    fn control_characters_do_not_reach_the_picture() {
        assert_eq!(fit("a\u{0}b\nc\u{1b}[31m", SMALL, 300.0), "a b c [31m");
    }
}
