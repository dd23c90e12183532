//! Converts sweeps and trained networks for other programs. Pure.

pub mod optuna;
mod pytorch;
mod record;
pub mod tensorboard;
mod wire;

pub use pytorch::module;
