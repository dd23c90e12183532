//! What is tried next, and where. Pure: events go in, actions come out; time and randomness are arguments.
//!
//! `search` maps a trial's number, and for `tpe` what happened before, to a configuration. `schedule` assigns trials to
//! slots, retries them, and decides when a sweep is over. Performing the actions is the engine's task.

pub mod schedule;
pub mod search;
