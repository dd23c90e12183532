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
    LessRegularisation,
    /// Add filters, units, or layers.
    LargerNetwork,
    /// Normalize activations.
    BatchNorm,
    /// Add regularization in small steps.
    MoreRegularisation,
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
                "Hold out a part of the training pictures (a tenth, say) and log its loss and accuracy each epoch."
            }
            Advice::CheckData => {
                "Check the data first: draw some pictures exactly as the network gets them. Scrambled ones were \
                 brought into channels-first order by reshape where it takes transpose; grey pictures (MNIST) survive \
                 that, colour pictures do not."
            }
            Advice::CheckTask => {
                "Check that labels fit their pictures, that pixels are scaled (0 to 1, say), and that the loss fits \
                 the last layer (softmax once, not twice)."
            }
            Advice::CheckCapacity => {
                "Check the capacity: without dropout, weight decay, max-norm and augmentation, training accuracy must \
                 go towards 100 %. If it does not, the network is too small or the data is broken, and no other \
                 setting will help."
            }
            Advice::FasterStatistics => {
                "Let batch normalisation's statistics keep up: a momentum of 0.9 (0.1 in PyTorch's sense) instead of \
                 0.99, or smaller batches, so that an epoch has more steps."
            }
            Advice::LowerLearningRate => "Divide the learning rate by 10.",
            Advice::HigherLearningRate => {
                "Multiply the learning rate by 3, then by 10: the loss falls, but hardly moves. `sweep check` shows where \
                 it falls fastest."
            }
            Advice::DefaultAdam => "Use Adam with its default learning rate of 0.001 before trying others.",
            Advice::ClipGradients => "Clip the gradient's norm (at 1, say), or let the learning rate warm up.",
            Advice::LargerBatch => "Double the batch size, and validate on more pictures if they are few.",
            Advice::MoreEpochs { until, longer_schedule: false } => {
                return write!(f, "Train on, to epoch {until} or so.");
            }
            Advice::MoreEpochs { until, longer_schedule: true } => {
                return write!(
                    f,
                    "Train longer, to epoch {until} or so, with the learning-rate schedule stretched to that length."
                );
            }
            Advice::KnownNetwork => {
                "Start from a network known to work on such data, reproduce its result, and change one thing at a time."
            }
            Advice::LessRegularisation => {
                "Take regularisation back, step by step: halve dropout and weight decay until training does better \
                 than validation again."
            }
            Advice::LargerNetwork => "Give the network more filters or layers, if training accuracy must rise.",
            Advice::BatchNorm => {
                "Put batch normalisation between each convolution and its activation; not together with max-norm."
            }
            Advice::StopEarly => "Keep the weights of the best epoch and stop soon after it (early stopping).",
            Advice::LowerLate => "Let the learning rate fall by 10, or by a schedule, where the curve turns flat.",
            Advice::Augment(Mirror::Yes) => "Augment the pictures: mirror them and shift them by a few pixels.",
            Advice::Augment(Mirror::No) => {
                "Augment the pictures: shift them by a pixel or a few, and turn them a little. Do not mirror them: a \
                 mirrored digit is none."
            }
            Advice::Augment(Mirror::Unknown) => {
                "Augment the pictures: shift them by a few pixels, and mirror them if a mirrored one is still one of its \
                 kind (digits and letters are not)."
            }
            Advice::MorePictures => {
                "Train on more of the pictures: `train_examples` leaves some out, and nothing helps new ones as much."
            }
            Advice::MoreRegularisation => {
                "Add dropout or weight decay in small steps, and only as much as is needed: too much underfits."
            }
            Advice::NoMoreDropout => {
                "Until that is settled leave dropout alone: more of it lowers training accuracy, which is low already."
            }
            Advice::Repeat => {
                "Before trusting a difference of a percent, repeat the run with other seeds. For more accuracy: \
                 augmentation, then a larger network."
            }
        })
    }
}
