//! The layers of a network.

use serde::{Deserialize, Serialize};

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
