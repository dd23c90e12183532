//! Training: the pictures, the networks, and what the trainer does with them.
//!
//! `data` and `model` need no libtorch: the planner reads data sets and checks networks with them, the trainer loads
//! and builds with them.

#[cfg(feature = "torch")]
mod attempt;
#[cfg(feature = "torch")]
mod checkpoint;
#[cfg(feature = "torch")]
pub mod controller;
#[cfg(feature = "torch")]
mod cuda;
pub mod data;
#[cfg(feature = "torch")]
pub mod device;
#[cfg(feature = "torch")]
mod draws;
#[cfg(feature = "torch")]
mod evaluation;
#[cfg(feature = "torch")]
mod exit;
#[cfg(feature = "torch")]
pub mod fault;
pub mod model;
#[cfg(feature = "torch")]
mod network;
#[cfg(feature = "torch")]
mod optimizer;
#[cfg(feature = "torch")]
mod pictures;
#[cfg(feature = "torch")]
mod position;
#[cfg(feature = "torch")]
pub mod session;
