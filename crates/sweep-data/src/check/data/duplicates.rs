//! Finds images that are in both the training set and the validation set, where validation measures memorization.

use std::collections::HashMap;

use super::{Finding, Sides};
use sweep_core::describe::thousands;

/// Maximum fraction of duplicated validation images. Above it, the validation metrics are worthless.
const SERIOUS: f64 = 0.01;

pub(super) fn check(sides: &Sides<'_>) -> Option<Finding> {
    let trained: HashMap<&[u8], (usize, u8)> =
        sides.train.iter().enumerate().map(|(at, (pixels, label))| (*pixels, (at, *label))).collect();
    let mut twice = sides
        .validation
        .iter()
        .enumerate()
        .filter_map(|(at, (pixels, label))| trained.get(pixels).map(|(train, other)| (at, *label, *train, *other)));
    let (at, label, train, other) = twice.next()?;
    let count = 1 + twice.count();
    let share = count as f64 / sides.validation.len() as f64;
    let class = |label: u8| &sides.classes[usize::from(label)];
    Some(Finding {
        name: "duplicates",
        serious: share > SERIOUS,
        verdict: "validation images are also in the training set".into(),
        evidence: format!(
            "{} of {} validation images ({:.2}%) equal a training image, byte for byte; the first is validation image \
             {at} (`{}`) and training image {train} (`{}`), counted from 0 in each set",
            thousands(count as u64),
            thousands(sides.validation.len() as u64),
            100.0 * share,
            class(label),
            class(other)
        ),
        remedy: "remove duplicate images before splitting the data".into(),
    })
}
