//! `sweep`: hyperparameter sweeps on the GPUs of a machine. ARCHITECTURE.md draws the parts.
//!
//! This crate is the controller: the command line, the event loop, and the processes that it starts. What it decides by,
//! reads and writes is in the crates under `crates/`. It never links libtorch.

pub mod agent;
pub mod cli;
pub mod engine;
pub mod export;
pub mod extend;
pub mod progress;
