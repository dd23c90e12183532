//! The words and rules that all parts of `sweep` share. Pure: no I/O, no clock, no environment.
//!
//! Owns what a trial is, what may be tried, what trainer and controller say to each other, what the journal records, and
//! when a trial is stopped. Decides neither what is tried next nor where (`sweep-scheduler`), and reads no files.
//!
//! Read `trial`, `recipe` and `history` first; everything else builds on them.

mod describe;
pub mod error;
pub mod history;
pub mod learning_rate;
pub mod nearest;
pub mod probe;
pub mod program;
pub mod protocol;
pub mod random;
pub mod recipe;
pub mod search_terms;
pub mod shape;
pub mod space;
pub mod stop;
pub mod trial;
pub mod warning;
