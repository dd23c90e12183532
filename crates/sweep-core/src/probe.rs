//! What a trainer measures of a network in a few seconds, before anything is trained in earnest: the question
//! ([`Probe`]) and the answer ([`Measured`]). What the numbers mean is judged in `check::model`.

use serde::{Deserialize, Serialize};

use crate::recipe::{Layer, Recipe};
use crate::trial::Attempt;

/// Pictures of which the capacity check wants all right: enough that guessing and a linear rule mostly fail, few enough
/// to be learnt by heart in seconds.
pub const CAPACITY_PICTURES: usize = 256;
/// Pictures a step, everywhere but in trials with smaller batches.
pub const BATCH: u32 = 64;
/// Steps with the trial's own settings.
pub const FIRST_STEPS: usize = 40;
/// The learning rates that are tried, as least, most, and how many in even ratios: what any optimizer here may need.
pub const RATES: (f64, f64, usize) = (1e-5, 10.0, 61);
/// Over so many times the first loss, a higher rate needs no look.
pub const EXPLODED: f64 = 20.0;
/// Right so often is learnt: the same picture may be there with two labels.
pub const LEARNT: f64 = 0.98;
/// Passes over the pictures of the capacity check, at most.
pub const CAPACITY_EPOCHS: usize = 150;

/// One trial's settings, to be tried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Whose.
    pub attempt: Attempt,
    /// The sweep's seed.
    pub seed: u64,
    /// What would be trained.
    pub recipe: Recipe,
    /// About so long it may take; what is not done by then is left out.
    pub seconds: f64,
}

/// What came of it. A loss is `None` where it is not finite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Mean cross-entropy before the first step.
    pub first_loss: Option<f64>,
    /// Of each ReLU, in order.
    pub units: Vec<Units>,
    /// Of each layer with weights, in order, before the first step.
    pub gradients: Vec<Gradient>,
    /// The loss of each batch in the first steps with the trial's own settings.
    pub first_steps: Vec<Option<f64>>,
    /// The loss of one batch at each learning rate, while it rises from step to step.
    pub rates: Vec<(f64, Option<f64>)>,
    /// Whether the network can learn a few pictures by heart.
    pub capacity: Capacity,
}

/// The units of a ReLU: channels, or values of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Units {
    /// Its index in the network.
    pub layer: usize,
    /// The share that is 0 for every picture of a batch, everywhere, before the first step.
    pub silent_at_first: f64,
    /// And after [`Measured::first_steps`]; `None` where they led to no finite weights.
    pub silent_later: Option<f64>,
}

/// How much a step would change a layer's weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gradient {
    /// Its index in the network.
    pub layer: usize,
    /// Norm of the gradient over norm of the weights; `None` where it is not finite.
    pub share: Option<f64>,
}

/// Training without any regularisation on a few pictures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// So many.
    pub pictures: u64,
    /// Steps of each pass over them.
    pub steps: u64,
    /// The share that was right, pass by pass.
    pub accuracies: Vec<f64>,
    /// Whether time ran out before the network had learnt them or had its [`CAPACITY_EPOCHS`].
    pub cut_short: bool,
}

/// The layers without what keeps a network from learning by heart: dropout and max-norm. Their places stay, and so do
/// their first weights.
pub fn unregularised(layers: &[Layer]) -> Vec<Layer> {
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
