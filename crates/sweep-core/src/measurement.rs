//! Short measurements of a network, which the trainer makes before real training: the request ([`MeasureRequest`]) and
//! the answer ([`Measured`]). They take a few seconds. `check::model` interprets the numbers.

use serde::{Deserialize, Serialize};

use crate::recipe::{Layer, Recipe};
use crate::trial::Attempt;

/// Number of images in the capacity check. It is large enough that guessing and a linear rule mostly fail, and small
/// enough for a network to memorize the images in seconds.
pub const CAPACITY_IMAGES: usize = 256;
/// Images per step, unless the trial's own batches are smaller.
pub const BATCH: u32 = 64;
/// Number of steps with the trial's own hyperparameters.
pub const FIRST_STEPS: usize = 40;
/// Learning rates in the range test: minimum, maximum, and number of rates, spaced evenly on a log scale. The range
/// covers what any supported optimizer may need.
pub const RATES: (f64, f64, usize) = (1e-5, 10.0, 61);
/// The range test stops once the loss exceeds the first loss by this factor.
pub const EXPLODED: f64 = 20.0;
/// Accuracy at which the capacity check counts the images as memorized. It is below 1, since an image can occur with
/// two labels.
pub const LEARNT: f64 = 0.98;
/// Maximum number of passes over the images of the capacity check.
pub const CAPACITY_EPOCHS: usize = 150;

/// Request to measure the network of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureRequest {
    /// The attempt that the measurement belongs to.
    pub attempt: Attempt,
    /// Seed of the sweep.
    pub seed: u64,
    /// What would be trained.
    pub recipe: Recipe,
    /// Approximate time limit, in seconds. Measurements not done by then are left out.
    pub seconds: f64,
}

/// Results of the measurement. A loss is `None` if it is not finite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Mean cross-entropy before the first step.
    pub first_loss: Option<f64>,
    /// Measurements of each ReLU, in order.
    pub units: Vec<Units>,
    /// Measurements of each layer with weights, in order, before the first step.
    pub gradients: Vec<Gradient>,
    /// Loss of each batch during the first steps with the trial's own hyperparameters.
    pub first_steps: Vec<Option<f64>>,
    /// Loss of one batch at each learning rate, while the rate rises from step to step.
    pub rates: Vec<(f64, Option<f64>)>,
    /// Result of the capacity check: whether the network can memorize a few images.
    pub capacity: Capacity,
}

/// Measurements of the units of a ReLU. A unit is a channel, or one value of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Units {
    /// Index of the layer in the network.
    pub layer: usize,
    /// Share of the units that are 0 at every position and for every image of a batch, before the first step.
    pub silent_at_first: f64,
    /// The same share after [`Measured::first_steps`]. `None` if those steps did not lead to finite weights.
    pub silent_later: Option<f64>,
}

/// How much a step would change a layer's weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gradient {
    /// Index of the layer in the network.
    pub layer: usize,
    /// Norm of the gradient divided by the norm of the weights. `None` if it is not finite.
    pub share: Option<f64>,
}

/// Training on a few images without any regularization.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Number of images.
    pub images: u64,
    /// Steps per pass over the images.
    pub steps: u64,
    /// Accuracy of each pass, 0 to 1.
    pub accuracies: Vec<f64>,
    /// Whether time ran out before the network memorized the images or completed [`CAPACITY_EPOCHS`] passes.
    pub cut_short: bool,
}

/// Returns the layers without dropout and max-norm, which keep a network from memorizing. The layers keep their
/// positions and their initial weights.
pub fn unregularized(layers: &[Layer]) -> Vec<Layer> {
    let free = |layer: &Layer| match *layer {
        Layer::Dropout { .. } => Layer::Dropout { rate: 0.0 },
        Layer::Conv { filters, kernel, stride, padding, bias, .. } => {
            Layer::Conv { filters, kernel, stride, padding, bias, max_norm: None }
        }
        Layer::Dense { units, bias, .. } => Layer::Dense { units, bias, max_norm: None },
        other => other,
    };
    layers.iter().map(free).collect()
}
