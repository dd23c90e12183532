//! How a network is trained.

use serde::{Deserialize, Serialize};

/// Training procedure of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Number of passes over the training images.
    pub epochs: u32,
    /// Images per step. The last batch of an epoch may be smaller.
    pub batch_size: u32,
    /// Learning rate of the optimizer: the largest value that its schedule reaches.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Update rule of the optimizer.
    pub optimizer: Optimizer,
    /// Coefficient of the L2 penalty: this value times the weight is added to the weight's gradient. Biases and batch
    /// norm are excluded. AdamW instead subtracts this value times the learning rate times the weight from the weight.
    pub weight_decay: f64,
    /// Share of the label's probability that is spread over all classes, during training only (arXiv 1512.00567).
    pub label_smoothing: f64,
    /// What is done about classes with few images.
    #[serde(default, skip_serializing_if = "Balance::is_none")]
    pub balance: Balance,
    /// Maximum norm of the gradient of all weights together. A longer gradient is scaled down.
    pub clip_norm: Option<f64>,
    /// Initialization of the weights.
    pub init: Init,
    /// Numeric precision of the computation.
    pub precision: Precision,
    /// Whether a GPU uses only operations that reproduce the same numbers. A CPU always does.
    #[serde(default)]
    pub deterministic: bool,
    /// Whether a GPU may receive a whole step at once, as a recorded CUDA graph.
    #[serde(default)]
    pub cuda_graph: bool,
    /// Whether a GPU uses the project's own kernels where libtorch takes several passes.
    #[serde(default)]
    pub gpu_kernels: bool,
    /// Ends the trial when the sweep's metric stops improving.
    pub early_stopping: Option<EarlyStopping>,
    /// Metric that `early_stopping` monitors and that determines the best epoch.
    pub metric: crate::trial::Metric,
}

/// What is done about classes with few images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Nothing.
    #[default]
    None,
    /// Each image's loss is multiplied by the mean number of images per class over the number in its own class.
    Loss,
    /// An epoch has as many images as before, but the same number of each class. Those of small classes are repeated.
    Sampling,
}

impl Balance {
    /// Returns whether nothing is done.
    pub fn is_none(&self) -> bool {
        *self == Balance::None
    }
}

/// Update rule and its constants. Each rule follows Keras, whose constants are the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam (arXiv 1412.6980).
    Adam(Moments),
    /// Adam with weight decay decoupled from the gradient (arXiv 1711.05101).
    Adamw(Moments),
    /// Adam with Nesterov momentum (Dozat 2016).
    Nadam(Moments),
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the last update that is kept; 0 for none.
        momentum: f64,
        /// Whether to use Nesterov momentum.
        nesterov: bool,
    },
    /// Divides gradients by the root of their mean square (Tieleman and Hinton 2012).
    Rmsprop {
        /// Decay of the mean squared gradient.
        rho: f64,
        /// Share of the last update that is kept; 0 for none.
        momentum: f64,
        /// Constant added to the mean square.
        epsilon: f64,
    },
    /// Adadelta (arXiv 1212.5701).
    Adadelta {
        /// Decay of the mean squares.
        rho: f64,
        /// Constant added to the mean squares.
        epsilon: f64,
    },
}

impl Optimizer {
    /// Returns whether weight decay is subtracted from the weights directly instead of being added to the gradient.
    pub fn decouples_decay(&self) -> bool {
        match self {
            Optimizer::Adamw(_) => true,
            Optimizer::Adam(_)
            | Optimizer::Nadam(_)
            | Optimizer::Sgd { .. }
            | Optimizer::Rmsprop { .. }
            | Optimizer::Adadelta { .. } => false,
        }
    }
}

/// Constants of the Adam family.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean squared gradient.
    pub beta2: f64,
    /// Constant added to the denominator.
    pub epsilon: f64,
}

impl Default for Moments {
    fn default() -> Moments {
        Moments { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }
}

/// How the learning rate changes over a trial. `learning_rate.rs` computes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// How the learning rate changes after the warmup.
    pub shape: Shape,
    /// The first steps, during which the learning rate rises linearly to its regular value.
    pub warmup: Warmup,
}

/// Course of a learning rate, as a share of the trial's own rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Shape {
    /// Stays at 1.
    #[default]
    Constant,
    /// Multiplies the rate by `factor` after every `every` epochs.
    Step {
        /// Interval in epochs.
        every: u32,
        /// Factor above 0.
        factor: f64,
    },
    /// Falls along half a cosine from 1 to `to` at the last step (arXiv 1608.03983, without restarts).
    Cosine {
        /// Final share, from 0 to below 1.
        to: f64,
    },
    /// Rises from a small share to 1 and falls to almost 0, both along half a cosine (arXiv 1708.07120).
    OneCycle {
        /// Share of the steps after which the rate is at 1.
        peak_at: f64,
        /// The first share is 1 divided by this.
        start_divisor: f64,
        /// The last share is 1 divided by this.
        final_divisor: f64,
    },
    /// Multiplies the rate by `factor` whenever the sweep's metric has not improved for `patience` epochs.
    Plateau {
        /// Factor above 0.
        factor: f64,
        /// Number of epochs without improvement.
        patience: u32,
    },
}

/// Length of the warmup.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warmup {
    Steps(u64),
    /// Share of all steps, below 1.
    Share(f64),
}

impl Default for Warmup {
    fn default() -> Warmup {
        Warmup::Steps(0)
    }
}

/// Initialization of the weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Glorot uniform (Glorot and Bengio 2010), with zero biases.
    #[default]
    Keras,
    /// Weights and biases uniform within ±1 / sqrt(fan in), as in PyTorch.
    Torch,
}

/// Numeric precision of a network's computation. Weights, batch norm's statistics, losses, and the optimizer always use
/// float32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of mantissa.
    Float32,
    /// float32 storage. A GPU's matrix units (Ampere or newer) use the first 11 bits of mantissa.
    Tf32,
    /// 8 bits of mantissa.
    Bfloat16,
    /// bfloat16 if the device has instructions for it, otherwise float32.
    #[default]
    Auto,
}

/// `early_stopping:` of the sweep file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Number of epochs without improvement after which the trial ends.
    pub patience: u32,
    /// Minimum change that counts as an improvement; the change must be larger than this.
    pub min_delta: f64,
}
