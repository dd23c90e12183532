//! Finds a validation set from another distribution than the training set: other brightness, contrast, sharpness or
//! class frequencies.

use super::{Finding, Row, Sides, sample};
use crate::network::Shape;

/// Number of images to examine on each side.
const SAMPLE: usize = 2_000;
/// Minimum number of images on each side for a conclusion.
const FEWEST: usize = 50;
/// Threshold of the Kolmogorov-Smirnov statistic, which chance exceeds once in 100,000 (Smirnov 1948).
const SIGNIFICANT: f64 = 2.47;
/// Threshold of the Kolmogorov-Smirnov distance itself: the largest difference between the two cumulative
/// distributions.
const LARGE: f64 = 0.15;
/// Fraction of the images that would have to change class for both sides to have the same class frequencies.
const CLASSES: f64 = 0.15;

type Feature = fn(&[u8], Shape) -> f64;

/// The features to compare, as functions of an image's bytes.
const FEATURES: [(&str, Feature); 3] =
    [("brightness", |row, _| mean(row)), ("contrast", |row, _| deviation(row)), ("sharpness", sharpness)];

pub(super) fn check(sides: &Sides<'_>) -> Vec<Finding> {
    if sides.train.len() < FEWEST || sides.validation.len() < FEWEST {
        return Vec::new();
    }
    appearance(sides).into_iter().chain(classes(sides)).collect()
}

/// Checks the feature that differs most.
fn appearance(sides: &Sides<'_>) -> Option<Finding> {
    let feature = |rows: &[Row<'_>], of: Feature| -> Vec<f64> {
        let mut values: Vec<f64> = sample(rows, SAMPLE).map(|(row, _)| of(row, sides.shape)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let compared = FEATURES.map(|(name, of)| {
        let (train, validation) = (feature(&sides.train, of), feature(&sides.validation, of));
        (distance(&train, &validation), name, train, validation)
    });
    let (distance, name, train, validation) = compared.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (n, m) = (train.len() as f64, validation.len() as f64);
    let middle = |values: &[f64]| values[values.len() / 2] / f64::from(sides.white);
    (distance > LARGE && distance > SIGNIFICANT * ((n + m) / (n * m)).sqrt()).then(|| Finding {
        name: "validation_differs",
        serious: true,
        verdict: format!("the {name} of validation and training images differs"),
        evidence: format!(
            "the median is {:.3} of white in validation and {:.3} in training; the distributions differ by \
             {distance:.2} (Kolmogorov-Smirnov), but by chance by at most {:.2}",
            middle(&validation),
            middle(&train),
            (SIGNIFICANT * ((n + m) / (n * m)).sqrt()).max(LARGE)
        ),
        remedy: "prepare both sets with the same code, and split them from the same images".into(),
    })
}

/// Checks the class frequencies.
fn classes(sides: &Sides<'_>) -> Option<Finding> {
    let share = |rows: &[Row<'_>]| {
        let mut shares = vec![0.0; sides.classes.len()];
        rows.iter().for_each(|(_, label)| shares[usize::from(*label)] += 1.0 / rows.len() as f64);
        shares
    };
    let (train, validation) = (share(&sides.train), share(&sides.validation));
    let apart = train.iter().zip(&validation).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0;
    // Half the sum of the differences that chance causes, over all classes.
    let (n, m) = (sides.train.len() as f64, sides.validation.len() as f64);
    let chance = 0.5 * (sides.classes.len() as f64 * (1.0 / n + 1.0 / m)).sqrt();
    let most = (0..train.len())
        .max_by(|a, b| (train[*a] - validation[*a]).abs().total_cmp(&(train[*b] - validation[*b]).abs()))?;
    (apart > CLASSES + 2.0 * chance).then(|| Finding {
        name: "validation_differs",
        serious: true,
        verdict: "the class distributions of validation and training differ".into(),
        evidence: format!(
            "`{}` is {:.1}% of validation and {:.1}% of training; {:.0}% of the images would have to change class",
            sides.classes[most],
            100.0 * validation[most],
            100.0 * train[most],
            100.0 * apart
        ),
        remedy: "shuffle before splitting, or hold out a fraction with `validation: 0.1`, which is stratified by class"
            .into(),
    })
}

/// Returns the largest distance between two cumulative distributions, given by ascending values.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let below =
        |values: &[f64], limit: f64| values.partition_point(|value| *value <= limit) as f64 / values.len() as f64;
    a.iter().chain(b).map(|limit| (below(a, *limit) - below(b, *limit)).abs()).fold(0.0, f64::max)
}

fn mean(row: &[u8]) -> f64 {
    row.iter().map(|pixel| f64::from(*pixel)).sum::<f64>() / row.len() as f64
}

fn deviation(row: &[u8]) -> f64 {
    let mean = mean(row);
    (row.iter().map(|pixel| (f64::from(*pixel) - mean).powi(2)).sum::<f64>() / row.len() as f64).sqrt()
}

/// Returns the mean difference between horizontal neighbors.
fn sharpness(row: &[u8], shape: Shape) -> f64 {
    let width = (shape.width as usize).max(2);
    let steps =
        row.chunks_exact(width).flat_map(|line| line.windows(2)).map(|pair| f64::from(pair[0].abs_diff(pair[1])));
    steps.sum::<f64>() / row.len() as f64
}
