//! Finds units that no image activates. Their weights get no gradient and never change ("dying ReLU", Lu et al. 2019,
//! arXiv 1903.06733).

use super::{Finding, Network};

/// Maximum fraction of a layer's units that may be silent on a batch. Above it the finding is serious, because almost
/// nothing passes through the layer.
const MOST: f64 = 0.9;

pub(super) fn check(network: &Network<'_>) -> Option<Finding> {
    let worst = |of: fn(&sweep_core::measurement::Units) -> Option<f64>| {
        let layers = network.measured.units.iter().filter_map(|units| Some((units.layer, of(units)?)));
        layers.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, share)| *share >= MOST)
    };
    let shown = |(layer, share): (usize, f64), when: &str| {
        format!("{:.0}% of the units of {} are 0 for every image of a batch{when}", 100.0 * share, network.layer(layer))
    };
    let (verdict, evidence, remedy) =
        match (worst(|units| Some(units.silent_at_first)), worst(|units| units.silent_later)) {
            (Some(at), _) => (
                "units are dead before the first step",
                shown(at, ""),
                "add batch_norm before that relu, so that about half of its inputs are above zero",
            ),
            (None, Some(at)) => (
                "units die in the first steps",
                shown(at, &format!(", after {} steps", network.measured.first_steps.len())),
                "divide the learning rate by 10, or use warmup",
            ),
            (None, None) => return None,
        };
    Some(Finding { name: "dead_units", serious: true, verdict: verdict.into(), evidence, remedy: remedy.into() })
}
