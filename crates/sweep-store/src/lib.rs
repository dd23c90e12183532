//! A sweep's folder: its layout, its journal, and atomic replacement of whole files.

mod atomic;
mod journal;
mod layout;
mod lock;
mod sweep_file;

pub use atomic::replace;
pub use journal::{Follower, Journal, is_as_read, read};
pub use layout::Layout;
pub use lock::{Lock, held};
pub use sweep_file::sweep_file;
