//! The messages between a controller and its agents on other machines.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::Part;
use crate::agent::{GpuRow, ToHost};
use sweep_core::protocol::FromTrainer;
use sweep_core::trial::Attempt;
use sweep_scheduler::schedule::{Condition, Event, FromProgram, SlotId};

/// The sweep, as its controller describes it to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Name of the sweep.
    pub name: String,
    /// Path of the sweep file, for messages.
    pub file: String,
    /// Text of the sweep file.
    pub text: String,
    /// Folder that relative paths in the file start from.
    pub base: PathBuf,
    /// Folder in which programs start.
    pub start: Option<PathBuf>,
    /// GPUs to use instead of those in the sweep file, as `--gpus` has them.
    pub gpus: Option<String>,
    /// Path of the trainer, if it is not beside the agent's `sweep`.
    pub trainer: Option<PathBuf>,
    /// Whether every checkpoint is sent to the controller, and not only that of a trial that is paused.
    pub carry: bool,
}

/// A message to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum ToAgent {
    /// The first message of a controller. The answer is [`FromAgent::Offer`] or [`FromAgent::Cannot`].
    Sweep(Box<Terms>),
    /// Something to do.
    Host { order: ToHost },
    /// A part of a checkpoint that another host has saved.
    File(Part),
    /// Save and leave. `done`: the sweep is complete, and nothing of it is needed here any more. `again`: a new job is
    /// needed in place of this one.
    Leave { done: bool, again: bool },
}

/// A message from an agent. Slots have the numbers of its offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum FromAgent {
    Offer(Box<Offer>),
    /// The sweep cannot run here.
    Cannot {
        reason: String,
    },
    /// It has to leave soon, and takes no more trials.
    Leaving {
        why: String,
    },
    /// What a trainer said.
    Said {
        slot: SlotId,
        message: FromTrainer,
    },
    /// What a program did.
    Program {
        slot: SlotId,
        message: FromProgram,
    },
    Unstartable {
        slot: SlotId,
        attempt: Attempt,
        error: String,
    },
    Gone {
        slot: SlotId,
        how: String,
        out_of_memory: bool,
    },
    Device {
        slot: SlotId,
        condition: Condition,
    },
    /// What the slot's trials have used of its GPU.
    Usage {
        slot: SlotId,
        usage: Usage,
    },
    /// What its GPUs do.
    Gpus {
        rows: Vec<GpuRow>,
    },
    /// Something for the user.
    Note {
        text: String,
    },
    /// A part of a file of a trial.
    File(Part),
}

/// The machine of an agent, and what runs there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Name of the host among those of the sweep.
    pub node: String,
    /// The machine, in one line.
    pub about: String,
    /// The time of its job, if it has an end.
    pub time: Option<JobTime>,
    pub slots: Vec<Offered>,
}

/// The time of a job for trials. They save in the time after it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JobTime {
    /// What is left of it.
    pub left: Duration,
    /// What such a job has from its beginning.
    pub whole: Duration,
}

/// What a slot uses of its GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory of its trainer in bytes, if the driver reports it.
    pub memory: Option<u64>,
    /// Memory for all trials of the sweep in bytes, if the driver reports it.
    pub room: Option<u64>,
    /// Energy of all its trials since the agent began, in joules. A sum, so that a newer message replaces an older one.
    pub joules: f64,
}

/// A slot of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// Name without the host: `cpu:0`.
    pub name: String,
    /// What tells it from the host's other slots, whatever joins or leaves.
    pub identity: String,
    /// Number of its device on the host.
    pub place: usize,
    /// Memory for its trials in bytes.
    pub room: Option<u64>,
    /// Whether its GPU can be used.
    pub condition: Condition,
    /// Energy that its trials have used since the agent began, in joules.
    pub joules: f64,
    /// Whether it has a trainer.
    pub has_trainer: bool,
    /// What the trainer said when it was ready.
    pub ready: Option<Box<FromAgent>>,
    /// The attempt that it was given and that has not ended.
    pub attempt: Option<Attempt>,
}

impl FromAgent {
    /// Returns the message for an event of a host. Events of the controller have none.
    pub fn of(event: Event) -> Option<FromAgent> {
        Some(match event {
            Event::Said { slot, message } => FromAgent::Said { slot, message },
            Event::Program { slot, message } => FromAgent::Program { slot, message },
            Event::Unstartable { slot, attempt, error } => FromAgent::Unstartable { slot, attempt, error },
            Event::Gone { slot, how, out_of_memory } => FromAgent::Gone { slot, how, out_of_memory },
            Event::Device { slot, condition } => FromAgent::Device { slot, condition },
            _ => return None,
        })
    }

    /// Returns the event, with the slot's number as the controller has it.
    pub fn event(self, slot: SlotId) -> Option<Event> {
        Some(match self {
            FromAgent::Said { message, .. } => Event::Said { slot, message },
            FromAgent::Program { message, .. } => Event::Program { slot, message },
            FromAgent::Unstartable { attempt, error, .. } => Event::Unstartable { slot, attempt, error },
            FromAgent::Gone { how, out_of_memory, .. } => Event::Gone { slot, how, out_of_memory },
            FromAgent::Device { condition, .. } => Event::Device { slot, condition },
            _ => return None,
        })
    }

    /// Returns the number of the slot that it is about, as the agent has it.
    pub fn slot(&self) -> Option<SlotId> {
        match self {
            FromAgent::Said { slot, .. }
            | FromAgent::Program { slot, .. }
            | FromAgent::Unstartable { slot, .. }
            | FromAgent::Gone { slot, .. }
            | FromAgent::Device { slot, .. }
            | FromAgent::Usage { slot, .. } => Some(*slot),
            _ => None,
        }
    }

    /// Returns the attempt that it is about.
    pub fn attempt(&self) -> Option<Attempt> {
        use FromTrainer as T;
        match self {
            FromAgent::Said { message, .. } => match message {
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
            FromAgent::Program { message, .. } => match message {
                FromProgram::Started { attempt, .. }
                | FromProgram::Warned { attempt, .. }
                | FromProgram::Began { attempt, .. }
                | FromProgram::Epoch { attempt, .. }
                | FromProgram::Paused { attempt, .. }
                | FromProgram::Failed { attempt, .. }
                | FromProgram::Ended { attempt, .. } => Some(*attempt),
                FromProgram::Ready { .. } => None,
            },
            FromAgent::Unstartable { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// Whether a newer message of the same slot says all that this one says.
    pub fn is_progress(&self) -> bool {
        matches!(self, FromAgent::Said { message: FromTrainer::Progress { .. }, .. })
    }

    /// Whether the slot's trainer or program can take an attempt.
    pub fn is_ready(&self) -> bool {
        matches!(
            self,
            FromAgent::Said { message: FromTrainer::Ready { .. }, .. }
                | FromAgent::Program { message: FromProgram::Ready { .. }, .. }
        )
    }

    /// Whether the attempt has left its slot.
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            FromAgent::Said { message: FromTrainer::Paused { .. } | FromTrainer::Ended { .. }, .. }
                | FromAgent::Program { message: FromProgram::Paused { .. } | FromProgram::Ended { .. }, .. }
                | FromAgent::Unstartable { .. }
        )
    }

    /// Whether the trial is over for its trainer or program.
    pub fn is_end(&self) -> bool {
        matches!(
            self,
            FromAgent::Said { message: FromTrainer::Ended { .. }, .. }
                | FromAgent::Program { message: FromProgram::Ended { .. }, .. }
        )
    }
}
