//! All tests of `sweep` from outside, without libtorch. Tests that need the real trainer are in
//! `crates/sweep-trainer/tests/suite/`.

mod bad_files;
mod browser;
mod check;
mod data;
mod documentation;
mod examples;
mod extend;
mod faults;
mod gpus;
mod grammar;
mod lag;
mod libraries;
mod plan;
mod programs;
mod scale;
mod soak;
mod storage;
mod surface;
mod world;
