//! The one test binary: each more would link libtorch again.

#[cfg(feature = "torch")]
mod trainer;
