//! The median stopping rule (Golovin et al. 2017, Google Vizier, section 3.2.2).

use super::Standings;

/// When trials are compared with the median of those that came to their end.
#[derive(Debug, Clone, PartialEq)]
pub struct Median {
    /// Values that every trial may measure first.
    min_iter: u32,
    /// Trials that must have come so far, to their end, before any is stopped.
    min_trials: u32,
}

impl Median {
    /// Both are at least 1.
    pub fn new(min_iter: u32, min_trials: u32) -> Median {
        Median { min_iter, min_trials }
    }

    /// Values that every trial may measure first.
    pub fn min_iter(&self) -> u32 {
        self.min_iter
    }

    /// Whether a trial stops: after n values its best is worse than the median, over the trials that came to their end
    /// and measured as many, of the mean of their first n.
    pub fn stops(&self, at: usize, standings: &Standings) -> bool {
        let own = standings.values(at);
        let n = own.len();
        if n < (self.min_iter as usize).max(1) {
            return false;
        }
        let Some(median) = standings.median_of_others(n, at, self.min_trials as usize) else { return false };
        own.iter().copied().fold(f64::INFINITY, f64::min) > median
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;

    #[test]
    fn the_best_so_far_is_compared_with_the_median_of_means() {
        // Means of the first two: 3, 5, 4, 8; the median is 4.5.
        let others: [&[f64]; 4] = [&[4.0, 2.0, 1.0], &[6.0, 4.0, 1.0], &[4.0, 4.0, 1.0], &[9.0, 7.0, 1.0]];
        let stops = |own: &[f64]| {
            let rule = Median::new(2, 4);
            let table: Vec<&[f64]> = others.into_iter().chain([own]).collect();
            rule.stops(4, &Standings::of(Rule::Median(rule.clone()), &table))
        };
        assert!(stops(&[9.0, 4.6]));
        assert!(!stops(&[9.0, 4.5]));
        assert!(!stops(&[4.0, 9.0]), "its best counts");
        assert!(!stops(&[9.0]), "min_iter");
    }

    #[test]
    fn too_few_or_unfinished_trials_stop_nobody() {
        let mut table = Standings::of(Rule::Median(Median::new(1, 2)), &[&[1.0, 1.0], &[1.0, 1.0], &[9.0, 9.0]]);
        assert!(Median::new(1, 2).stops(2, &table));
        assert!(!Median::new(1, 3).stops(2, &table));
        table.interrupt(0);
        assert!(!Median::new(1, 2).stops(2, &table));
    }
}
