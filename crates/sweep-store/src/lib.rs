//! A sweep's folder: its layout, its journal, and atomic replacement of whole files.
//!
//! This crate owns where each file is, how a line becomes durable, and that only one controller writes. What the
//! journal's entries mean is in `sweep_core::history`.
//!
//! Start with `layout` and `journal`.

mod atomic;
mod holder;
mod journal;
mod layout;
mod lock;
pub mod process;
pub mod requests;
mod sweep_file;

pub use atomic::{replace, replace_unsynced};
pub use holder::Holder;
pub use journal::{Follower, Journal, is_as_read, read};
pub use layout::Layout;
pub use lock::{Lock, held, lock};
pub use sweep_file::sweep_file;
