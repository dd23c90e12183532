//! What is tried next, and where. The crate is pure: events go in, actions come out; time and randomness are arguments.
//!
//! `search` maps a trial's number to a configuration; for `tpe` and `bayes`, it also depends on earlier results.
//! `schedule` assigns trials to slots, retries them, and decides when a sweep is over. The engine performs the actions.
//!
//! Start with `schedule/messages.rs`, the events and actions, then `schedule/scheduler.rs`, which handles events, and
//! `schedule/dispatch.rs`, which fills slots.

pub mod schedule;
pub mod search;
