//! Plots curves in a terminal with Braille characters, and axes with round numbers.

use std::fmt::Write;

use sweep_report::charts::Axis;

/// A curve to plot.
#[derive(Debug)]
pub struct Series<'a> {
    /// The label at the curve's end.
    pub name: &'a str,
    /// The ANSI color, 30 to 37 or 90 to 97.
    pub color: u8,
    /// Pairs of epoch (from 1) and value.
    pub points: Vec<(u32, f64)>,
}

/// Size of the plot area in columns and rows. With numbers and labels it fits in 80 columns.
const COLUMNS: usize = 58;
const ROWS: usize = 14;
/// Number of dots per character, horizontally and vertically.
const DOTS: (usize, usize) = (2, 4);

/// Plots curves over epochs, later ones on top of earlier ones. The result is empty if there is nothing to plot.
pub fn plot(series: &[Series], color: bool) -> String {
    let all = || series.iter().flat_map(|one| one.points.iter().copied());
    if all().next().is_none() {
        return String::new();
    }
    let values = Axis::values(all().map(|(_, value)| value), f64::NEG_INFINITY..=f64::INFINITY);
    let epochs = Axis::epochs(all().map(|(epoch, _)| epoch).max().unwrap_or(1));
    let mut grid = Grid { cells: vec![[(0, 0); COLUMNS]; ROWS] };
    let mut ends: Vec<Option<&Series>> = vec![None; ROWS];
    for one in series {
        grid.curve(one, &epochs, &values);
        if let Some(&(_, value)) = one.points.last() {
            let row = row(&values, value).min(ROWS - 1);
            // If the row already has a label, the nearest free row is used.
            let free = (0..ROWS).filter(|&other| ends[other].is_none()).min_by_key(|other| other.abs_diff(row));
            free.inspect(|&free| ends[free] = Some(one));
        }
    }
    let paint = |text: &str, ink: u8| if color { format!("\x1b[{ink}m{text}\x1b[0m") } else { text.to_owned() };
    let mut drawn = String::new();
    for (number, cells) in grid.cells.iter().enumerate() {
        let tick = values.ticks.iter().find(|&&tick| row(&values, tick) == number);
        let label = tick.map_or(String::new(), |tick| values.label(*tick));
        let _ = write!(drawn, "{label:>9} {}", if tick.is_some() { '┤' } else { '│' });
        for &(bits, ink) in cells {
            let letter = char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ');
            drawn += &if bits == 0 { " ".to_owned() } else { paint(&letter.to_string(), ink) };
        }
        if let Some(end) = ends[number] {
            let _ = write!(drawn, " {}", paint(end.name, end.color));
        }
        drawn.truncate(drawn.trim_end().len());
        drawn.push('\n');
    }
    drawn + &epoch_axis(&epochs)
}

/// The axis line below the plot, and the numbers below it.
fn epoch_axis(epochs: &Axis) -> String {
    let mut line = vec!['─'; COLUMNS];
    let mut numbers = vec![' '; COLUMNS + 8];
    for &tick in &epochs.ticks {
        let column = (epochs.share(tick) * (COLUMNS - 1) as f64).round() as usize;
        line[column] = '┴';
        for (at, digit) in format!("{tick}").chars().enumerate() {
            if let Some(place) = numbers.get_mut(column + at) {
                *place = digit;
            }
        }
    }
    let (line, numbers): (String, String) = (line.into_iter().collect(), numbers.into_iter().collect());
    format!("{:>9} └{line} epoch\n{:>11}{}\n", "", "", numbers.trim_end())
}

/// The row of characters for a value. Values below the axis are past the last row.
fn row(values: &Axis, value: f64) -> usize {
    dot(1.0 - values.share(value), ROWS * DOTS.1) / DOTS.1
}

fn dot(share: f64, dots: usize) -> usize {
    (share.clamp(0.0, 1.0) * (dots - 1) as f64).round() as usize
}

/// The set dots and the color of each character.
struct Grid {
    cells: Vec<[(u8, u8); COLUMNS]>,
}

impl Grid {
    fn curve(&mut self, series: &Series, epochs: &Axis, values: &Axis) {
        let place = |(epoch, value): (u32, f64)| {
            let x = dot(epochs.share(f64::from(epoch)), COLUMNS * DOTS.0);
            (x, dot(1.0 - values.share(value), ROWS * DOTS.1))
        };
        let mut before: Option<(u32, f64)> = None;
        for &point in &series.points {
            let joined = before.filter(|(epoch, _)| epoch + 1 == point.0).unwrap_or(point);
            self.line(place(joined), place(point), series.color);
            before = Some(point);
        }
    }

    fn line(&mut self, from: (usize, usize), to: (usize, usize), ink: u8) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        for step in 0..=steps {
            let between =
                |a: usize, b: usize| (a as f64 + (b as f64 - a as f64) * step as f64 / steps as f64).round() as usize;
            self.set(between(from.0, to.0), between(from.1, to.1), ink);
        }
    }

    fn set(&mut self, x: usize, y: usize, ink: u8) {
        // The order of the dots' bits in Unicode: down the left side, down the right side, then the lowest two.
        const BITS: [[u8; 2]; 4] = [[0, 3], [1, 4], [2, 5], [6, 7]];
        let cell = &mut self.cells[y / DOTS.1][x / DOTS.0];
        *cell = (cell.0 | 1 << BITS[y % DOTS.1][x % DOTS.0], ink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: Vec<(u32, f64)>) -> Series<'static> {
        Series { name: "validation", color: 33, points }
    }

    #[test]
    fn a_falling_curve_falls() {
        let down = series((1..=10).map(|epoch| (epoch, 2.0 - f64::from(epoch) * 0.1)).collect());
        let drawn = plot(&[down], false);
        insta::assert_snapshot!(drawn);
        assert!(!drawn.contains('\x1b') && drawn.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn any_curve_can_be_drawn() {
        for points in [
            vec![],
            vec![(1, 0.0)],
            vec![(1, 2.3), (2, 2.3)],
            vec![(3, 1.0), (7, 2.0)],
            vec![(1, 1e300), (2, -1e300)],
            (1..=1000).map(|epoch| (epoch, f64::from(epoch))).collect(),
        ] {
            let (count, drawn) = (points.len(), plot(&[series(points.clone()), series(points)], true));
            assert_eq!(drawn.is_empty(), count == 0);
            assert!(count == 0 || drawn.contains("\x1b[33m"), "{drawn}");
        }
    }
}
