//! The median stopping rule (Golovin et al. 2017, Google Vizier, section 3.2.2).

use super::Standings;

/// When trials are compared with the median of the trials that completed.
#[derive(Debug, Clone, PartialEq)]
pub struct Median {
    /// Number of values that every trial may measure before it can be stopped.
    min_iter: u32,
    /// Number of trials that must have completed with the same number of values before any trial is stopped.
    min_trials: u32,
}

impl Median {
    /// Creates the rule. Both arguments are at least 1.
    pub fn new(min_iter: u32, min_trials: u32) -> Median {
        Median { min_iter, min_trials }
    }

    /// Returns the number of values that every trial may measure before it can be stopped.
    pub fn min_iter(&self) -> u32 {
        self.min_iter
    }

    /// Returns whether a trial stops. After n values, its best value is compared with a median over the completed
    /// trials with at least n values. The median is that of the means of their first n values. The trial stops if its
    /// best value is worse.
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
        // Means of the first two values: 3, 5, 4, 8; the median is 4.5.
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
