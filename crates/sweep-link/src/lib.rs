//! The link between a controller and its agents on other hosts: messages that arrive once and in order, whatever happens
//! to the connections that carry them.
//!
//! ```text
//! Link::send ─► Outgoing: numbered, kept ─► frames ─► [transport] ─► frames ─► Incoming: duplicates dropped ─► Event
//!               dropped when acknowledged ◄──────────────────────── Link::acknowledge, once the message is safe
//! ```
//!
//! Both sides keep a session when a connection is cut. The agent dials again, both say what they have, and the session
//! continues. A session ends when one side ends it, or when its lease ends ([`lease`]).
//!
//! The types of the messages are parameters. A connection is any stream of bytes; [`transport`] has the streams that
//! `sweep` uses.

mod agent;
mod clock;
mod connection;
mod controller;
mod core;
pub mod frame;
mod hello;
mod incoming;
pub mod lease;
mod link;
mod outgoing;
mod random;
#[cfg(test)]
mod tests;
pub mod transport;

pub use agent::Agent;
pub use clock::Clock;
pub use connection::Events;
pub use controller::{Controller, MOST_SESSIONS};
pub use hello::{Answer, Generation, Hello, Refused, SessionId, VERSION};
pub use lease::{Granted, Held, Terms};
pub use link::{Event, Link, NotSent, Why};
pub use outgoing::{MOST_KEPT, MOST_KEPT_BYTES};
