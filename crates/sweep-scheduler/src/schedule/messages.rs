//! The scheduler's inputs and outputs: events and actions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::slots::Slot;
use sweep_core::group::Group;
use sweep_core::history::{Entry, Machine};
use sweep_core::protocol::FromTrainer;
use sweep_core::steering::Asked;
use sweep_core::trial::{Attempt, EpochMetrics, Others, Outcome, Settings, TrialId};
use sweep_core::warning::Warning;

/// Index of a slot in the list of slots. A slot that has left keeps its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(pub usize);

/// Time of an event, for the journal and for delays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// Unix seconds. May jump.
    pub unix: f64,
    /// Time since the run began. Never decreases.
    pub since: Duration,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something happened on a slot.
    On(SlotId, SlotEvent),
    /// The agent of another host is there, for the first time or anew.
    Joined {
        /// Name of the host.
        node: String,
        /// What it said of its machine.
        machine: Machine,
        /// Its slots.
        slots: Vec<Joining>,
    },
    /// There is no word from another host. Its trials may go on there until its lease runs out.
    Silent {
        /// Name of the host.
        node: String,
        /// When its lease has surely run out, since the run began.
        until: Duration,
        /// What is known about the reason.
        why: String,
    },
    /// A host that was silent was heard again, and nothing that it said was lost.
    Back {
        /// Name of the host.
        node: String,
    },
    /// A host has to leave soon: its trials save, and it gets no more.
    Leaving {
        /// Name of the host.
        node: String,
    },
    /// Nothing of the sweep runs on a host any more.
    Departed {
        /// Name of the host.
        node: String,
        /// The reason.
        why: String,
    },
    /// Whether slots may still join.
    Expects(bool),
    /// A measurement of a slot's GPU.
    Sight {
        /// The slot on the GPU.
        slot: SlotId,
        /// GPU memory of the slot's trainer, in bytes. `None` if the driver does not report it.
        memory: Option<u64>,
        /// GPU memory available to all trials of the sweep, in bytes. `None` if the driver does not report it.
        room: Option<u64>,
        /// The trial's share of the energy since the last measurement, in joules.
        joules: f64,
    },
    /// The user asks for something from another terminal.
    Asked(Asked),
    /// The user asks the sweep to save and exit. A second interrupt exits at once.
    Interrupt,
    /// Time has passed.
    Tick,
}

/// Something that happened on a slot. Agents on other hosts send it as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotEvent {
    /// The trainer sent a message.
    Said(FromTrainer),
    /// A program did something, by what it wrote or by how it ended.
    Program(FromProgram),
    /// An attempt cannot be handed to the trainer. Another try would not change that.
    Unstartable {
        attempt: Attempt,
        /// The reason.
        error: String,
    },
    /// The trainer has exited, or could not be started.
    Gone {
        /// How the trainer ended: `was ended by signal 9 (SIGKILL)`
        how: String,
        /// Whether the kernel killed the trainer for lack of memory.
        out_of_memory: bool,
    },
    /// The condition of the device has changed.
    Device(Condition),
}

impl SlotEvent {
    /// Returns the attempt that it is about.
    pub fn attempt(&self) -> Option<Attempt> {
        use FromTrainer as T;
        match self {
            SlotEvent::Said(message) => match message {
                T::Began { attempt, .. }
                | T::Progress { attempt, .. }
                | T::Epoch { attempt, .. }
                | T::Saved { attempt, .. }
                | T::Measured { attempt, .. }
                | T::Paused { attempt }
                | T::Unwritable { attempt, .. }
                | T::Ended { attempt, .. } => Some(*attempt),
                T::Ready { .. } | T::Unusable { .. } => None,
            },
            SlotEvent::Program(message) => match message {
                FromProgram::Started { attempt, .. }
                | FromProgram::Warned { attempt, .. }
                | FromProgram::Began { attempt, .. }
                | FromProgram::Epoch { attempt, .. }
                | FromProgram::Paused { attempt, .. }
                | FromProgram::Failed { attempt, .. }
                | FromProgram::Ended { attempt, .. } => Some(*attempt),
                FromProgram::Ready { .. } => None,
            },
            SlotEvent::Unstartable { attempt, .. } => Some(*attempt),
            SlotEvent::Gone { .. } | SlotEvent::Device(_) => None,
        }
    }

    /// Whether a newer event of the same slot says all that this one says.
    pub fn is_progress(&self) -> bool {
        matches!(self, SlotEvent::Said(FromTrainer::Progress { .. }))
    }

    /// Whether the slot's trainer or program can take an attempt.
    pub fn is_ready(&self) -> bool {
        matches!(self, SlotEvent::Said(FromTrainer::Ready { .. }) | SlotEvent::Program(FromProgram::Ready { .. }))
    }

    /// Whether the attempt has left its slot.
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            SlotEvent::Said(FromTrainer::Paused { .. })
                | SlotEvent::Program(FromProgram::Paused { .. })
                | SlotEvent::Unstartable { .. }
        ) || self.is_end()
    }

    /// Whether the trial is over for its trainer or program.
    pub fn is_end(&self) -> bool {
        matches!(self, SlotEvent::Said(FromTrainer::Ended { .. }) | SlotEvent::Program(FromProgram::Ended { .. }))
    }
}

/// A slot of another host that joins.
#[derive(Debug, Clone, PartialEq)]
pub struct Joining {
    /// The slot, as a new one. Its host and its identity tell whether it was there before.
    pub slot: Slot,
    /// Whether it has a trainer, which a controller before this one started.
    pub has_trainer: bool,
    /// The attempt that the trainer has. Everything that was said of it and was not acknowledged is said again.
    pub attempt: Option<Attempt>,
}

/// What the agent found out about a program, which does not speak the protocol of trainers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum FromProgram {
    /// The slot can run programs. The name of its device is for display.
    Ready { device: String },
    /// The program runs, in these processes, if it has not ended yet. `script`: beginning of the SHA-256 of its script.
    Started { attempt: Attempt, group: Option<Group>, script: Option<String> },
    /// The program is about to report its first epoch. Epochs up to `from_epoch` stay. Later ones come again, or belong
    /// to an attempt that was given up. `from_zero`: the program counts its epochs from 0.
    Began { attempt: Attempt, from_epoch: u32, from_zero: bool },
    /// The program reported an epoch, or more of one, under its own number. `read`: bytes of the metrics file up to
    /// which it was read, if there is one. `planned` and `source`: the number of epochs that it means to train, and
    /// where the metric is read from, where this is news.
    Epoch {
        attempt: Attempt,
        metrics: EpochMetrics,
        others: Others,
        read: Option<u64>,
        planned: Option<u32>,
        source: Option<String>,
    },
    /// Something about what the program does is worth knowing.
    Warned { attempt: Attempt, warning: Warning },
    /// The program has left its trial, which continues later.
    Paused { attempt: Attempt, left: Left },
    /// The program ended with a fault, and the slot is about to be lost. `gist`: its exit code and last words, without
    /// what differs from attempt to attempt, if it reported no epoch and other attempts can end in the same way. `error`
    /// includes the command.
    Failed { attempt: Attempt, gist: Option<String>, error: String },
    /// The trial is over.
    Ended { attempt: Attempt, outcome: Outcome },
}

/// How a program left a trial that continues later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// It was asked to, and ended by itself, so it had the time to save.
    Saved,
    /// It was asked to, and it may not have saved a checkpoint.
    Unsaved { reason: String },
    /// The sweep did not ask it to. It wants to be started again later, or `signal`, which somebody else sent, ended it
    /// with exit code 0.
    Later { signal: Option<i32> },
}

/// Whether a slot's device can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The device can be used.
    Free,
    /// Other processes use the device, so no trainer is started on it until it is free. An existing trainer stays or
    /// leaves, depending on `courtesy`.
    Busy(String),
    /// The device cannot be used again in this run.
    Broken(String),
}

/// Something to do. Actions are performed in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this entry to the journal. The scheduler's own history has already applied it.
    Record(Entry),
    /// Start a trainer on the slot.
    Start(SlotId),
    /// Ask the slot's trainer to train.
    Train {
        /// The slot of the trainer.
        slot: SlotId,
        attempt: Attempt,
        /// Parameters of the trial.
        settings: Settings,
    },
    /// Ask the slot's trainer to save and leave its trial.
    Pause {
        /// The slot of the trainer.
        slot: SlotId,
        attempt: Attempt,
    },
    /// End the slot's trainer: ask it first, then send signals.
    End(SlotId),
    /// Kill the slot's trainer at once.
    Kill(SlotId),
    /// Remove a file of a trial that is no longer needed. It may already be gone.
    Remove {
        /// The trial that left the file.
        trial: TrialId,
        /// The file to remove.
        leftover: Leftover,
    },
}

/// A file that a trial leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftover {
    /// The checkpoints to resume from.
    Checkpoints,
    /// The weights of the best epoch.
    BestWeights,
    /// All that a program has left in the trial's folder.
    Everything,
}
