//! Finds labels that are missing, imbalanced, or unrelated to their images.

use super::{Finding, Row, Sides, pixels, sample};
use sweep_core::describe::thousands;

/// Maximum ratio between the sizes of the largest and the smallest class.
const UNEVEN: usize = 10;
/// Number of training and of validation images for the nearest-mean classifier.
const SAMPLE: (usize, usize) = (10_000, 2_000);
/// Minimum number of images on each side for a conclusion.
const FEWEST: usize = 100;
/// Number of standard deviations above chance that the classifier must reach.
const DEVIATIONS: f64 = 3.0;

pub(super) fn check(sides: &Sides<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (part, rows) in [("training", &sides.train), ("validation", &sides.validation)] {
        findings.extend(missing(part, &counts(rows, sides.classes.len()), sides.classes));
    }
    findings.extend(uneven(&counts(&sides.train, sides.classes.len()), sides.classes));
    findings.extend(unrelated(sides));
    findings
}

fn counts(rows: &[Row<'_>], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    rows.iter().for_each(|(_, label)| counts[usize::from(*label)] += 1);
    counts
}

fn missing(part: &str, counts: &[usize], classes: &[String]) -> Option<Finding> {
    let absent: Vec<&str> =
        counts.iter().zip(classes).filter(|(count, _)| **count == 0).map(|(_, name)| name.as_str()).collect();
    let first = absent.first()?;
    Some(Finding {
        name: "missing_class",
        serious: true,
        verdict: format!("classes are missing from {part}"),
        evidence: format!("{} of {} classes have no image there; the first is `{first}`", absent.len(), classes.len()),
        remedy: format!("add images of `{first}` to {part}, or remove the class from the data"),
    })
}

fn uneven(counts: &[usize], classes: &[String]) -> Option<Finding> {
    let there = || counts.iter().zip(classes).filter(|(count, _)| **count > 0);
    let ((most, large), (least, small)) = (there().max()?, there().min()?);
    (*most > UNEVEN * least).then(|| Finding {
        name: "imbalance",
        serious: false,
        verdict: "the classes are imbalanced".into(),
        evidence: format!(
            "`{large}` has {} training images, but `{small}` has {}",
            thousands(*most as u64),
            thousands(*least as u64)
        ),
        remedy: format!(
            "add images of `{small}`, and do not rely on accuracy alone: always predicting `{large}` is often correct"
        ),
    })
}

/// Reports labels if a nearest-class-mean classifier is no better on validation images than with unrelated labels.
fn unrelated(sides: &Sides<'_>) -> Option<Finding> {
    let means = means(sides);
    let guesses: Vec<(usize, usize)> =
        sample(&sides.validation, SAMPLE.1).map(|(row, label)| (nearest(&means, row), usize::from(*label))).collect();
    if guesses.len() < FEWEST || sides.train.len() < FEWEST || sides.classes.len() < 2 {
        return None;
    }
    let count = guesses.len() as f64;
    let share = |class, side: fn(&(usize, usize)) -> usize| {
        guesses.iter().filter(|guess| side(guess) == class).count() as f64 / count
    };
    // The accuracy that the same predictions would have with the labels in random order.
    let chance: f64 =
        (0..sides.classes.len()).map(|class| share(class, |guess| guess.0) * share(class, |guess| guess.1)).sum();
    let right = guesses.iter().filter(|(guess, label)| guess == label).count() as f64 / count;
    let bar = chance + DEVIATIONS * (chance * (1.0 - chance) / count).sqrt();
    (chance < 0.9 && right < bar).then(|| Finding {
        name: "labels_unrelated",
        serious: true,
        verdict: "the labels seem unrelated to the images".into(),
        evidence: format!(
            "nearest-class-mean classification is correct for {:.1}% of {} validation images; guessing gives {:.1}%, \
             and more than {:.1}% would prove a relation",
            100.0 * right,
            thousands(count as u64),
            100.0 * chance,
            100.0 * bar
        ),
        remedy: "inspect ten images with their labels; shuffle images and labels with the same permutation".into(),
    })
}

/// Returns the mean image of every class that has images.
fn means(sides: &Sides<'_>) -> Vec<(usize, Vec<f32>)> {
    let mut sums = vec![(0_u32, vec![0.0_f32; pixels(sides.shape)]); sides.classes.len()];
    for (row, label) in sample(&sides.train, SAMPLE.0) {
        let (count, sum) = &mut sums[usize::from(*label)];
        *count += 1;
        sum.iter_mut().zip(*row).for_each(|(sum, pixel)| *sum += f32::from(*pixel));
    }
    let there = sums.into_iter().enumerate().filter(|(_, (count, _))| *count > 0);
    there.map(|(class, (count, sum))| (class, sum.iter().map(|sum| sum / count as f32).collect())).collect()
}

fn nearest(means: &[(usize, Vec<f32>)], row: &[u8]) -> usize {
    let distance =
        |mean: &[f32]| -> f32 { mean.iter().zip(row).map(|(mean, pixel)| (mean - f32::from(*pixel)).powi(2)).sum() };
    let distances = means.iter().map(|(class, mean)| (distance(mean), *class));
    distances.min_by(|(a, _), (b, _)| a.total_cmp(b)).map_or(0, |(_, class)| class)
}
