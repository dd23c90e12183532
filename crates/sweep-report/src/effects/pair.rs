//! Two parameters together: the result at each combination of their levels, and the combinations without a trial.

use super::Factor;

/// The combinations of two parameters' levels.
#[derive(Debug)]
pub struct Pair {
    /// The indices of the two factors.
    pub factors: (usize, usize),
    /// Share of the variance that the two explain together beyond their separate shares.
    pub share: f64,
    /// The results by level of the first factor and then of the second. An entry is `None` if there are no trials.
    pub cells: Vec<Vec<Option<Cell>>>,
}

/// The results of one combination.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub mean: f64,
    /// Number of trials.
    pub trials: usize,
    /// Whether the mean contains capped values, so that it is only a bound.
    pub capped: bool,
}

impl Pair {
    /// Computes the means over observations. `observed` has the value of each, its number of trials, and whether the value
    /// is capped.
    pub fn new(
        factors: &[Factor],
        (a, b): (usize, usize),
        share: f64,
        (values, trials, capped): (&[f64], &[usize], &[bool]),
    ) -> Pair {
        let (first, second) = (&factors[a], &factors[b]);
        let mut sums = vec![vec![(0.0, 0, false); second.levels.len()]; first.levels.len()];
        for (at, value) in values.iter().enumerate() {
            let (sum, count, bound) = &mut sums[first.of[at]][second.of[at]];
            *sum += value * trials[at] as f64;
            *count += trials[at];
            *bound |= capped.get(at).is_some_and(|capped| *capped);
        }
        let cell = |(sum, trials, capped): (f64, usize, bool)| {
            (trials > 0).then(|| Cell { mean: sum / trials as f64, trials, capped })
        };
        let cells = sums.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
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
