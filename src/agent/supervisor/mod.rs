//! The supervisor: a small process between the controller and one program of the user.
//!
//! ```text
//! controller ── order, then one byte per command ──► supervisor ──► program and whatever it starts
//!            ◄── reports, one JSON object per line ──             ◄── stdout, stderr
//! ```
//!
//! It adopts all processes that the program leaves behind, so that none of them outlives the attempt. If the controller
//! dies, it asks the program to save and ends it. It alone reads what the program prints, so no line is lost with a
//! controller: lines of metrics go to [`PRINTED`], which is read like any metrics file, and all others to the log.
//! Metrics in printed text go to both.

mod family;
mod handle;
mod leftovers;
mod main;
mod printed;

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

pub use handle::Supervisor;
pub use leftovers::{end_leftovers, kill_marked, wait_for_leftovers};
pub use main::main;

/// The first argument of `sweep` that makes it a supervisor. Only the controller starts one.
pub const WORD: &str = "supervise";

/// File in a trial's folder with the lines of metrics that its program printed.
pub const PRINTED: &str = "printed.jsonl";

/// Environment variable of the supervisor and all that it starts, with the path of the trial's folder. A controller that
/// resumes a sweep recognizes by it what is left of a killed one.
pub const MARK: &str = "SWEEP_SUPERVISED";

/// File in a trial's folder with the signals that its program has handled, as far as the hook for Python sees them: a
/// JSON array of numbers.
pub const TAKEN: &str = ".signals.json";

/// What the controller wants, as the first line on the supervisor's stdin.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    pub log: PathBuf,
    /// File for lines of metrics. `None` if the program writes a metrics file of its own.
    pub printed: Option<PathBuf>,
    /// Metric by which trials are ranked.
    pub metric: String,
    /// Regular expression for lines of metrics, if the sweep file has one.
    pub expression: Option<String>,
}

/// A command that follows the order, as one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Send SIGTERM to the program's group.
    Stop,
    /// Send SIGKILL to all that the program started.
    Kill,
}

impl Command {
    fn byte(self) -> u8 {
        match self {
            Command::Stop => b'S',
            Command::Kill => b'K',
        }
    }

    fn of(byte: u8) -> Option<Command> {
        [Command::Stop, Command::Kill].into_iter().find(|command| command.byte() == byte)
    }
}

/// What the supervisor reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Report {
    /// The program runs.
    Started {
        /// Its process, which leads its group.
        pid: u32,
    },
    /// The program cannot be started.
    Refused {
        reason: String,
        /// Whether another attempt would fail, too: there is no such program, or it is not executable.
        is_final: bool,
    },
    /// Lines of metrics were added to the file.
    Printed,
    /// A line of metrics cannot be kept: the disk is full, for example.
    Unwritable {
        /// The file and the reason.
        reason: String,
    },
    /// The program has ended, with all that it started, and everything it printed is in the files.
    Ended {
        /// The status, as `wait` returns it.
        status: i32,
        /// The signal that was sent to the supervisor not long before: to the whole job, probably.
        signaled: Option<i32>,
        /// A signal that the program handled and that may be why it ended.
        taken: Option<i32>,
        /// What the program printed last that may be why it ended.
        last_words: Option<String>,
    },
}

/// The exit status in a report.
pub fn status(raw: i32) -> ExitStatus {
    ExitStatus::from_raw(raw)
}
