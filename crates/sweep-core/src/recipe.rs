//! Everything that determines a trial's numbers, fully resolved: no parameter, preset, or default is left open.
//!
//! The sweep file's specification produces a recipe, the protocol carries it, and the trainer executes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The data, the network, and the training procedure of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The images and their split.
    pub data: Data,
    /// Layers of the network, first layer first.
    pub layers: Vec<Layer>,
    /// Training procedure.
    pub training: Training,
}

/// The images of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Where the images come from.
    pub source: Source,
    /// Which images are held out for validation.
    pub validation: Validation,
    /// Maximum number of training images. They are drawn evenly from every class, after the validation split.
    pub train_examples: Option<u64>,
    /// Random changes to every training image, drawn anew each epoch.
    pub augment: Augment,
    /// Which training images are held out before all else, and tested once after the sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<HeldOut>,
    /// How the values of each channel are shifted and scaled before the first layer.
    #[serde(default, skip_serializing_if = "Normalize::is_none")]
    pub normalize: Normalize,
}

/// Normalization of the images, per channel: the mean is subtracted, and the result divided by the deviation. Means
/// and deviations are those of values from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Values stay from 0 to 1.
    #[default]
    None,
    /// The mean and the standard deviation of the trial's own training images.
    Dataset,
    /// Given values, one per channel.
    Given {
        /// Values to subtract.
        means: Vec<f64>,
        /// Values to divide by.
        deviations: Vec<f64>,
    },
}

impl Normalize {
    /// Returns whether nothing is normalized.
    pub fn is_none(&self) -> bool {
        *self == Normalize::None
    }
}

/// Random changes to training images, applied in this order; none by default. Pixels from outside the image are black.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Whether a random half of the images is mirrored, left to right.
    pub flip: bool,
    /// Maximum shift in each direction, in pixels.
    pub crop: u32,
    /// Maximum rotation in either direction, in degrees.
    pub rotate: f64,
    /// Maximum share by which an image is enlarged or shrunk: 0.2 means a factor of 0.8 to 1.2.
    pub scale: f64,
    /// Standard deviation of the normal noise added to every value, where 1 is white.
    pub noise: f64,
    /// Side of a black square around a random pixel, in pixels (arXiv 1708.04552).
    pub cutout: u32,
    /// Maximum relative change of brightness.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub brightness: f64,
    /// Maximum relative change of contrast.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub contrast: f64,
    /// Maximum relative change of saturation. Gray images have none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub saturation: f64,
    /// Share of the images in which a random rectangle becomes black (arXiv 1708.04896).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub erase: f64,
    /// Both parameters of the beta distribution from which mixup draws the share of another image (arXiv 1710.09412).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mixup: f64,
    /// The same for CutMix, which takes a rectangle of another image (arXiv 1905.04899).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cutmix: f64,
}

/// Whether a change is off. Recipes from before it existed are then equal to those of today.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// A data set on disk, or the built-in one. A trainer loads equal sources once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "set", rename_all = "kebab-case")]
pub enum Source {
    /// The UCI handwritten digits, 1,797 grayscale images of 8x8, embedded in the binary.
    Digits,
    /// CIFAR-10: the folder of the published binary files, or their tar.gz.
    Cifar10 {
        /// Absolute path of the folder or archive.
        path: PathBuf,
    },
    /// CIFAR-100 with its 100 fine classes: the folder of the published binary files, or their tar.gz.
    Cifar100 {
        /// Absolute path of the folder or archive.
        path: PathBuf,
    },
    /// MNIST: the folder of the four published IDX files, gzipped or not.
    Mnist {
        /// Absolute path of the folder.
        path: PathBuf,
    },
    /// Fashion-MNIST, in the same format as MNIST.
    FashionMnist {
        /// Absolute path of the folder.
        path: PathBuf,
    },
    /// Image files in one folder per class, or with a CSV file of labels. Folders `train/`, `val/` and `test/` above
    /// the classes define the split.
    Folder {
        /// Absolute path of the folder.
        path: PathBuf,
        /// How the images are brought to one size. `None` if they all have one size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resize: Option<Resize>,
        /// A CSV file of files and labels, relative to the folder. `None` if the folders are the classes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<PathBuf>,
    },
    /// Images and labels as NumPy arrays: one `.npz` file, or a folder of `.npy` files.
    Arrays {
        /// Absolute path of the file or folder.
        path: PathBuf,
        /// Layout of the image array.
        order: Order,
    },
}

/// Conversion of images of any size to squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resize {
    /// Side of the square, in pixels.
    pub side: u32,
    /// What happens to images that are not square.
    pub fit: Fit,
}

/// How an image that is not square becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The shorter side is scaled to the square's, and the center is kept.
    Crop,
    /// The longer side is scaled to the square's, and the rest is black.
    Pad,
    /// Both sides are scaled to the square's, so that proportions change.
    Stretch,
}

/// Order of the axes of an image array: count (n), channels (c), height (h), width (w).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Channels before height and width, as in PyTorch.
    Nchw,
    /// Channels last, as in Keras.
    Nhwc,
}

/// The images that validation is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// A share of each class's training images, drawn by the sweep's seed. Above 0 and below 1.
    Share(f64),
    /// This number of training images, drawn in proportion from every class by the sweep's seed.
    Count(u64),
    /// The data set's own validation images.
    Own,
    /// The data set's own test images.
    Test,
}

/// Images that are held out in proportion from every class, drawn by the sweep's seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// A share of the images, above 0 and below 1.
    Share(f64),
    /// A number of images.
    Count(u64),
}

/// One layer of a network. Its input size follows from the previous layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case")]
pub enum Layer {
    /// Convolution with a square kernel. `[n, c, h, w]` to `[n, filters, h', w']`.
    Conv {
        /// Output channels.
        filters: u32,
        /// Side of the kernel, in pixels.
        kernel: u32,
        /// Stride in both directions, in pixels.
        stride: u32,
        /// Padding at the border.
        padding: Padding,
        /// Whether each filter has a bias.
        bias: bool,
        /// Max-norm as in Keras: after each step, each filter's weights are scaled back to at most this Euclidean norm.
        max_norm: Option<f64>,
    },
    /// Convolution whose channels are divided into groups, each of which sees only its own inputs.
    GroupedConv {
        /// Output channels, a multiple of `groups`.
        filters: u32,
        /// Number of groups, a divisor of the input channels.
        groups: u32,
        /// Side of the kernel, in pixels.
        kernel: u32,
        /// Stride in both directions, in pixels.
        stride: u32,
        /// Padding at the border.
        padding: Padding,
        /// Whether each filter has a bias.
        bias: bool,
        /// Max-norm as in `Conv`.
        max_norm: Option<f64>,
    },
    /// Convolution with one filter per input channel, which sees only that channel. The channels stay.
    Depthwise {
        /// Side of the kernel, in pixels.
        kernel: u32,
        /// Stride in both directions, in pixels.
        stride: u32,
        /// Padding at the border.
        padding: Padding,
        /// Whether each filter has a bias.
        bias: bool,
        /// Max-norm as in `Conv`.
        max_norm: Option<f64>,
    },
    /// Begins branches that all have the same input, up to the matching [`Layer::Join`].
    Fork,
    /// Ends a branch and begins the next one, from the input of the matching [`Layer::Fork`].
    Branch,
    /// Ends the last branch and combines the outputs of all.
    Join {
        /// How they are combined.
        by: Join,
    },
    /// Multiplies all values by a constant.
    Scale {
        /// The constant.
        by: f64,
    },
    /// Maximum of each square window, without padding.
    MaxPool {
        /// Side of the window, in pixels.
        size: u32,
        /// Stride in both directions, in pixels.
        stride: u32,
    },
    /// Mean of each square window, without padding.
    AveragePool {
        /// Side of the window, in pixels.
        size: u32,
        /// Stride in both directions, in pixels.
        stride: u32,
    },
    /// Mean over height and width. `[n, c, h, w]` to `[n, c]`.
    GlobalAveragePool,
    /// Maximum over height and width. `[n, c, h, w]` to `[n, c]`.
    GlobalMaxPool,
    /// Rectified linear unit: max(x, 0).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Gaussian error linear unit (arXiv 1606.08415), exact form.
    Gelu,
    /// Logistic function.
    Sigmoid,
    /// x times the logistic function of x, also called swish (arXiv 1702.03118).
    Silu,
    /// x if it is positive, otherwise a fraction of x.
    LeakyRelu {
        /// The fraction.
        slope: f64,
    },
    /// Normalization over the channels at each position, or over all values of a vector (arXiv 1607.06450).
    LayerNorm {
        /// Constant added to the variance.
        epsilon: f64,
    },
    /// Normalization over height, width and the channels of each group (arXiv 1803.08494).
    GroupNorm {
        /// Number of groups, a divisor of the channels.
        groups: u32,
        /// Constant added to the variance.
        epsilon: f64,
    },
    /// Batch normalization over all axes except the channels (arXiv 1502.03167).
    BatchNorm {
        /// Share of the old running statistics that is kept at each step, as in Keras.
        momentum: f64,
        /// Constant added to the variance.
        epsilon: f64,
    },
    /// Sets a random share of the values to zero during training, and scales up the others.
    Dropout {
        /// Share of the values set to zero, from 0 to below 1.
        rate: f64,
    },
    /// Reshapes `[n, c, h, w]` to `[n, c*h*w]`.
    Flatten,
    /// Fully connected layer. `[n, in]` to `[n, units]`.
    Dense {
        /// Number of outputs.
        units: u32,
        /// Whether each unit has a bias.
        bias: bool,
        /// Max-norm as in Keras: after each step, each unit's incoming weights are scaled back to at most this norm.
        max_norm: Option<f64>,
    },
}

/// How the outputs of branches are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Their sum. All have the same shape.
    Add,
    /// All channels, one branch after the other. Height and width are equal.
    Concat,
    /// Their product. A vector multiplies the channels of an image.
    Multiply,
}

/// Padding of a convolution at the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Pads with zeros, so that the output's side is ceil(side / stride). An odd number of zeros puts the extra one
    /// right and below, as in TensorFlow.
    Same,
    /// Pads nothing.
    Valid,
}

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
    /// Number of steps.
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
