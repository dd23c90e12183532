//! Renders figures as SVG text and PNG bytes, through plotters.
//!
//! No system font is needed. The binary embeds Inter (font/OFL.txt), reduced to Latin and Greek letters.

use std::fmt::Write;
use std::sync::{LazyLock, Once};

use ab_glyph::{Font, FontRef};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoTextStyle, RGBColor, ShapeStyle, TextStyle, register_font};

use super::figure::{Figure, Mark, Point, Side, latin};
use super::ink::Ink;

/// Fonts in an SVG: Inter if it is installed, otherwise the browser's own.
pub const FAMILY: &str = "Inter, Helvetica, Arial, sans-serif";
/// Ratio of line height to font size. plotters takes the line height instead of the font size.
pub const EM: f32 = 1.24;
/// SVG units per pixel. plotters uses integer coordinates only, so an SVG is drawn on a finer grid.
const UNITS: f32 = 8.0;
/// PNG pixels per figure pixel, so that charts are sharp on high-resolution screens and on paper.
const DENSITY: f32 = 2.0;

/// Renders the figure as an SVG element. Text is escaped.
pub fn svg(figure: &Figure) -> String {
    register_fonts();
    let (width, height) = figure.size;
    let units = |pixels: u32| (pixels as f32 * UNITS) as u32;
    let mut painted = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut painted, (units(width), units(height)));
        let corner = (units(width) as i32, units(height) as i32);
        never(backend.draw_rect((0, 0), corner, &rgb(Ink::Paper), true));
        for mark in &figure.marks {
            match mark {
                Mark::Line { points, ink, width } => {
                    let style =
                        ShapeStyle { color: rgb(*ink).into(), filled: false, stroke_width: whole(width * UNITS) };
                    never(backend.draw_path(points.iter().map(|at| pixel(*at, UNITS)), &style));
                }
                Mark::Area { corner, opposite, ink } => {
                    never(backend.draw_rect(pixel(*corner, UNITS), pixel(*opposite, UNITS), &rgb(*ink), true));
                }
                Mark::Dot { at, radius, ink } => {
                    never(backend.draw_circle(pixel(*at, UNITS), whole(radius * UNITS), &rgb(*ink), true));
                }
                Mark::Text { at, text, .. } => {
                    never(backend.draw_text(text, &text_style(mark, UNITS), pixel(*at, UNITS)));
                }
            }
        }
        never(backend.present());
    }
    // The `viewBox` converts units back to pixels. The title is for accessibility.
    let body = painted.find("<svg").and_then(|start| painted[start..].find('>').map(|end| &painted[start + end + 1..]));
    let body = body.expect("plotters begins with an svg tag");
    let body = with_lengths(body, figure);
    let title = maud::html! { title { (figure.title) } }.into_string();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
         role=\"img\" stroke-linejoin=\"round\" stroke-linecap=\"round\">{title}{body}",
        units(width),
        units(height),
    )
}

/// Gives each text of an SVG the length that it has in the embedded font, if that has all of its letters. Where Inter is not installed, the browser then
/// squeezes or stretches its own font, and no text runs into the next one.
fn with_lengths(body: &str, figure: &Figure) -> String {
    let mut texts = figure.marks.iter().filter_map(|mark| match mark {
        Mark::Text { text, size, bold, .. } => Some((text, *size, *bold)),
        _ => None,
    });
    let mut written = String::with_capacity(body.len() + body.len() / 4);
    for (at, part) in body.split("<text ").enumerate() {
        if at > 0 {
            written.push_str("<text ");
            let is_inter = |text: &str| text.chars().count() > 1 && text.chars().all(has);
            if let Some((text, size, bold)) = texts.next().filter(|(text, ..)| is_inter(text)) {
                let length = super::figure::width_of(text, size, bold) * UNITS;
                let _ = write!(written, "textLength=\"{length:.0}\" lengthAdjust=\"spacingAndGlyphs\" ");
            }
        }
        written.push_str(part);
    }
    written
}

/// Renders the figure as a PNG file.
pub fn png(figure: &Figure) -> Vec<u8> {
    register_fonts();
    let pixels = |length: u32| (length as f32 * DENSITY) as u32;
    let (width, height) = (pixels(figure.size.0), pixels(figure.size.1));
    let mut grid = Grid { size: (width, height), bytes: vec![0xff; width as usize * height as usize * 3] };
    for mark in &figure.marks {
        match mark {
            Mark::Line { points, ink, width } => {
                for pair in points.windows(2) {
                    grid.stroke(pair[0], pair[1], *width, *ink);
                }
            }
            Mark::Area { corner, opposite, ink } => grid.fill(*corner, *opposite, *ink),
            Mark::Dot { at, radius, ink } => grid.stroke(*at, *at, radius * 2.0, *ink),
            Mark::Text { at: (x, y), text, size, .. } => {
                // plotters centers the bounding box of the letters. Browsers center letters such as x.
                let at = pixel((*x, y + size * 0.16), DENSITY);
                let mut backend = BitMapBackend::with_buffer(&mut grid.bytes, (width, height));
                never(backend.draw_text(&latin(text), &text_style(mark, DENSITY), at));
            }
        }
    }
    let mut file = Vec::new();
    PngEncoder::new_with_quality(&mut file, CompressionType::Level(1), FilterType::Up)
        .write_image(&grid.bytes, width, height, ExtendedColorType::Rgb8)
        .expect("the buffer has the picture's size, and memory takes every byte");
    file
}

const REGULAR: &[u8] = include_bytes!("font/Inter-Regular.ttf");
const BOLD: &[u8] = include_bytes!("font/Inter-SemiBold.ttf");

/// Whether the embedded font has a letter.
pub fn has(letter: char) -> bool {
    static FONT: LazyLock<FontRef> = LazyLock::new(|| FontRef::try_from_slice(REGULAR).expect("the font is whole"));
    letter.is_ascii() || FONT.glyph_id(letter).0 != 0
}

/// Registers the embedded font with plotters.
pub fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let regular = register_font(FAMILY, FontStyle::Normal, REGULAR);
        let bold = register_font(FAMILY, FontStyle::Bold, BOLD);
        assert!(regular.is_ok() && bold.is_ok(), "the embedded fonts are whole");
    });
}

/// A pixel buffer: red, green and blue of every pixel, row by row.
struct Grid {
    size: (u32, u32),
    bytes: Vec<u8>,
}

impl Grid {
    /// Draws an antialiased line with round ends, which plotters cannot do in pixels. The coverage of a pixel is the
    /// line's half width minus the pixel's distance from the line.
    fn stroke(&mut self, from: Point, to: Point, width: f32, ink: Ink) {
        let scaled = |(x, y): Point| (x * DENSITY - 0.5, y * DENSITY - 0.5);
        let ((x0, y0), (x1, y1)) = (scaled(from), scaled(to));
        let (dx, dy) = (x1 - x0, y1 - y0);
        let square = dx * dx + dy * dy;
        let reach = width * DENSITY / 2.0 + 0.5;
        // Visits only pixels that the line can touch: row by row if it is steep, otherwise column by column.
        let steep = dy.abs() > dx.abs();
        let ((a0, b0), (a1, b1)) = if steep { ((y0, x0), (y1, x1)) } else { ((x0, y0), (x1, y1)) };
        let slope = if a1 == a0 { 0.0 } else { (b1 - b0) / (a1 - a0) };
        let half = reach * (1.0 + slope * slope).sqrt();
        let (low, high) = (a0.min(a1), a0.max(a1));
        for a in (low - reach).floor() as i32..=(high + reach).ceil() as i32 {
            let middle = b0 + ((a as f32).clamp(low, high) - a0) * slope;
            for b in (middle - half).floor() as i32..=(middle + half).ceil() as i32 {
                let (x, y) = if steep { (b, a) } else { (a, b) };
                let (px, py) = (x as f32 - x0, y as f32 - y0);
                let along = if square == 0.0 { 0.0 } else { ((px * dx + py * dy) / square).clamp(0.0, 1.0) };
                let (ex, ey) = (px - dx * along, py - dy * along);
                self.cover(x, y, reach - (ex * ex + ey * ey).sqrt(), ink);
            }
        }
    }

    /// Fills a rectangle of whole pixels, at least one pixel wide.
    fn fill(&mut self, corner: Point, opposite: Point, ink: Ink) {
        let ((left, top), (right, bottom)) = (pixel(corner, DENSITY), pixel(opposite, DENSITY));
        for y in top..bottom.max(top + 1) {
            (left..right.max(left + 1)).for_each(|x| self.cover(x, y, 1.0, ink));
        }
    }

    /// Blends a color into a pixel, if the pixel is on the page. `share` is the coverage.
    fn cover(&mut self, x: i32, y: i32, share: f32, ink: Ink) {
        let (width, height) = (self.size.0 as i32, self.size.1 as i32);
        if share <= 0.0 || !(0..width).contains(&x) || !(0..height).contains(&y) {
            return;
        }
        let at = (y as usize * width as usize + x as usize) * 3;
        for (byte, ink) in self.bytes[at..at + 3].iter_mut().zip(ink.light()) {
            *byte = (f32::from(*byte) + (f32::from(ink) - f32::from(*byte)) * share.min(1.0)).round() as u8;
        }
    }
}

fn text_style(mark: &Mark, scale: f32) -> TextStyle<'static> {
    let Mark::Text { size, bold, ink, side, .. } = mark else { unreachable!("only texts are asked for") };
    let style = if *bold { FontStyle::Bold } else { FontStyle::Normal };
    let side = match side {
        Side::Start => HPos::Left,
        Side::Middle => HPos::Center,
        Side::End => HPos::Right,
    };
    let font = (FAMILY, f64::from(size * EM * scale), style).into_text_style(&(1, 1));
    TextStyle { color: rgb(*ink).to_backend_color(), pos: Pos::new(side, VPos::Center), ..font }
}

fn rgb(ink: Ink) -> RGBColor {
    let [r, g, b] = ink.light();
    RGBColor(r, g, b)
}

fn pixel((x, y): Point, scale: f32) -> (i32, i32) {
    ((x * scale).round() as i32, (y * scale).round() as i32)
}

fn whole(length: f32) -> u32 {
    length.round().max(1.0) as u32
}

/// Unwraps a result. Rendering into memory with a registered font cannot fail.
fn never<E: std::fmt::Debug>(result: Result<(), E>) {
    result.expect("memory takes every mark, and the font is registered");
}
