//! Agents as jobs of Slurm: one array of one-node jobs for a sweep. Slurm starts and ends the jobs; their agents find the
//! controller by themselves.
//!
//! ```text
//! Submission ─► sbatch, once a start ─► jobs ─► agents dial back
//! Pool       ◄─ squeue, at most every 30 s ─► what became of each job
//!            ─► scancel: what is not needed any more
//! ```
//!
//! `submission`, `queue` and `pool` decide and are pure. `commands` calls Slurm's programs, and `jobs` says when.

mod commands;
mod end;
mod jobs;
mod pool;
mod queue;
mod submission;

pub use commands::Slurm;
pub use end::time_for_trials;
pub use jobs::Jobs;
pub use pool::{BY_ITSELF, Change};
pub use submission::Submission;
