//! Finds arrays whose images are sorted by class. `sweep` shuffles before it splits, but a program that holds out the
//! last tenth holds out whole classes.

use super::Finding;
use crate::datasets::Dataset;
use sweep_core::describe::thousands;
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
        verdict: "the images are sorted by class".into(),
        evidence: format!(
            "the class changes {} times in {} images, but would change about {} times if they were shuffled",
            thousands(changes as u64),
            thousands(labels.len() as u64),
            thousands(by_chance.round() as u64)
        ),
        remedy:
            "none needed: sweep shuffles before it splits. In other tools, shuffle first: Keras's `validation_split` \
             would hold out entire classes"
                .into(),
    })
}
