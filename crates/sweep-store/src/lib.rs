//! A sweep's folder: its layout, the journal that is the truth, and whole files replaced in one step.

mod atomic;
mod journal;
mod layout;
mod lock;
mod sweep_file;

pub use atomic::replace;
pub use journal::{Journal, is_as_read, read};
pub use layout::Layout;
pub use lock::{Lock, held};
pub use sweep_file::sweep_file;
