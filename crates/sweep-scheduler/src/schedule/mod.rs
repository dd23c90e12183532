//! Decides what to do next: events in, actions out. The module is pure: no clock, no file, no process.

mod alike;
mod budget;
mod config;
mod dispatch;
mod early;
mod ends;
mod keep;
#[cfg(test)]
mod lagged;
mod messages;
mod nodes;
pub mod packing;
mod race;
mod reports;
mod scheduler;
#[cfg(test)]
mod scripted;
mod silence;
#[cfg(test)]
mod simulation;
mod slots;
mod steer;
mod takeover;
#[cfg(test)]
mod tests;
mod usage;
mod why;

pub use config::{Config, Shapes, TrialSource};
pub use messages::{Action, Condition, Event, FromProgram, Joining, Left, Leftover, Now, SlotEvent, SlotId};
pub use scheduler::Scheduler;
pub use slots::{Absence, Ends, Progress, Slot, State, Use};
