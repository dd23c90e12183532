//! What to change, in the order in which to try it. Checks come first if they are cheap and can make everything else
//! pointless. More regularization comes last.

mod text;

use super::Task;
use sweep_core::recipe::Source;

/// One piece of advice. The order of the variants is the order in which to try them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Advice {
    /// Hold out data for validation.
    HoldOut,
    /// Measure the same metric on training data.
    MeasureTraining,
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
    /// Validate on more examples.
    LargerValidation,
    /// Start from a network that is known to work.
    KnownNetwork,
    /// Augment the images.
    Augment(Mirror),
    /// Get more data, where augmenting images is no option.
    MoreData,
    /// Train on all images.
    MoreImages,
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
    /// Returns the form in which the advice suits the task, or `None` if it does not.
    pub(super) fn suited(self, task: Task) -> Option<Advice> {
        match self {
            Advice::Augment(_) if !task.has_images() => Some(Advice::MoreData),
            // Between convolutions only.
            Advice::BatchNorm if task != Task::Images => None,
            // Boosted trees have no optimizer and no schedule.
            Advice::DefaultAdam | Advice::LowerLate if task == Task::Tabular => None,
            other => Some(other),
        }
    }

    /// Words, or several in a row, of which a parameter's name must have one if the advice is to change a parameter. `None`
    /// for advice about anything else.
    pub(super) fn parameter(self) -> Option<&'static [&'static str]> {
        match self {
            Advice::LowerLearningRate | Advice::HigherLearningRate | Advice::LowerLate | Advice::DefaultAdam => {
                Some(&["learning_rate", "learningrate", "learn_rate", "lr", "lrate", "eta", "step_size"])
            }
            Advice::ClipGradients => Some(&["clip", "clipping", "clipnorm", "clipvalue", "max_grad_norm", "grad_norm"]),
            Advice::LargerBatch => Some(&["batch", "batch_size", "batchsize", "bs"]),
            Advice::BatchNorm => Some(&["norm", "batch_norm", "batchnorm", "bn", "normalization"]),
            Advice::MoreRegularization | Advice::LessRegularization => Some(&[
                "dropout",
                "drop",
                "dropout_rate",
                "weight_decay",
                "wd",
                "l1",
                "l2",
                "alpha",
                "lambda",
                "regularization",
                "reg",
                "subsample",
                "min_child",
                "max_depth",
                "min_samples",
            ]),
            Advice::LargerNetwork => Some(&[
                "layer",
                "unit",
                "neuron",
                "hidden",
                "width",
                "depth",
                "filter",
                "channel",
                "dim",
                "leaves",
                "model_size",
                "n_embd",
                "n_head",
            ]),
            _ => None,
        }
    }
}
