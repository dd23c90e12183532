//! The conversation between an agent and a trainer: one JSON object a line, on the trainer's stdin and stdout.
//!
//! ```text
//! trainer → Ready | Unusable                  once, after the start
//! agent   → Train                             then, trial after trial:
//! trainer → Began, Progress*, Epoch*, Saved*, and Ended | Paused | Unwritable
//! agent   → Pause                             at any time while it trains; answered by Paused, or by Ended if it was late
//! agent   → Probe                             in place of Train; answered by Probed, or by Ended if it cannot be done
//! agent   → (closes stdin)                    the trainer ends
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::probe::{Measured, Probe};
use crate::recipe::{Data, Recipe};
use crate::trial::{Attempt, EpochMetrics, Others, Outcome, TrialId};
use crate::warning::Warning;

/// Both sides must speak the same one.
pub const VERSION: u32 = 3;

/// The longest line that is taken from a trainer; a longer one is foreign text.
pub const LONGEST_LINE: usize = 1 << 20;

/// What a trainer is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ToTrainer {
    /// Train this.
    Train(Box<Order>),
    /// Try these settings out for some seconds, and say what was measured. Nothing is written.
    Probe(Box<Probe>),
    /// Finish the batch, save, answer `Paused`.
    Pause {
        /// What it is about; another attempt's is ignored.
        attempt: Attempt,
    },
}

/// One attempt at a trial, as the trainer is asked for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Which.
    pub attempt: Attempt,
    /// The sweep's seed: with the trial's number the source of every random draw.
    pub seed: u64,
    /// What to train.
    pub recipe: Recipe,
    /// The trial's folder, absolute; it exists. Checkpoints go there.
    pub folder: PathBuf,
    /// Epochs whose metrics are in the journal. A checkpoint can be ahead of it, where a controller died before it
    /// wrote down what it was told: the trainer then says those epochs again.
    #[serde(default)]
    pub epochs_known: u32,
    /// Whether the network is looked at before its first step.
    #[serde(default)]
    pub look: bool,
}

/// A contact sheet of augmented pictures, which `sweep-trainer --sheet` reads from stdin and draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// The sweep's seed.
    pub seed: u64,
    /// The trial whose pictures these would be.
    pub trial: TrialId,
    /// What it trains on, and how it changes it.
    pub data: Data,
    /// The PNG to be written.
    pub file: PathBuf,
}

/// What a trainer says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromTrainer {
    /// It has its device and waits for work.
    Ready {
        /// Its [`VERSION`].
        protocol: u32,
        /// What it trains on, for people: `cpu, 1 thread` or `NVIDIA A100-SXM4-40GB`.
        device: String,
        /// The library under it: `libtorch 2.13.0`.
        backend: String,
    },
    /// It cannot use the device that it was given, and ends.
    Unusable {
        /// Why, and what to do about it.
        reason: String,
    },
    /// The first epoch of the attempt is about to start.
    Began {
        /// Which.
        attempt: Attempt,
        /// Epochs that a checkpoint had finished and the journal knows; later ones come again, said or trained, and
        /// replace what was reported.
        from_epoch: u32,
        /// Pictures an epoch.
        train_examples: u64,
        /// Pictures held out.
        validation_examples: u64,
        /// Trainable weights, biases included.
        parameters: u64,
        /// Why an existing checkpoint was not used, if one was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// What is wrong with the network, if it was to be looked at.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<Warning>,
    },
    /// A sign of life, at most a few a second.
    Progress {
        /// Which.
        attempt: Attempt,
        /// The epoch under way, from 1.
        epoch: u32,
        /// Steps of it that are done.
        step: u64,
        /// Steps that it has.
        steps: u64,
    },
    /// An epoch is done.
    Epoch {
        /// Which.
        attempt: Attempt,
        /// What it showed.
        metrics: EpochMetrics,
        /// And under other names.
        #[serde(default, skip_serializing_if = "Others::is_empty")]
        others: Others,
    },
    /// The first epoch of a program's attempt is about to be told. The agent says so, never a trainer.
    ProgramBegan {
        /// Which.
        attempt: Attempt,
        /// The epochs up to this one stay; later ones come again, or are those of an attempt that was given up.
        from_epoch: u32,
        /// Whether the program counts its epochs from 0.
        from_zero: bool,
    },
    /// A program reported an epoch, or more of one. The agent says so, never a trainer.
    ProgramEpoch {
        /// Which.
        attempt: Attempt,
        /// What it showed, under the program's own number.
        metrics: EpochMetrics,
        /// And under other names.
        #[serde(default, skip_serializing_if = "Others::is_empty")]
        others: Others,
        /// Bytes of the metrics file up to which it was read, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<u64>,
    },
    /// A program ended with a fault. The agent says so before the slot is lost, never a trainer.
    ProgramFailed {
        /// Which.
        attempt: Attempt,
        /// Its exit code, if it has one.
        code: Option<i32>,
        /// Whether it ended within seconds and told no epoch, as after a usage error.
        at_once: bool,
        /// What happened, with the command.
        error: String,
    },
    /// A checkpoint is on the disk.
    Saved {
        /// Which.
        attempt: Attempt,
        /// The epochs finished in it.
        epoch: u32,
    },
    /// What a probe showed.
    Probed {
        /// Which.
        attempt: Attempt,
        /// The numbers.
        measured: Box<Measured>,
    },
    /// The attempt was asked to pause, and is saved.
    Paused {
        /// Which.
        attempt: Attempt,
    },
    /// The trial's folder cannot be written: no fault of the trial's, and the next would meet it, too.
    Unwritable {
        /// Whose.
        attempt: Attempt,
        /// Which file, why, and what to do about it, in one line.
        reason: String,
    },
    /// The trial is over.
    Ended {
        /// Which.
        attempt: Attempt,
        /// How.
        outcome: Outcome,
    },
}

/// The newest checkpoint of a trial, in its folder: weights, optimizer, epoch, best weights so far.
pub const LAST_CHECKPOINT: &str = "last.safetensors";

/// The checkpoint before it, for the case that the newest is damaged.
pub const PREVIOUS_CHECKPOINT: &str = "previous.safetensors";

/// The weights of a trial's best epoch, in its folder, once it has ended.
pub const BEST_WEIGHTS: &str = "best.safetensors";
/// Its format.
pub const WEIGHTS_FORMAT: &str = "sweep weights 1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every message, as it is said.
    const CONVERSATION: &str = include_str!("../../../fuzz/seeds/protocol/conversation");

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Whatever happens to a message on its way, it is one that is said again in the same words, or none.
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
