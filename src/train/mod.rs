//! Training: the pictures, the networks, and what the trainer does with them.
//!
//! `data` and `model` need no libtorch: the planner reads data sets and checks networks with them, the trainer loads
//! and builds with them.

pub mod data;
pub mod model;
