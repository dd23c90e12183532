//! Tests of `sweep` together with its trainer, from outside. `cargo test` for the whole workspace builds both. To test
//! only this crate, build `sweep` first.

mod check;
mod export;
mod kill;
mod photos;
mod predict;
mod running;
mod trainer;
#[allow(dead_code, reason = "it has more than these tests need")]
#[path = "../../../../tests/suite/world.rs"]
mod world;
