//! `sweep` and its trainer together, from outside. `cargo test` for the whole workspace builds both; for this crate alone,
//! build `sweep` first.

mod check;
mod export;
mod kill;
mod running;
mod trainer;
#[allow(dead_code, reason = "it has more than these tests need")]
#[path = "../../../../tests/suite/world.rs"]
mod world;
