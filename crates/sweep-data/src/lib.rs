//! Data sets and networks: read, checked and described, but not trained.
//!
//! Owns the formats of data sets and where published ones come from (`datasets`, `fetch`), the language of `model:` with
//! its presets (`network`), what is wrong with either before training starts (`check`), and the format of checkpoints.
//! The controller uses it to check a sweep before anything runs, the trainer to load data and to build networks. It knows
//! no sweep file, and does not link libtorch.

pub mod check;
pub mod checkpoint;
pub mod datasets;
pub mod fetch;
pub mod network;
