//! What to change, in the order in which to try it. Checks come first if they are cheap and can make everything else
//! pointless. More regularization comes last.

use std::fmt;

use sweep_core::recipe::Source;

/// One piece of advice. The order of the variants is the order in which to try them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Advice {
    /// Hold out data for validation.
    HoldOut,
    /// Look at the images.
    CheckData,
    /// Check labels, loss, and the last layer.
    CheckTask,
    /// Check whether the network can fit the training set at all.
    CheckCapacity,
    /// Do not add dropout until that is known.
    NoMoreDropout,
    /// Let the running statistics of batch norm adapt faster.
    FasterStatistics,
    /// Go back to Adam's default learning rate.
    DefaultAdam,
    /// Try a tenth of the learning rate.
    LowerLearningRate,
    /// Try three to ten times the learning rate.
    HigherLearningRate,
    /// Clip large gradients.
    ClipGradients,
    /// Average over more images per step.
    LargerBatch,
    /// Start from a network that is known to work.
    KnownNetwork,
    /// Augment the images.
    Augment(Mirror),
    /// Train on all images.
    MorePictures,
    /// Train for more epochs.
    MoreEpochs {
        /// Last epoch of the longer training.
        until: u32,
        /// Whether the learning rate had run out, so that its schedule must become longer too.
        longer_schedule: bool,
    },
    /// Reduce regularization.
    LessRegularization,
    /// Add filters, units, or layers.
    LargerNetwork,
    /// Normalize activations.
    BatchNorm,
    /// Add regularization in small steps.
    MoreRegularization,
    /// Reduce the learning rate late in training.
    LowerLate,
    /// Stop at the best epoch.
    StopEarly,
    /// Repeat trials, since small differences are chance.
    Repeat,
}

impl Advice {
    /// Returns whether the advice is to check something that can make everything else pointless.
    pub fn is_check(self) -> bool {
        self <= Advice::NoMoreDropout
    }
}

/// Whether a mirrored image still belongs to its class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mirror {
    /// Mirroring preserves the class, as for cats and clothes.
    Yes,
    /// Mirroring does not preserve the class, as for digits.
    No,
    /// Only a person who knows the images can tell.
    #[default]
    Unknown,
}

impl Mirror {
    /// Returns whether mirroring preserves the class for this data set.
    pub fn of(source: &Source) -> Mirror {
        match source {
            Source::Digits | Source::Mnist { .. } => Mirror::No,
            Source::Cifar10 { .. } | Source::Cifar100 { .. } | Source::FashionMnist { .. } => Mirror::Yes,
            Source::Folder { .. } | Source::Arrays { .. } => Mirror::Unknown,
        }
    }
}

impl fmt::Display for Advice {
    /// Writes one or two sentences in the imperative.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Advice::HoldOut => {
                "Hold out part of the training images (for example, one tenth) and log their loss and accuracy every \
                 epoch."
            }
            Advice::CheckData => {
                "Check the data first: plot some images exactly as the network receives them. If they look scrambled, \
                 they were probably converted to channels-first with reshape instead of transpose. Grayscale images \
                 (MNIST) survive that mistake; color images do not."
            }
            Advice::CheckTask => {
                "Check that labels match their images, that pixels are scaled (for example, to 0–1), and that the loss \
                 fits the last layer (softmax once, not twice)."
            }
            Advice::CheckCapacity => {
                "Check the capacity: without dropout, weight decay, max-norm and augmentation, training accuracy must \
                 approach 100%. If it does not, the network is too small or the data is corrupt, and no other change \
                 will help."
            }
            Advice::FasterStatistics => {
                "Let the running statistics of batch normalization adapt faster: use a momentum of 0.9 (0.1 in PyTorch's \
                 convention) instead of 0.99, or smaller batches, so that an epoch has more steps."
            }
            Advice::LowerLearningRate => "Divide the learning rate by 10.",
            Advice::HigherLearningRate => {
                "Multiply the learning rate by 3, then by 10: the loss falls, but too slowly. `sweep check` shows at \
                 which rate it falls fastest."
            }
            Advice::DefaultAdam => "Use Adam with its default learning rate of 0.001 before trying others.",
            Advice::ClipGradients => "Clip the gradient norm (for example, at 1), or warm up the learning rate.",
            Advice::LargerBatch => "Double the batch size. If there are few validation images, validate on more.",
            Advice::MoreEpochs { until, longer_schedule: false } => {
                return write!(f, "Train longer, to about epoch {until}.");
            }
            Advice::MoreEpochs { until, longer_schedule: true } => {
                return write!(
                    f,
                    "Train longer, to about epoch {until}, and stretch the learning-rate schedule to that length."
                );
            }
            Advice::KnownNetwork => {
                "Start from a network known to work on this kind of data, reproduce its result, and change one thing at \
                 a time."
            }
            Advice::LessRegularization => {
                "Reduce regularization step by step: halve dropout and weight decay until training is better than \
                 validation again."
            }
            Advice::LargerNetwork => "If training accuracy must rise, give the network more filters or layers.",
            Advice::BatchNorm => {
                "Add batch normalization between each convolution and its activation. Do not combine it with max-norm."
            }
            Advice::StopEarly => "Keep the weights of the best epoch, and stop soon after it (early stopping).",
            Advice::LowerLate => {
                "Divide the learning rate by 10 where the curve becomes flat, or lower it with a schedule."
            }
            Advice::Augment(Mirror::Yes) => {
                "Augment the images: flip them horizontally and shift them by a few pixels."
            }
            Advice::Augment(Mirror::No) => {
                "Augment the images: shift them by one or a few pixels, and rotate them slightly. Do not flip them: a \
                 mirrored digit is not a digit."
            }
            Advice::Augment(Mirror::Unknown) => {
                "Augment the images: shift them by a few pixels. Flip them only if a mirrored image still belongs to its \
                 class (digits and letters do not)."
            }
            Advice::MorePictures => {
                "Train on more of the images: `train_examples` leaves some out, and nothing improves generalization as \
                 much as more data."
            }
            Advice::MoreRegularization => {
                "Add dropout or weight decay in small steps, and no more than needed: too much causes underfitting."
            }
            Advice::NoMoreDropout => {
                "Do not add dropout before these checks are done: it lowers training accuracy, which is already low."
            }
            Advice::Repeat => {
                "Repeat the run with other seeds before you trust a difference of one point. For more accuracy, add \
                 augmentation, then try a larger network."
            }
        })
    }
}
