//! The words of each piece of advice.

use super::{Advice, Mirror};
use crate::Task;

impl Advice {
    /// Returns the advice in one or two sentences in the imperative, in the words of the task.
    pub fn text(self, task: Task) -> String {
        let text = match self {
            Advice::HoldOut => HOLD_OUT,
            Advice::MeasureTraining => {
                "Log the same metric, or the loss, on training data, too. Only both together show whether the model \
                 overfits."
            }
            Advice::CheckData => check_data(task),
            Advice::CompareSets => COMPARE_SETS,
            Advice::CheckTask => check_task(task),
            Advice::CheckCapacity if task == Task::Images => CHECK_CAPACITY,
            Advice::CheckCapacity => CHECK_ONE_BATCH,
            Advice::NoMoreDropout => {
                "Do not add dropout before these checks are done: it lowers training accuracy, which is already low."
            }
            Advice::FasterStatistics => FASTER_STATISTICS,
            Advice::DefaultAdam if matches!(task, Task::Text | Task::LanguageModel | Task::Audio) => {
                "Before trying others, use Adam with a warm-up, and a learning rate of 0.001 for a small network, or 2e-5 to \
                 5e-5 for a pretrained transformer."
            }
            Advice::DefaultAdam => "Use Adam with its default learning rate of 0.001 before trying others.",
            Advice::LowerLearningRate => "Divide the learning rate by 10.",
            Advice::HigherLearningRate if task == Task::Images => {
                "Multiply the learning rate by 3, then by 10: the loss falls, but too slowly. For networks of a sweep file, \
                 `sweep check` shows at which rate it falls fastest."
            }
            Advice::HigherLearningRate => {
                "Multiply the learning rate by 3, then by 10: the loss falls, but too slowly."
            }
            Advice::ClipGradients => "Clip the gradient norm (for example, at 1), or warm up the learning rate.",
            Advice::LargerBatch => "Double the batch size.",
            Advice::LargerValidation => "If the validation set is small, validate on more examples.",
            Advice::KnownNetwork => {
                "Start from a network known to work on this kind of data, reproduce its result, and change one thing at \
                 a time."
            }
            Advice::Augment(mirror) => return format!("Augment the images: {}", mirror.way()),
            Advice::MoreData => more_data(task),
            Advice::MoreImages => {
                "Train on more of the images: `train_examples` leaves some out, and nothing improves generalization as \
                 much as more data."
            }
            Advice::MoreEpochs { until, longer_schedule } => return more_epochs(until, longer_schedule),
            Advice::LessRegularization => less_regularization(task),
            Advice::LargerNetwork if task == Task::Images => {
                "If training accuracy must rise, give the network more filters or layers."
            }
            Advice::LargerNetwork => "If training must get better, give the network more units or layers.",
            Advice::BatchNorm => {
                "Add batch normalization between each convolution and its activation. Do not combine it with max-norm."
            }
            Advice::MoreRegularization => more_regularization(task),
            Advice::LowerLate => {
                "Divide the learning rate by 10 where the curve becomes flat, or lower it with a schedule."
            }
            Advice::StopEarly => "Keep the weights of the best epoch, and stop soon after it (early stopping).",
            Advice::Repeat if task == Task::Images => {
                "Repeat the run with other seeds before you trust a difference of one point. For more accuracy, add \
                 augmentation, then try a larger network."
            }
            Advice::Repeat => "Repeat the run with other seeds before you trust a small difference.",
        };
        text.to_owned()
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

const HOLD_OUT: &str = "Hold out part of the training data (for example, one tenth) and log its loss, and its accuracy if there \
     is one, every epoch.";

const COMPARE_SETS: &str = "Before any regularization, find what differs between the two sets: evaluate on the \
    training data in the same code path (evaluation mode, batch norm); compare preprocessing and normalization; check \
    that validation labels were not shuffled separately from their inputs, and that both sets use the same class \
    numbers.";

const CHECK_CAPACITY: &str = "Check the capacity: without dropout, weight decay, max-norm and augmentation, training accuracy must \
     approach 100%. If it does not, the network is too small or the data is corrupt, and no other change \
     will help.";

const CHECK_ONE_BATCH: &str = "Check the capacity: train on a single batch, without dropout and weight decay. Its loss must \
     approach the lowest that is possible. If it does not, the network, the loss or the optimizer is wrong, and no other \
     change will help.";

const FASTER_STATISTICS: &str = "Let the running statistics of batch normalization adapt faster: use a momentum of 0.9 (0.1 in PyTorch's \
     convention) instead of 0.99, or smaller batches, so that an epoch has more steps.";

fn check_data(task: Task) -> &'static str {
    match task {
        Task::Images | Task::Detection => {
            "Check the data first: plot some images exactly as the network receives them. If they look scrambled, they \
             were probably converted to channels-first with reshape instead of transpose. Grayscale images (MNIST) \
             survive that mistake; color images do not."
        }
        Task::Text | Task::LanguageModel => {
            "Check the data first: decode some inputs from the tokens exactly as the network receives them, and read \
             them beside their targets. Look for truncation, padding, and a vocabulary of another tokenizer."
        }
        Task::Audio => {
            "Check the data first: listen to some inputs exactly as the network receives them, and read them beside \
             their targets. Look at sample rate, clipping, and silence."
        }
        Task::Tabular => {
            "Check the data first: print some rows exactly as the model receives them. Look for missing values read as \
             numbers, unscaled columns, and rows whose target belongs to another row."
        }
        _ => "Check the data first: look at some inputs, beside their targets, exactly as the network receives them.",
    }
}

fn check_task(task: Task) -> &'static str {
    match task {
        Task::Images | Task::Detection => {
            "Check that labels match their images, that pixels are scaled (for example, to 0–1), and that the loss fits \
             the last layer (softmax once, not twice)."
        }
        Task::Text | Task::LanguageModel => {
            "Check that targets match their texts (shifted by one token, padding ignored), and that the loss fits the \
             last layer (softmax once, not twice)."
        }
        _ => {
            "Check that targets match their inputs, that inputs are scaled, and that the loss fits the last layer \
             (softmax once, not twice)."
        }
    }
}

fn more_data(task: Task) -> &'static str {
    match task {
        Task::Tabular => {
            "Train on more rows if there are any, or on fewer columns: nothing else improves generalization as much."
        }
        _ => "Train on more data, or start from a pretrained network: nothing else improves generalization as much.",
    }
}

fn more_epochs(until: u32, longer_schedule: bool) -> String {
    let schedule = if longer_schedule { ", and stretch the learning-rate schedule to that length" } else { "" };
    format!("Train longer, to about epoch {until}{schedule}.")
}

fn less_regularization(task: Task) -> &'static str {
    match task {
        Task::Tabular => "Reduce regularization step by step (with trees: deeper trees, smaller leaves).",
        _ => {
            "Reduce regularization step by step: halve dropout and weight decay until training is better than \
             validation again."
        }
    }
}

fn more_regularization(task: Task) -> &'static str {
    match task {
        Task::Tabular => {
            "Add regularization in small steps (dropout or weight decay; with trees: shallower trees, larger leaves, \
             subsampling), and no more than needed."
        }
        _ => "Add dropout or weight decay in small steps, and no more than needed: too much causes underfitting.",
    }
}
