//! Decides what to do next: events in, actions out. The module is pure: no clock, no file, no process.

mod dispatch;
mod early;
mod keep;
#[cfg(test)]
mod lagged;
mod messages;
pub mod packing;
mod reports;
mod rules;
mod scheduler;
#[cfg(test)]
mod scripted;
mod silence;
#[cfg(test)]
mod simulation;
mod slots;
mod steer;
#[cfg(test)]
mod tests;
mod usage;
mod why;

pub use messages::{Action, Condition, Event, FromProgram, Left, Leftover, Now, SlotId};
pub use rules::{Points, Rules, Shapes};
pub use scheduler::Scheduler;
pub use slots::{Progress, Slot, State, Use};
