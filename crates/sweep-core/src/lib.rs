//! The types and rules that all parts of `sweep` share. The crate is pure: no I/O, no clock, no environment.
//!
//! It defines what a trial is, what can be tried, and when a trial is stopped. It also defines the messages between
//! trainer and controller, and the journal's entries. It does not decide what is tried next or where; `sweep-scheduler`
//! does. It reads no files.
//!
//! Start with `trial`, `recipe`, and `history`; everything else builds on them.

pub mod budget;
pub mod command_line;
pub mod describe;
pub mod error;
pub mod evaluation;
pub mod group;
pub mod history;
pub mod learning_rate;
pub mod measurement;
pub mod memory;
pub mod nearest;
pub mod pareto;
pub mod program;
pub mod protocol;
pub mod random;
pub mod recipe;
pub mod search_terms;
pub mod shape;
pub mod space;
pub mod spelling;
pub mod steering;
pub mod stop;
pub mod trial;
pub mod warning;
