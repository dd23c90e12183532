//! The messages between a controller and its agents on other machines.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::Part;
use crate::agent::{GpuRow, ToHost};
use sweep_core::history::Machine;
use sweep_core::trial::Attempt;
use sweep_scheduler::schedule::{Condition, Event, SlotEvent, SlotId};

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
#[serde(rename_all = "snake_case")]
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
#[serde(rename_all = "snake_case")]
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
    /// Something happened on a slot.
    On {
        slot: SlotId,
        event: SlotEvent,
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
    pub machine: Machine,
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
    pub ready: Option<Box<SlotEvent>>,
    /// The attempt that it was given and that has not ended.
    pub attempt: Option<Attempt>,
}

impl FromAgent {
    /// Returns the message for an event of a host. Events of the controller have none.
    pub fn of(event: Event) -> Option<FromAgent> {
        if let Event::On(slot, event) = event { Some(FromAgent::On { slot, event }) } else { None }
    }
}
