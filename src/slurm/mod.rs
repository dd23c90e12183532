//! Agents as jobs of Slurm: one array of one-node jobs for a sweep. Slurm starts and ends the jobs; their agents find the
//! controller by themselves.
//!
//! ```text
//! Submission ─► sbatch, once a start ─► jobs ─► agents dial back
//! Pool       ◄─ squeue, at most every 30 s ─► what became of each job
//!            ─► scancel: what is not needed any more
//! ```
//!
//! `submission` and `pool` decide and are pure. `commands` calls Slurm's programs.

mod commands;
mod pool;
mod queue;
mod submission;

pub use commands::{Slurm, watch};
pub use pool::{Change, Pool};
pub use queue::{Job, State};
pub use submission::{Submission, Wanted};
