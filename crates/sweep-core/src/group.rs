//! The processes of a program, by which a later controller finds what a killed one has left.

use serde::{Deserialize, Serialize};

/// A process. Its start time tells it from a later process with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process ID.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub start: u64,
}

/// The processes of one attempt at a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The kernel's name for the time since the machine started: on another machine, or after a restart, the processes
    /// are gone.
    pub boot: String,
    /// The supervisor.
    pub supervisor: Process,
    /// The program. It leads a process group.
    pub program: Process,
}
