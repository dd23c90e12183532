//! A sweep's folder: its layout, its journal, and atomic replacement of whole files.

mod atomic;
mod holder;
mod journal;
mod layout;
mod lock;
pub mod requests;
mod sweep_file;

pub use atomic::replace;
pub use holder::Holder;
pub use journal::{Journal, is_as_read, read};
pub use layout::Layout;
pub use lock::{Lock, held};
pub use sweep_file::sweep_file;
