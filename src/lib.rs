//! `sweep`: hyperparameter sweeps on the GPUs of a machine. ARCHITECTURE.md draws the parts.

pub mod agent;
pub mod check;
pub mod cli;
pub mod diagnose;
pub mod engine;
pub mod error;
pub mod export;
pub mod extend;
pub mod fetch;
pub mod history;
pub mod learning_rate;
pub mod nearest;
pub mod probe;
pub mod program;
pub mod progress;
pub mod protocol;
pub mod random;
pub mod recipe;
pub mod report;
#[cfg(test)]
mod sample;
pub mod schedule;
pub mod search;
pub mod search_terms;
pub mod shape;
pub mod space;
pub mod spec;
pub mod stop;
pub mod store;
pub mod train;
pub mod trial;
pub mod verdict;
pub mod warning;
