//! Two parameters together: the result at each combination of their levels, and the combinations without a trial.

use super::Factor;

/// The combinations of two parameters' levels.
#[derive(Debug)]
pub struct Pair {
    /// The indices of the two factors.
    pub factors: (usize, usize),
    /// Share of the variance that the two explain together beyond their separate shares.
    pub share: f64,
    /// The mean and the number of trials, by level of the first factor and then of the second. An entry is `None` if
    /// there are no trials.
    pub cells: Vec<Vec<Option<(f64, usize)>>>,
}

impl Pair {
    /// Computes the means over observations. `values` has the value of each observation, and `trials` its number of
    /// trials.
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

    /// Combinations without a trial, as pairs of level indices.
    pub fn untried(&self) -> impl Iterator<Item = (usize, usize)> {
        let row = |(i, row): (usize, &Vec<Option<_>>)| {
            let missing = row.iter().enumerate().filter(|(_, cell)| cell.is_none()).map(move |(j, _)| (i, j));
            missing.collect::<Vec<_>>()
        };
        self.cells.iter().enumerate().flat_map(row)
    }
}
