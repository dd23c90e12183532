//! Exports a trained network for other programs. Pure.

mod pytorch;

pub use pytorch::module;
