//! The median stopping rule (Golovin et al. 2017, Google Vizier, section 3.2.2).

use super::Course;

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
    pub fn stops(&self, at: usize, courses: &[Course]) -> bool {
        let own = &courses[at].values;
        let n = own.len();
        if n < (self.min_iter as usize).max(1) {
            return false;
        }
        let others = courses.iter().enumerate().filter(|(other, course)| *other != at && course.completed);
        let means = others.filter_map(|(_, course)| Some(course.values.get(..n)?.iter().sum::<f64>() / n as f64));
        let mut means: Vec<f64> = means.collect();
        if means.len() < (self.min_trials as usize).max(1) {
            return false;
        }
        means.sort_by(f64::total_cmp);
        let median = (means[(means.len() - 1) / 2] + means[means.len() / 2]) / 2.0;
        own.iter().copied().fold(f64::INFINITY, f64::min) > median
    }
}

#[cfg(test)]
mod tests {
    use super::super::courses;
    use super::*;

    #[test]
    fn the_best_so_far_is_compared_with_the_median_of_means() {
        // Means of the first two: 3, 5, 4, 8; the median is 4.5.
        let others: [&[f64]; 4] = [&[4.0, 2.0, 1.0], &[6.0, 4.0, 1.0], &[4.0, 4.0, 1.0], &[9.0, 7.0, 1.0]];
        let stops = |own: &[f64]| {
            let mut table = courses(&others);
            table.extend(courses(&[own]));
            Median::new(2, 4).stops(4, &table)
        };
        assert!(stops(&[9.0, 4.6]));
        assert!(!stops(&[9.0, 4.5]));
        assert!(!stops(&[4.0, 9.0]), "its best counts");
        assert!(!stops(&[9.0]), "min_iter");
    }

    #[test]
    fn too_few_or_unfinished_trials_stop_nobody() {
        let mut table = courses(&[&[1.0, 1.0], &[1.0, 1.0], &[9.0, 9.0]]);
        assert!(Median::new(1, 2).stops(2, &table));
        assert!(!Median::new(1, 3).stops(2, &table));
        table[0].completed = false;
        assert!(!Median::new(1, 2).stops(2, &table));
    }
}
