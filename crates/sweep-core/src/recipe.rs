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
    /// Random changes to every picture that is trained on, drawn anew each epoch.
    pub augment: Augment,
}

/// Random changes to training pictures, in this order; none by default. What comes from outside of a picture is black.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Half of the pictures are mirrored, left to right.
    pub flip: bool,
    /// The picture is shifted by up to so many pixels each way.
    pub crop: u32,
    /// It is turned by up to so many degrees either way.
    pub rotate: f64,
    /// It is enlarged or shrunk by up to this share: by 0.8 to 1.2 for 0.2.
    pub scale: f64,
    /// Standard deviation of the normal noise that is added to every value, 1 being white.
    pub noise: f64,
    /// Side, in pixels, of a square about a random pixel that is blackened (arXiv 1708.04552).
    pub cutout: u32,
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
    /// CIFAR-100, with its 100 fine classes: the folder of the published binary files, or their tar.gz.
    Cifar100 {
        /// Absolute.
        path: PathBuf,
    },
    /// MNIST: the folder of the four published IDX files, gzipped or not.
    Mnist {
        /// Absolute.
        path: PathBuf,
    },
    /// Fashion-MNIST: as MNIST.
    FashionMnist {
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
    /// Step size of the optimizer: the largest that its schedule comes to.
    pub learning_rate: f64,
    /// How the step size changes.
    pub schedule: Schedule,
    /// The update rule.
    pub optimizer: Optimizer,
    /// L2 penalty: this times the weight is added to its gradient (biases and batch norm left out). With AdamW, this
    /// times the step size times the weight is taken from the weight itself.
    pub weight_decay: f64,
    /// Share of the certainty of the labels that is spread over all classes, while training only (arXiv 1512.00567).
    pub label_smoothing: f64,
    /// The longest that the gradient of all weights together may be; a longer one is shortened.
    pub clip_norm: Option<f64>,
    /// Where the weights start.
    pub init: Init,
    /// The numbers that are calculated with.
    pub precision: Precision,
    /// Whether a GPU may only use what gives the same numbers again. A CPU always does.
    #[serde(default)]
    pub deterministic: bool,
    /// Whether a GPU may be given a whole step at once, as a recorded CUDA graph.
    #[serde(default)]
    pub cuda_graph: bool,
    /// Whether a GPU uses kernels of our own where libtorch takes several.
    #[serde(default)]
    pub gpu_kernels: bool,
    /// Ends the trial when the sweep's metric stops improving.
    pub early_stopping: Option<EarlyStopping>,
    /// What `early_stopping` watches and the best epoch is chosen by.
    pub metric: crate::trial::Metric,
}

/// The update rule and its constants: each as Keras computes it, whose constants are the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Optimizer {
    /// arXiv 1412.6980.
    Adam(Moments),
    /// Adam with the weights' decay kept out of the gradient (arXiv 1711.05101).
    Adamw(Moments),
    /// Adam with Nesterov's momentum (Dozat 2016).
    Nadam(Moments),
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the last update kept; 0 for none.
        momentum: f64,
        /// Nesterov's variant.
        nesterov: bool,
    },
    /// Gradients divided by the root of their mean square (Tieleman and Hinton 2012).
    Rmsprop {
        /// Decay of the mean squared gradient.
        rho: f64,
        /// Share of the last update kept; 0 for none.
        momentum: f64,
        /// Added to the mean square.
        epsilon: f64,
    },
    /// arXiv 1212.5701.
    Adadelta {
        /// Decay of the mean squares.
        rho: f64,
        /// Added to the mean squares.
        epsilon: f64,
    },
}

/// The constants of the Adam family.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean squared gradient.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
}

impl Default for Moments {
    fn default() -> Moments {
        Moments { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }
}

/// How the learning rate changes over a trial. Pure: see `learning_rate.rs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// What it does after the warmup.
    pub shape: Shape,
    /// The first steps, in which it rises evenly to what it would have been.
    pub warmup: Warmup,
}

/// The course of a learning rate, as shares of the trial's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Shape {
    /// 1 throughout.
    #[default]
    Constant,
    /// Multiplied by `factor` after every so many epochs.
    Step {
        /// Epochs.
        every: u32,
        /// Above 0.
        factor: f64,
    },
    /// Half a cosine from 1 down to `to` at the last step (arXiv 1608.03983, without restarts).
    Cosine {
        /// From 0 to below 1.
        to: f64,
    },
    /// From small up to 1 and down to almost nothing, both as half a cosine (arXiv 1708.07120).
    OneCycle {
        /// The share of the steps after which it is at 1.
        peak_at: f64,
        /// It starts at 1 by this.
        start_divisor: f64,
        /// And ends at 1 by this.
        final_divisor: f64,
    },
    /// Multiplied by `factor` whenever the sweep's metric has not improved for so many epochs.
    Plateau {
        /// Above 0.
        factor: f64,
        /// Epochs.
        patience: u32,
    },
}

/// The first steps of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warmup {
    /// So many.
    Steps(u64),
    /// This share of all, below 1.
    Share(f64),
}

impl Default for Warmup {
    fn default() -> Warmup {
        Warmup::Steps(0)
    }
}

/// Where the weights start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Glorot uniform (Glorot and Bengio 2010), biases zero.
    #[default]
    Keras,
    /// Weights and biases uniform within 1 / sqrt(fan in).
    Torch,
}

/// The numbers that a network calculates with. Weights, batch norm's statistics, losses and the optimizer are float32
/// in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of mantissa.
    Float32,
    /// float32, of which a GPU's matrix units (Ampere or newer) take the first 11 bits of mantissa.
    Tf32,
    /// 8 bits of mantissa.
    Bfloat16,
    /// bfloat16 where the device has instructions for it, else float32.
    #[default]
    Auto,
}

/// `early_stopping:` of the sweep file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Epochs without improvement after which the trial ends.
    pub patience: u32,
    /// An improvement counts only if it is larger than this.
    pub min_delta: f64,
}
