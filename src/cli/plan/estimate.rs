//! Estimates a trial's memory and a sweep's disk space before anything runs. The values are upper bounds over all
//! trials of what can be counted. Libtorch itself and its workspace are not included.

use serde_json::Value as Json;

use sweep_core::space::Distribution;
use sweep_scheduler::search::Search;
use sweep_spec::{Inspection, Spec, TYPE};

/// Size in bytes of a weight, a gradient, or an activation: all are float32.
const FLOAT: u64 = 4;

/// Sizes in bytes, each the maximum over all trials. [`u64::MAX`] means that the size is too large to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The network's weights, and those of its best epoch.
    pub weights: u64,
    /// The gradients, one per weight.
    pub gradients: u64,
    /// The optimizer's state for the weights.
    pub optimizer: u64,
    /// The activations of a batch that are kept for the backward pass.
    pub activations: u64,
    /// All images, with one byte per value.
    pub data: u64,
    /// The checkpoint of a running trial: weights, those of the best epoch, optimizer state.
    pub checkpoint: u64,
    /// The best weights that the sweep keeps, over all trials that may keep them.
    pub kept: u64,
}

impl Estimate {
    /// Estimates the sizes for an inspected file.
    pub fn new(spec: &Spec, inspection: &Inspection) -> Estimate {
        let weights = inspection.parameters.1.saturating_mul(FLOAT);
        let optimizer = weights.saturating_mul(moments(spec));
        let batch = spec.most("batch_size").unwrap_or(1.0).min(inspection.train.1 as f64) as u64;
        let shape = inspection.data.shape;
        let picture = u64::from(shape.channels) * u64::from(shape.height) * u64::from(shape.width);
        let trials = Search::new(spec.search_terms()).len().unwrap_or(u64::MAX).min(spec.keep_best.into());
        Estimate {
            weights: weights.saturating_mul(2),
            gradients: weights,
            optimizer,
            activations: inspection.activations.saturating_mul(FLOAT).saturating_mul(batch),
            data: picture.saturating_mul(inspection.data.train.saturating_add(inspection.data.test)),
            checkpoint: weights.saturating_mul(2).saturating_add(optimizer),
            kept: weights.saturating_mul(trials),
        }
    }

    /// Total memory of a trial, in bytes.
    pub fn memory(&self) -> u64 {
        [self.weights, self.gradients, self.optimizer, self.activations, self.data]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Maximum number of values per weight in the state of the sweep's optimizers.
fn moments(spec: &Spec) -> u64 {
    let varied = spec.space.parameters.iter().find(|parameter| parameter.name == "optimizer");
    let names = match varied.map(|parameter| &parameter.distribution) {
        Some(Distribution::Categorical(values)) => values.clone(),
        Some(Distribution::Constant(value)) => vec![value.clone()],
        _ => spec.network().and_then(|network| network.fixed.get("optimizer")).cloned().into_iter().collect(),
    };
    let sgd = |value: &Json| value.get(TYPE).unwrap_or(value) == "sgd";
    if names.is_empty() || !names.iter().all(sgd) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use sweep_data::datasets::Info;
    use sweep_data::network::Shape;
    use sweep_spec::Problems;

    #[test]
    fn everything_is_counted_for_the_hungriest_trial() {
        let text = "parameters: {batch_size: {values: [16, 64]}, optimizer: {values: [sgd, adam]}}
data: {set: digits}\nmodel: [flatten, {dense: 10}]\nkeep_best: 3\n";
        let (mut spec, _) = Spec::read(text, "f", Path::new("/")).unwrap();
        let data = Info {
            shape: Shape { channels: 1, height: 8, width: 8 },
            classes: (0..10).map(|class: i32| class.to_string()).collect(),
            train: 1000,
            validation: 0,
            test: 100,
            notes: Vec::new(),
        };
        let inspection = spec.inspect::<Problems>(|_| Ok(data), ("f", text)).unwrap().unwrap();
        let weights = (64 * 10 + 10) * 4;
        let expected = Estimate {
            weights: weights * 2,
            gradients: weights,
            optimizer: weights * 2,
            activations: (64 + 10) * 64 * 4,
            data: 1100 * 64,
            checkpoint: weights * 4,
            kept: weights * 3,
        };
        assert_eq!(Estimate::new(&spec, &inspection), expected);
    }
}
