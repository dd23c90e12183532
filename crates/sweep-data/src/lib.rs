//! Reads, checks and describes datasets and networks, but does not train them.
//!
//! This crate owns the formats of datasets and the sources of published ones (`datasets`, `fetch`). It owns the
//! language of `model:` with its presets (`network`) and the format of checkpoints. It also finds problems with data
//! and networks before training starts (`check`).
//!
//! The controller uses it to check a sweep before anything runs. The trainer uses it to load data and to build
//! networks. It knows nothing about sweep files and does not link libtorch.

pub mod check;
pub mod checkpoint;
pub mod datasets;
pub mod fetch;
pub mod network;
