//! All integration tests in one binary.

mod bad_files;
mod examples;
mod plan;
