//! Converts sweeps and trained networks for other programs. Pure, except that SQLite writes its own file.

pub mod mlflow;
pub mod optuna;
pub mod parquet;
mod pytorch;
mod record;
pub mod sqlite;
pub mod table;
pub mod tensorboard;
mod time;
pub mod wandb;
mod wire;

pub use pytorch::module;
