//! A figure before rendering: marks on a page, in pixels of the finished image, with y pointing down.

use std::borrow::Cow;

use deunicode::deunicode_char;
use plotters::style::{FontStyle, IntoFont};
use unicode_width::UnicodeWidthChar;

use super::ink::Ink;
use crate::format::clean;

/// A position on the page, in pixels.
pub type Point = (f32, f32);

/// A drawable element.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A line through all points.
    Line { points: Vec<Point>, ink: Ink, width: f32 },
    /// A filled rectangle, given by its top left corner and the opposite one.
    Area { corner: Point, opposite: Point, ink: Ink },
    /// A filled circle.
    Dot { at: Point, radius: f32, ink: Ink },
    /// One line of text. `at` is its start, middle or end, at half its height.
    Text { at: Point, text: String, size: f32, bold: bool, ink: Ink, side: Side },
}

/// The part of a text at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Start,
    Middle,
    End,
}

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// A description for readers who cannot see the figure.
    pub title: String,
    /// The elements in drawing order: the first at the bottom, the last on top.
    pub marks: Vec<Mark>,
}

/// Font size of most texts.
pub const SMALL: f32 = 11.0;

impl Figure {
    /// Creates an empty figure.
    pub fn new(size: (u32, u32), title: String) -> Figure {
        Figure { size, title: clean(&title), marks: Vec::new() }
    }

    /// The place on the page that is nearest to it. What a chart shows beyond its axes ends at the page's edge, so that
    /// no mark takes longer to paint than the page is large.
    fn within(&self, (x, y): Point) -> Point {
        let inside = |at: f32, size: u32| if at.is_nan() { 0.0 } else { at.clamp(0.0, size as f32) };
        (inside(x, self.size.0), inside(y, self.size.1))
    }

    /// A line through all points.
    pub fn line(&mut self, mut points: Vec<Point>, ink: Ink, width: f32) {
        points.iter_mut().for_each(|point| *point = self.within(*point));
        self.marks.push(Mark::Line { points, ink, width });
    }

    /// Adds a vertical dashed line.
    pub fn dashes(&mut self, x: f32, top: f32, bottom: f32, ink: Ink) {
        let ((x, top), (_, bottom)) = (self.within((x, top)), self.within((x, bottom)));
        let mut y = top;
        while y < bottom {
            self.line(vec![(x, y), (x, (y + 4.0).min(bottom))], ink, 1.0);
            y += 7.0;
        }
    }

    /// Adds a filled rectangle.
    pub fn area(&mut self, corner: Point, opposite: Point, ink: Ink) {
        let (corner, opposite) = (self.within(corner), self.within(opposite));
        self.marks.push(Mark::Area { corner, opposite, ink });
    }

    /// Adds a filled circle.
    pub fn dot(&mut self, at: Point, radius: f32, ink: Ink) {
        let at = self.within(at);
        self.marks.push(Mark::Dot { at, radius, ink });
    }

    /// Adds a circle in `ink`, filled with the background color.
    pub fn ring(&mut self, at: Point, radius: f32, ink: Ink) {
        self.dot(at, radius, ink);
        self.dot(at, radius - 1.75, Ink::Paper);
    }

    /// Adds one line of regular text.
    pub fn text(&mut self, at: Point, text: impl AsRef<str>, size: f32, ink: Ink, side: Side) {
        let (at, text) = (self.within(at), clean(text.as_ref()));
        self.marks.push(Mark::Text { at, text, size, bold: false, ink, side });
    }

    /// Adds one line of bold text.
    pub fn bold(&mut self, at: Point, text: impl AsRef<str>, size: f32, ink: Ink, side: Side) {
        let (at, text) = (self.within(at), clean(text.as_ref()));
        self.marks.push(Mark::Text { at, text, size, bold: true, ink, side });
    }
}

/// The width of a text in the embedded font, in pixels.
pub fn width(text: &str, size: f32) -> f32 {
    width_of(text, size, false)
}

/// The width of a text that may be bold. Other fonts draw the letters that the embedded one lacks, so that their width is
/// estimated.
pub fn width_of(text: &str, size: f32, bold: bool) -> f32 {
    super::paint::register_fonts();
    if let Cow::Owned(latin) = latin(text) {
        let columns = text.chars().map(|letter| letter.width().unwrap_or(0) as f32 * LETTER).sum::<f32>();
        return (columns * size).max(width_of(&latin, size, bold));
    }
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    let font = (super::paint::FAMILY, f64::from(size * super::paint::EM * 16.0), style).into_font();
    font.box_size(text).map_or(0.0, |(width, _)| width as f32 / 16.0)
}

/// The estimated width of a letter of another font, as a share of the font size.
const LETTER: f32 = 0.55;

/// The text in letters that the embedded font has, which is what a PNG shows: others are written as they sound.
pub fn latin(text: &str) -> Cow<'_, str> {
    if text.chars().all(super::paint::has) {
        return Cow::Borrowed(text);
    }
    let letter = |letter: char| match deunicode_char(letter) {
        _ if super::paint::has(letter) => letter.to_string(),
        Some(sound) if !sound.is_empty() || letter.width() == Some(0) => sound.to_owned(),
        _ => "?".to_owned(),
    };
    Cow::Owned(text.chars().map(letter).collect())
}

/// A name, shortened in its middle if it does not fit: names in a row often begin alike.
pub fn fit_name(name: &str, size: f32, room: f32) -> String {
    let cut = fit(name, size, room);
    if !cut.ends_with('…') || name.ends_with('…') {
        return cut;
    }
    let kept = cut.chars().count().saturating_sub(1);
    let letters: Vec<char> = clean(name).chars().collect();
    let at = |first: usize, last: usize| -> String {
        letters[..first].iter().chain(&['…']).chain(&letters[letters.len() - last..]).collect()
    };
    let halves = (0..=kept).rev().map(|kept| at(kept.div_ceil(2), kept / 2));
    halves.into_iter().find(|name| width(name, size) <= room).unwrap_or(cut)
}

/// The text, shortened with an ellipsis if it does not fit.
pub fn fit(text: &str, size: f32, room: f32) -> String {
    // Measuring takes time proportional to the length. A text with this many letters fits no figure.
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
        // No letter is wider than the font size, so this never removes too many.
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
    fn a_name_that_is_too_long_keeps_both_of_its_ends() {
        let cut = fit_name("a_parameter_with_a_long_name_23", SMALL, 90.0);
        assert!(cut.starts_with("a_par") && cut.ends_with("23") && cut.contains('…'), "{cut}");
        assert!(width(&cut, SMALL) <= 90.0, "{cut}");
        assert_eq!(fit_name("short", SMALL, 90.0), "short");
        assert_eq!(fit_name("none", SMALL, 1.0), "");
    }

    #[test]
    fn letters_that_the_font_lacks_are_written_as_they_sound_and_have_a_width() {
        assert_eq!(latin("dropout β 0.2 × ½"), "dropout β 0.2 × ½");
        assert_eq!(latin("скорость"), "skorost'");
        assert!(latin("学習率").is_ascii() && latin("🚀").is_ascii(), "{} {}", latin("学習率"), latin("🚀"));
        assert!(width("学習率", SMALL) >= 3.0 * SMALL, "{}", width("学習率", SMALL));
    }

    #[test]
    fn no_mark_leaves_the_page() {
        let mut figure = Figure::new((100, 50), String::new());
        for far in [f32::MAX, f32::INFINITY, -1e30, f32::NAN] {
            figure.line(vec![(1.0, 1.0), (far, far)], Ink::Text, 1.0);
            figure.area((-far, far), (far, 9.0), Ink::Text);
            figure.ring((far, far), 4.0, Ink::Text);
            figure.text((far, far), "far", SMALL, Ink::Text, Side::Start);
            figure.dashes(far, -far, far, Ink::Text);
        }
        let inside = |(x, y): Point| (0.0..=100.0).contains(&x) && (0.0..=50.0).contains(&y);
        for mark in &figure.marks {
            let fits = match mark {
                Mark::Area { corner, opposite, .. } => inside(*corner) && inside(*opposite),
                Mark::Line { points, .. } => points.iter().copied().all(inside),
                Mark::Dot { at, .. } | Mark::Text { at, .. } => inside(*at),
            };
            assert!(fits, "{mark:?}");
        }
        assert!(!super::super::png(&figure).is_empty() && !super::super::svg(&figure).contains("NaN"));
    }

    #[test]
    fn control_characters_do_not_reach_the_picture() {
        assert_eq!(fit("a\u{0}b\nc\u{1b}[31m", SMALL, 300.0), "a b c [31m");
    }
}
