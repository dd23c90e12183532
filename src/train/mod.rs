//! What is to be trained: the pictures and the networks, read and checked.
//!
//! The planner uses it to check a sweep before anything runs, the trainer (`src/trainer/`) to load and to build.

pub mod checkpoint;
pub mod data;
pub mod model;
