//! The protocol between an agent and a trainer: one JSON object per line, on the trainer's stdin and stdout.
//!
//! ```text
//! trainer → Ready | Unusable                  once, after the start
//! agent   → Train                             then, trial after trial:
//! trainer → Began, Progress*, Epoch*, Saved*, and Ended | Paused | Unwritable
//! agent   → Pause                             at any time while it trains; answered by Paused, or Ended if it was late
//! agent   → Measure                           in place of Train; answered by Measured, or by Ended if it cannot be done
//! agent   → (closes stdin)                    the trainer ends
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::measurement::{MeasureRequest, Measured};
use crate::recipe::{Data, Recipe};
use crate::trial::{Attempt, EpochMetrics, Others, Outcome, TrialId};
use crate::warning::Warning;

/// Protocol version. Both sides must use the same one.
pub const VERSION: u32 = 5;

/// Maximum length of a line from a trainer, in bytes. A longer line is treated as foreign text.
pub const LONGEST_LINE: usize = 1 << 20;

/// A command from the agent to a trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ToTrainer {
    /// Train one attempt.
    Train(Box<Order>),
    /// Measure the network for a few seconds and report the results. Nothing is written.
    Measure(Box<MeasureRequest>),
    /// Finish the batch, save a checkpoint, and answer `Paused`.
    Pause {
        /// The attempt to pause. A pause of another attempt is ignored.
        attempt: Attempt,
    },
}

/// One attempt at a trial, as sent to the trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub attempt: Attempt,
    /// Seed of the sweep. Together with the trial's number it keys every random draw.
    pub seed: u64,
    /// What to train.
    pub recipe: Recipe,
    /// Absolute path of the trial's folder, which exists. Checkpoints are written there.
    pub folder: PathBuf,
    /// Number of epochs whose metrics are in the journal. A checkpoint can be ahead of the journal if a controller died
    /// before it recorded an epoch. The trainer then reports those epochs again.
    #[serde(default)]
    pub epochs_known: u32,
    /// Whether the network is checked before its first step.
    #[serde(default)]
    pub check_weights: bool,
}

/// Request for a contact sheet of augmented images. `sweep-trainer --sheet` reads it from stdin and draws the sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// Seed of the sweep.
    pub seed: u64,
    /// The trial whose images are drawn.
    pub trial: TrialId,
    /// Data of the trial, with its augmentation.
    pub data: Data,
    /// Path of the PNG file to write.
    pub file: PathBuf,
}

/// Request for the predictions of a trained network. `sweep-trainer --predict` reads it from stdin and writes
/// [`Predicted`] to stdout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predict {
    /// Path of the weights, a `best.safetensors`. It contains the trial's recipe.
    pub weights: PathBuf,
    pub images: Subject,
    /// Path of a PNG file to draw the [`WORST`] images with the lowest probabilities of their own classes into, if there
    /// are any that were classified wrongly: five in a row, the worst first.
    pub worst: Option<PathBuf>,
    /// Whether probabilities are the mean of those of the image and of its mirror image (test-time augmentation).
    #[serde(default)]
    pub mirror: bool,
}

/// Maximum number of images that [`Predict::worst`] shows.
pub const WORST: usize = 25;

/// Images to predict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Image files of any size.
    Files(Vec<PathBuf>),
    /// The trial's own validation images.
    Validation,
    /// The test images of the trial's data set.
    Test,
}

/// The predictions of a trained network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// One prediction per image, in the order of the request.
    pub images: Vec<Prediction>,
}

impl Prediction {
    /// Returns the likeliest class, or `None` if the image could not be read.
    pub fn class(&self) -> Option<usize> {
        let each = self.probabilities.iter().enumerate();
        each.max_by(|one, other| one.1.total_cmp(other.1)).map(|(class, _)| class)
    }
}

impl Predicted {
    /// Returns the indices of wrongly classified images, at most [`WORST`]. The image whose own class has the lowest
    /// probability comes first.
    pub fn worst(&self) -> Vec<usize> {
        let own = |at: &usize| self.images[*at].label.map_or(1.0, |label| self.images[*at].probabilities[label]);
        let wrong = |at: &usize| self.images[*at].label.is_some() && self.images[*at].label != self.images[*at].class();
        let mut worst: Vec<usize> = (0..self.images.len()).filter(wrong).collect();
        worst.sort_by(|one, other| own(one).total_cmp(&own(other)));
        worst.truncate(WORST);
        worst
    }
}

/// The prediction of a trained network for one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Index of the image's own class, if it is known.
    pub label: Option<usize>,
    /// Probability of each class. Empty if the image cannot be read.
    pub probabilities: Vec<f32>,
    /// Why the image cannot be used.
    pub error: Option<String>,
    /// How the image was converted to the network's input shape, such as cropping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A message from a trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromTrainer {
    /// The trainer has its device and waits for work.
    Ready {
        /// The trainer's protocol [`VERSION`].
        protocol: u32,
        /// Name of the device, for display: `cpu, 1 thread` or `NVIDIA A100-SXM4-40GB`.
        device: String,
        /// Library that the trainer uses: `libtorch 2.13.0`.
        backend: String,
    },
    /// The trainer cannot use the device that it was given, and exits.
    Unusable {
        /// The reason and how to fix it.
        reason: String,
    },
    /// The first epoch of the attempt is about to start.
    Began {
        /// The attempt that begins.
        attempt: Attempt,
        /// Number of epochs that a checkpoint had finished and the journal has. Later epochs are reported or trained
        /// again, and replace what was reported.
        from_epoch: u32,
        /// Training images per epoch.
        train_examples: u64,
        /// Validation images.
        validation_examples: u64,
        /// Number of trainable weights, including biases.
        parameters: u64,
        /// Why an existing checkpoint was not used, if one was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// Problems found in the network, if a check was requested.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<Warning>,
    },
    /// A heartbeat, sent at most a few times per second.
    Progress {
        /// The running attempt.
        attempt: Attempt,
        /// The current epoch, from 1.
        epoch: u32,
        /// Finished steps of the epoch.
        step: u64,
        /// Total steps of the epoch.
        steps: u64,
    },
    /// An epoch has ended.
    Epoch {
        /// The attempt that trained the epoch.
        attempt: Attempt,
        metrics: EpochMetrics,
        /// Metrics with other names.
        #[serde(default, skip_serializing_if = "Others::is_empty")]
        others: Others,
    },
    /// A checkpoint is on the disk.
    Saved {
        /// The attempt that saved the checkpoint.
        attempt: Attempt,
        /// Number of finished epochs in the checkpoint.
        epoch: u32,
    },
    /// A measurement has ended.
    Measured {
        /// The attempt that was measured.
        attempt: Attempt,
        /// Results of the measurement.
        measured: Box<Measured>,
    },
    /// The attempt was asked to pause and has saved a checkpoint.
    Paused { attempt: Attempt },
    /// The trial's folder cannot be written. The trial is not the cause, and the next trial would have the same
    /// problem.
    Unwritable {
        /// The attempt that could not write.
        attempt: Attempt,
        /// The file, the reason, and how to fix it, in one line.
        reason: String,
    },
    /// The trial is over.
    Ended {
        attempt: Attempt,
        /// How the trial ended.
        outcome: Outcome,
    },
}

/// File name of a trial's newest checkpoint: weights, optimizer, epoch, and best weights so far.
pub const LAST_CHECKPOINT: &str = "last.safetensors";

/// File name of the checkpoint before the newest. It is kept in case the newest is damaged.
pub const PREVIOUS_CHECKPOINT: &str = "previous.safetensors";

/// File name of the weights of a trial's best epoch, written when the trial ends.
pub const BEST_WEIGHTS: &str = "best.safetensors";
/// Format of the file with the best weights.
pub const WEIGHTS_FORMAT: &str = "sweep weights 1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One instance of every message.
    const CONVERSATION: &str = include_str!("../../../fuzz/seeds/protocol/conversation");

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// A message that is altered in transit is either rejected, or parses to one that serializes to itself.
        #[test]
        fn a_damaged_message_is_a_message_or_foreign_text(
            which in 0..12_usize, at in 0..250_usize, length in 0..12_usize, put in prop::collection::vec(any::<u8>(), 0..6)
        ) {
            let mut line = CONVERSATION.lines().nth(which).unwrap().as_bytes().to_vec();
            prop_assert_eq!(serde_json::from_slice::<FromTrainer>(&line).is_ok(), which < 10, "two are not a trainer's");
            let (from, to) = (at.min(line.len()), (at + length).min(line.len()));
            line.splice(from..to, put);
            if let Ok(message) = serde_json::from_slice::<FromTrainer>(&line) {
                let again = serde_json::to_vec(&message).unwrap();
                prop_assert_eq!(serde_json::from_slice::<FromTrainer>(&again).unwrap(), message);
            }
            let _ = serde_json::from_slice::<ToTrainer>(&line);
        }
    }
}
