//! All tests of `sweep` from outside, without libtorch. Tests that need the real trainer are in
//! `crates/sweep-trainer/tests/suite/`.

mod bad_files;
mod browser;
mod check;
mod data;
mod doctor;
mod documentation;
mod examples;
mod extend;
mod faults;
mod gpus;
mod grammar;
mod lag;
mod libraries;
mod log;
mod plan;
mod processes;
mod programs;
mod scale;
mod soak;
mod soak_programs;
mod steering;
mod storage;
mod surface;
mod wandb;
mod world;
