//! Streams between a controller and its agents: the pipes of a command that the controller starts, and TCP connections
//! that agents make to the controller.

mod address;
mod backoff;
mod command;
mod dial;
mod key;
mod listen;
mod sealed;

pub use address::{Address, Unusable};
pub use backoff::Backoff;
pub use command::{NoAgent, Started, announce, start};
pub use dial::{dial, keep_dialing};
pub use key::Key;
pub use listen::{Listener, MOST_STRANGERS};
pub use sealed::{Sealed, open as open_sealed, receive as receive_sealed};
