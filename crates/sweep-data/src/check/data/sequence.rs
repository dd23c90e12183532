//! Finds arrays whose images are sorted by class. `sweep` shuffles before it splits, but a program that holds out the
//! last tenth holds out whole classes.

use super::Finding;
use crate::datasets::Dataset;
use sweep_core::recipe::Source;

/// Minimum number of neighbors with different classes, as a fraction of the number expected by chance.
const CHANGES: f64 = 0.1;
/// Minimum number of images for a conclusion.
const FEWEST: usize = 50;

pub(super) fn check(dataset: &Dataset, source: &Source) -> Option<Finding> {
    let labels = &dataset.train.labels;
    // Image folders are always read class by class.
    if !matches!(source, Source::Arrays { .. }) || labels.len() < FEWEST {
        return None;
    }
    let mut counts = [0_u64; 256];
    labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
    let all = labels.len() as f64;
    let by_chance = (all - 1.0) * (1.0 - counts.iter().map(|count| (*count as f64 / all).powi(2)).sum::<f64>());
    let changes = labels.windows(2).filter(|pair| pair[0] != pair[1]).count();
    ((changes as f64) < CHANGES * by_chance).then(|| Finding {
        name: "class_order",
        serious: false,
        verdict: "the pictures lie class after class".into(),
        evidence: format!(
            "the class changes {changes} times in {} pictures, and would {by_chance:.0} times if they were shuffled",
            labels.len()
        ),
        remedy:
            "nothing here: sweep shuffles before it divides. Elsewhere shuffle first: Keras' `validation_split` would \
                 hold out whole classes"
                .into(),
    })
}
