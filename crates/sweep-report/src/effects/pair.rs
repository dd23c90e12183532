//! Two settings together: what was reached at each combination of their levels, and which were never tried.

use super::Factor;

/// Combinations of two settings' levels.
#[derive(Debug)]
pub struct Pair {
    /// The factors, by their numbers.
    pub factors: (usize, usize),
    /// Share of the differences that the two explain together beyond each alone.
    pub share: f64,
    /// By level of the first, then of the second: the mean, and of how many trials; `None` where there are none.
    pub cells: Vec<Vec<Option<(f64, usize)>>>,
}

impl Pair {
    /// Means over observations with these values, each of so many trials.
    pub fn new(factors: &[Factor], (a, b): (usize, usize), share: f64, values: &[f64], trials: &[usize]) -> Pair {
        let (first, second) = (&factors[a], &factors[b]);
        let mut sums = vec![vec![(0.0, 0); second.levels.len()]; first.levels.len()];
        for (at, value) in values.iter().enumerate() {
            let (sum, count) = &mut sums[first.of[at]][second.of[at]];
            *sum += value * trials[at] as f64;
            *count += trials[at];
        }
        let mean = |(sum, count): (f64, usize)| (count > 0).then(|| (sum / count as f64, count));
        let cells = sums.into_iter().map(|row| row.into_iter().map(mean).collect()).collect();
        Pair { factors: (a, b), share, cells }
    }

    /// Combinations that no trial has.
    pub fn untried(&self) -> impl Iterator<Item = (usize, usize)> {
        let row = |(i, row): (usize, &Vec<Option<_>>)| {
            let missing = row.iter().enumerate().filter(|(_, cell)| cell.is_none()).map(move |(j, _)| (i, j));
            missing.collect::<Vec<_>>()
        };
        self.cells.iter().enumerate().flat_map(row)
    }
}
