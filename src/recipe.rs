//! All that decides a trial's numbers, fully resolved: no parameter, no preset, no default is left open.
//!
//! The specification makes it, the protocol carries it, the trainer follows it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What one trial is trained on, with which network, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The pictures and their split.
    pub data: Data,
    /// The network, first layer first.
    pub layers: Vec<Layer>,
    /// How it is trained.
    pub training: Training,
}

/// The pictures of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Where they come from.
    pub source: Source,
    /// Which of them are held out to validate.
    pub validation: Validation,
    /// At most so many training pictures, drawn evenly from every class after the validation split.
    pub train_examples: Option<u64>,
}

/// A data set on disk, or the built-in one. Equal sources are loaded once a trainer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "set", rename_all = "kebab-case")]
pub enum Source {
    /// UCI's handwritten digits, 1,797 grey pictures of 8x8, in the binary itself.
    Digits,
    /// CIFAR-10: the folder of the published binary files, or their tar.gz.
    Cifar10 {
        /// Absolute.
        path: PathBuf,
    },
    /// One folder a class, JPEG or PNG; `train/` and `test/` above the classes are a given split.
    Folder {
        /// Absolute.
        path: PathBuf,
    },
    /// Pictures and labels as NumPy arrays: one `.npz`, or a folder of `.npy` files.
    Arrays {
        /// Absolute.
        path: PathBuf,
        /// How the array of pictures is laid out.
        order: Order,
    },
}

/// The axes of an array of pictures: count, channels, height, width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Channels before height and width, as PyTorch has it.
    Nchw,
    /// Channels last, as Keras has it.
    Nhwc,
}

/// What validation is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// This share of each class's training pictures, drawn by the sweep's seed; above 0, below 1.
    Share(f64),
    /// The data set's own test pictures.
    Test,
}

/// One layer. Sizes of its input follow from the layer before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case")]
pub enum Layer {
    /// Convolution with square kernel. `[n, c, h, w]` to `[n, filters, h', w']`.
    Conv {
        /// Output channels.
        filters: u32,
        /// Side of the kernel, pixels.
        kernel: u32,
        /// Both ways.
        stride: u32,
        /// At the border.
        padding: Padding,
        /// Whether each filter has a bias.
        bias: bool,
        /// Keras' max-norm: each filter's weights are scaled back to at most this Euclidean norm after each step.
        max_norm: Option<f64>,
    },
    /// Largest of each square window, without padding.
    MaxPool {
        /// Side of the window, pixels.
        size: u32,
        /// Both ways.
        stride: u32,
    },
    /// Mean of each square window, without padding.
    AveragePool {
        /// Side of the window, pixels.
        size: u32,
        /// Both ways.
        stride: u32,
    },
    /// Mean over height and width. `[n, c, h, w]` to `[n, c]`.
    GlobalAveragePool,
    /// max(x, 0).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Gaussian error linear unit (arXiv 1606.08415), exact form.
    Gelu,
    /// Logistic function.
    Sigmoid,
    /// Batch normalisation over all axes but the channels (arXiv 1502.03167).
    BatchNorm {
        /// Keras' sense: the share of the old running statistics that is kept at each step.
        momentum: f64,
        /// Added to the variance.
        epsilon: f64,
    },
    /// Sets this share of the values to zero while training, and scales the others up.
    Dropout {
        /// 0 to below 1.
        rate: f64,
    },
    /// `[n, c, h, w]` to `[n, c*h*w]`.
    Flatten,
    /// Fully connected. `[n, in]` to `[n, units]`.
    Dense {
        /// Outputs.
        units: u32,
        /// Whether each unit has a bias.
        bias: bool,
        /// Keras' max-norm: each unit's incoming weights are scaled back to at most this norm after each step.
        max_norm: Option<f64>,
    },
}

/// What a convolution does at the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Zeros, so that the output's side is ceil(side / stride); an odd one goes right and below, as in TensorFlow.
    Same,
    /// None.
    Valid,
}

/// How a trial is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Passes over the training pictures.
    pub epochs: u32,
    /// Pictures a step; the last batch of an epoch may be smaller.
    pub batch_size: u32,
    /// Step size of the optimizer.
    pub learning_rate: f64,
    /// The update rule.
    pub optimizer: Optimizer,
    /// L2 penalty: this times the weight is added to its gradient (biases and batch norm left out).
    pub weight_decay: f64,
    /// Ends the trial when the sweep's metric stops improving.
    pub early_stopping: Option<EarlyStopping>,
    /// What `early_stopping` watches and the best epoch is chosen by.
    pub metric: crate::trial::Metric,
}

/// The update rule and its constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Optimizer {
    /// arXiv 1412.6980, Keras' constants by default: 0.9, 0.999, 1e-7.
    Adam {
        /// Decay of the mean gradient.
        beta1: f64,
        /// Decay of the mean squared gradient.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the last update kept; 0 for none.
        momentum: f64,
        /// Nesterov's variant.
        nesterov: bool,
    },
}

/// `early_stopping:` of the sweep file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Epochs without improvement after which the trial ends.
    pub patience: u32,
    /// An improvement counts only if it is larger than this.
    pub min_delta: f64,
}
