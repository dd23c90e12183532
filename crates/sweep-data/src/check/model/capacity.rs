//! Checks whether the network can memorize a few images without any regularization. Ordinary networks memorize even
//! random labels (Zhang et al. 2017, arXiv 1611.03530). A network that cannot is too small, or has a defect.

use super::{Finding, Network};
use sweep_core::measurement::{Capacity, LEARNT};

/// Accuracy below which the network is far from memorizing the images.
const POOR: f64 = 0.9;

/// Returns the number of steps after which the images were memorized.
pub fn learnt(capacity: &Capacity) -> Option<u64> {
    let pass = capacity.accuracies.iter().position(|accuracy| *accuracy >= LEARNT)? as u64 + 1;
    Some(pass * capacity.steps)
}

pub(super) fn check(network: &Network<'_>) -> Option<Finding> {
    let capacity = &network.measured.capacity;
    let best = capacity.accuracies.iter().copied().reduce(f64::max)?;
    // If time ran out, the result is unknown.
    if learnt(capacity).is_some() || capacity.cut_short {
        return None;
    }
    Some(Finding {
        name: "capacity",
        serious: best < POOR,
        verdict: "the network cannot memorize a few images".into(),
        evidence: format!(
            "without regularization, it classifies {:.1}% of {} training images correctly after {} steps of Adam with \
             learning rate 0.001",
            best * 100.0,
            capacity.images,
            capacity.accuracies.len() as u64 * capacity.steps
        ),
        remedy: "add filters, units, or layers, replace sigmoid with relu, and inspect the images and labels; until \
                 the network can memorize, no other change helps"
            .into(),
    })
}
