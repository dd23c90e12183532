//! What to change, in the order in which to try it. Checks come first if they are cheap and can make everything else
//! pointless. More regularization comes last.

use super::Task;
use sweep_core::recipe::Source;

/// One piece of advice. The order of the variants is the order in which to try them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Advice {
    /// Hold out data for validation.
    HoldOut,
    /// Look at the inputs.
    CheckData,
    /// Compare how training and validation examples are treated and labeled.
    CompareSets,
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
    /// Get more data, where augmenting images is no option.
    MoreData,
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

impl Advice {
    /// Returns the advice in one or two sentences in the imperative, in the words of the task.
    pub fn text(self, task: Task) -> String {
        match self {
            Advice::MoreEpochs { until, longer_schedule: false } => format!("Train longer, to about epoch {until}."),
            Advice::MoreEpochs { until, longer_schedule: true } => {
                format!("Train longer, to about epoch {until}, and stretch the learning-rate schedule to that length.")
            }
            Advice::Augment(mirror) => format!("Augment the images: {}", mirror.way()),
            Advice::CheckData | Advice::CheckTask => self.check(task).to_owned(),
            other => other.plain(task).to_owned(),
        }
    }

    /// Returns the form in which the advice suits the task, or `None` if it does not.
    pub(super) fn suited(self, task: Task) -> Option<Advice> {
        match self {
            Advice::Augment(_) if !task.has_images() => Some(Advice::MoreData),
            // Between convolutions only.
            Advice::BatchNorm if task != Task::Images => None,
            // Boosted trees have no optimizer.
            Advice::DefaultAdam if task == Task::Tabular => None,
            other => Some(other),
        }
    }

    /// Words of which a parameter's name must contain one if the advice is to change a parameter. `None` for advice
    /// about anything else.
    pub(super) fn parameter(self) -> Option<&'static [&'static str]> {
        match self {
            Advice::LowerLearningRate | Advice::HigherLearningRate | Advice::LowerLate | Advice::DefaultAdam => {
                Some(&["learning_rate", "learningrate", "lr", "eta", "rate"])
            }
            Advice::ClipGradients => Some(&["clip"]),
            Advice::LargerBatch => Some(&["batch"]),
            Advice::BatchNorm => Some(&["norm"]),
            Advice::MoreRegularization | Advice::LessRegularization => {
                Some(&["dropout", "decay", "l1", "l2", "alpha", "lambda", "regular", "subsample", "min_child"])
            }
            Advice::LargerNetwork => {
                Some(&["layer", "unit", "hidden", "width", "depth", "filter", "channel", "dim", "size", "leaves"])
            }
            _ => None,
        }
    }

    fn check(self, task: Task) -> &'static str {
        match (self, task) {
            (Advice::CheckData, Task::Images | Task::Detection) => {
                "Check the data first: plot some images exactly as the network receives them. If they look scrambled, \
                 they were probably converted to channels-first with reshape instead of transpose. Grayscale images \
                 (MNIST) survive that mistake; color images do not."
            }
            (Advice::CheckData, Task::Text | Task::LanguageModel) => {
                "Check the data first: decode some inputs from the tokens exactly as the network receives them, and read \
                 them beside their targets. Look for truncation, padding, and a vocabulary of another tokenizer."
            }
            (Advice::CheckData, Task::Audio) => {
                "Check the data first: listen to some inputs exactly as the network receives them, and read them beside \
                 their targets. Look at sample rate, clipping, and silence."
            }
            (Advice::CheckData, Task::Tabular) => {
                "Check the data first: print some rows exactly as the model receives them. Look for missing values read \
                 as numbers, unscaled columns, and rows whose target belongs to another row."
            }
            (Advice::CheckData, _) => {
                "Check the data first: look at some inputs, beside their targets, exactly as the network receives them."
            }
            (_, Task::Images | Task::Detection) => {
                "Check that labels match their images, that pixels are scaled (for example, to 0–1), and that the loss \
                 fits the last layer (softmax once, not twice)."
            }
            (_, Task::Text | Task::LanguageModel) => {
                "Check that targets match their texts (shifted by one token, padding ignored), and that the loss fits the \
                 last layer (softmax once, not twice)."
            }
            _ => {
                "Check that targets match their inputs, that inputs are scaled, and that the loss fits the last layer \
                 (softmax once, not twice)."
            }
        }
    }

    fn plain(self, task: Task) -> &'static str {
        match self {
            Advice::HoldOut => {
                "Hold out part of the training data (for example, one tenth) and log its loss, and its accuracy if there \
                 is one, every epoch."
            }
            Advice::CompareSets => {
                "Before any regularization, find what differs between the two sets: evaluate on the training data in the \
                 same code path (evaluation mode, batch norm); compare preprocessing and normalization; check that \
                 validation labels were not shuffled apart from their inputs, and that both sets number the classes alike."
            }
            Advice::CheckCapacity => {
                "Check the capacity: without dropout, weight decay, max-norm and augmentation, training accuracy must \
                 approach 100%. If it does not, the network is too small or the data is corrupt, and no other change \
                 will help."
            }
            Advice::NoMoreDropout => {
                "Do not add dropout before these checks are done: it lowers training accuracy, which is already low."
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
            Advice::LargerBatch => "Double the batch size. If the validation set is small, validate on more.",
            Advice::KnownNetwork => {
                "Start from a network known to work on this kind of data, reproduce its result, and change one thing at \
                 a time."
            }
            Advice::MorePictures => {
                "Train on more of the images: `train_examples` leaves some out, and nothing improves generalization as \
                 much as more data."
            }
            Advice::MoreData if task == Task::Tabular => {
                "Train on more rows if there are any, or on fewer columns: nothing improves generalization as much."
            }
            Advice::MoreData => {
                "Train on more data, or start from a pretrained network: nothing improves generalization as much."
            }
            Advice::LessRegularization if task == Task::Tabular => {
                "Reduce regularization step by step (with trees: deeper trees, smaller leaves)."
            }
            Advice::LessRegularization => {
                "Reduce regularization step by step: halve dropout and weight decay until training is better than \
                 validation again."
            }
            Advice::LargerNetwork if task == Task::Images => {
                "If training accuracy must rise, give the network more filters or layers."
            }
            Advice::LargerNetwork => "If training must get better, give the network more units or layers.",
            Advice::BatchNorm => {
                "Add batch normalization between each convolution and its activation. Do not combine it with max-norm."
            }
            Advice::MoreRegularization if task == Task::Tabular => {
                "Add regularization in small steps (dropout or weight decay; with trees: shallower trees, larger leaves, \
                 subsampling), and no more than needed."
            }
            Advice::MoreRegularization => {
                "Add dropout or weight decay in small steps, and no more than needed: too much causes underfitting."
            }
            Advice::LowerLate => {
                "Divide the learning rate by 10 where the curve becomes flat, or lower it with a schedule."
            }
            Advice::StopEarly => "Keep the weights of the best epoch, and stop soon after it (early stopping).",
            Advice::Repeat if task == Task::Images => {
                "Repeat the run with other seeds before you trust a difference of one point. For more accuracy, add \
                 augmentation, then try a larger network."
            }
            Advice::Repeat => "Repeat the run with other seeds before you trust a small difference.",
            Advice::MoreEpochs { .. } | Advice::Augment(_) | Advice::CheckData | Advice::CheckTask => {
                unreachable!("`text` has their words")
            }
        }
    }
}

impl Mirror {
    fn way(self) -> &'static str {
        match self {
            Mirror::Yes => "flip them horizontally and shift them by a few pixels.",
            Mirror::No => {
                "shift them by one or a few pixels, and rotate them slightly. Do not flip them: a mirrored digit is not \
                 a digit."
            }
            Mirror::Unknown => {
                "shift them by a few pixels. Flip them only if a mirrored image still belongs to its class (digits and \
                 letters do not)."
            }
        }
    }
}
