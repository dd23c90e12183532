//! Everything that determines a trial's numbers, fully resolved: no parameter, preset, or default is left open.
//!
//! The sweep file's specification produces a recipe, the protocol carries it, and the trainer executes it.

mod data;
mod layer;
mod training;

use serde::{Deserialize, Serialize};

pub use data::*;
pub use layer::*;
pub use training::*;

/// The data, the network, and the training procedure of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The images and their split.
    pub data: Data,
    /// Layers of the network, first layer first.
    pub layers: Vec<Layer>,
    /// Training procedure.
    pub training: Training,
}
