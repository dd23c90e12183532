//! Everything that is tested from outside, in one binary: each further one would link libtorch again.

mod bad_files;
mod browser;
mod check;
mod data;
mod documentation;
mod examples;
#[cfg(feature = "torch")]
mod export;
mod extend;
mod faults;
mod gpus;
mod grammar;
#[cfg(feature = "torch")]
mod kill;
mod lag;
mod plan;
mod programs;
#[cfg(feature = "torch")]
mod running;
mod scale;
mod soak;
mod storage;
mod surface;
#[cfg(feature = "torch")]
mod trainer;
mod world;
