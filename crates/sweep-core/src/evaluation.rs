//! The predictions of the best configuration on validation and test images, measured once after the sweep.

use serde::{Deserialize, Serialize};

use crate::trial::TrialId;

/// The standard normal quantile of a 95% interval.
const Z: f64 = 1.959_963_985;

/// The measurements of one sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The best trial, whose validation images were looked at.
    pub trial: TrialId,
    /// Its validation images.
    pub validation: Confusion,
    /// The validation images with the worst predictions, worst first.
    pub worst: Vec<Worst>,
    /// The trials of the best configuration that kept their weights, on the test images. Empty if there are none.
    pub tests: Vec<(TrialId, Confusion)>,
    /// The same with the mean of each image's and its mirror image's probabilities, where training mirrored images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrored: Vec<(TrialId, Confusion)>,
    /// How many configurations were tested on the same images before this one.
    pub tested_before: u32,
}

/// A wrongly classified image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Index of its own class.
    pub label: usize,
    /// Index of the predicted class.
    pub predicted: usize,
    /// Predicted probability of that class.
    pub probability: f64,
}

/// Numbers of images by true class (rows) and predicted class (columns).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion(pub Vec<Vec<u64>>);

impl Confusion {
    /// Counts pairs of true class and predicted class.
    pub fn of(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Confusion {
        let mut counts = vec![vec![0; classes]; classes];
        for (label, predicted) in pairs {
            counts[label][predicted] += 1;
        }
        Confusion(counts)
    }

    /// Returns the number of images.
    pub fn images(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    /// Returns the share of images that were classified correctly, or `None` without images.
    pub fn accuracy(&self) -> Option<f64> {
        let right: u64 = self.0.iter().enumerate().map(|(class, row)| row[class]).sum();
        (self.images() > 0).then(|| right as f64 / self.images() as f64)
    }

    /// Returns the 95% interval of the accuracy by Wilson's formula, which is also valid near 0 and 1.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (p, n) = (self.accuracy()?, self.images() as f64);
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some((middle - half, middle + half))
    }

    /// Returns the accuracy of each class that has images, with the class's index.
    pub fn each(&self) -> Vec<(usize, f64)> {
        let share = |(class, row): (usize, &Vec<u64>)| {
            let all: u64 = row.iter().sum();
            (all > 0).then(|| (class, row[class] as f64 / all as f64))
        };
        self.0.iter().enumerate().filter_map(share).collect()
    }

    /// Returns the mean of the accuracies of all classes, or `None` without images.
    pub fn balanced(&self) -> Option<f64> {
        let each = self.each();
        (!each.is_empty()).then(|| each.iter().map(|(_, accuracy)| accuracy).sum::<f64>() / each.len() as f64)
    }

    /// Returns the pairs of different classes that were confused, most often first: own class, other class, images.
    pub fn confused(&self) -> Vec<(usize, usize, u64)> {
        let row = |(label, row): (usize, &Vec<u64>)| {
            let pair = move |(predicted, count): (usize, &u64)| (label, predicted, *count);
            row.iter().enumerate().map(pair).collect::<Vec<_>>()
        };
        let mut pairs: Vec<_> = self.0.iter().enumerate().flat_map(row).collect();
        pairs.retain(|(label, predicted, count)| label != predicted && *count > 0);
        pairs.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_gives_every_accuracy_and_the_most_confused_pairs() {
        let pairs = [(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (2, 1)];
        let confusion = Confusion::of(4, pairs);
        assert_eq!((confusion.images(), confusion.accuracy()), (7, Some(4.0 / 7.0)));
        assert_eq!(confusion.each(), [(0, 0.75), (1, 0.5), (2, 0.0)]);
        assert_eq!(confusion.balanced(), Some(1.25 / 3.0));
        assert_eq!(confusion.confused(), [(0, 1, 1), (1, 0, 1), (2, 1, 1)]);
        let none = Confusion::of(2, []);
        assert_eq!((none.accuracy(), none.balanced(), none.interval()), (None, None, None));
    }

    /// The values of R's `binom.confint(x, n, methods = "wilson")`.
    #[test]
    fn the_interval_is_wilsons() {
        let near = |right, wrong, low: f64, high: f64| {
            let pairs = (0..right).map(|_| (0, 0)).chain((0..wrong).map(|_| (0, 1)));
            let (found_low, found_high) = Confusion::of(2, pairs).interval().unwrap();
            assert!((found_low - low).abs() < 1e-6 && (found_high - high).abs() < 1e-6, "{found_low} {found_high}");
        };
        near(8, 2, 0.490_162_5, 0.943_317_8);
        near(10, 0, 0.722_467_2, 1.0);
    }
}
