//! What came of a sweep.

pub mod fit;
