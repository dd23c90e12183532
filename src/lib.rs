//! `sweep`: hyperparameter sweeps on the GPUs of a machine. ARCHITECTURE.md describes the parts.
//!
//! This crate is the controller: the command line, the event loop, and the processes that it starts. The crates under
//! `crates/` contain the logic of its decisions and the formats that it reads and writes. It never links libtorch.
//!
//! Start with `engine`, the loop: events in, actions out. `agent` owns the processes that the actions start and stop, and
//! `cli` has a file per subcommand.

pub mod agent;
pub mod cli;
pub mod engine;
pub mod export;
pub mod extend;
mod hosts;
pub mod import;
pub mod log;
pub mod progress;
pub mod slurm;
