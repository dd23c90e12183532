//! What is wrong with pictures and networks, found before anything is trained. Pure: pictures and measurements in,
//! findings out.

pub mod data;
pub mod model;

use serde::Serialize;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, for scripts.
    pub name: &'static str,
    /// Whether training like this is wasted.
    pub serious: bool,
    /// What is wrong, in one line.
    pub verdict: String,
    /// The numbers behind it.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
}
