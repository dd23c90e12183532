//! The processes of a program, by which a later controller finds what a killed one has left.

use serde::{Deserialize, Serialize};

/// A process. Its start time distinguishes it from a later process with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process ID.
    pub pid: u32,
    /// Start time, in clock ticks since the machine started.
    pub start: u64,
}

/// The processes of one attempt at a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The kernel's boot ID. It differs on another machine or after a restart, where the processes no longer exist.
    pub boot: String,
    pub supervisor: Process,
    /// The program. It leads a process group.
    pub program: Process,
}
