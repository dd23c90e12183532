//! The agent as a process of its own, on another machine: `sweep agent`.
//!
//! ```text
//! controller ──► ssh gpu1 sweep agent ══► socket ══► sweep agent --serve ──► trainers
//!                any command with pipes   bridge     lives on if the pipes are cut, until its lease is over
//! ```
//!
//! The command that the controller starts is only a bridge to the agent of this sweep on this machine, which it starts
//! if there is none. So a lost connection, or a controller that was killed, costs nothing: the next bridge leads to the
//! same agent with the same trainers.

mod bridge;
mod desk;
mod files;
mod forward;
mod greeting;
mod leaving;
mod serve;
mod wire;

pub use bridge::{Place, bridge};
pub use files::{MOST_BYTES, Part, Receiver, Which, parts};
pub use greeting::{Facts, Greeting, ask};
pub use serve::{Prepared, Station, Way, serve};
pub use wire::{FromAgent, JobTime, Offer, Offered, Terms, ToAgent, Usage};
