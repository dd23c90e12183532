//! What is wrong with pictures and networks, found before anything is trained. Pure: pictures and measurements in,
//! findings out.

pub mod data;
pub mod model;

use serde::Serialize;

use sweep_core::warning::Warning;

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

impl From<&Finding> for Warning {
    fn from(Finding { name, serious, verdict, evidence, remedy }: &Finding) -> Warning {
        Warning {
            name: (*name).to_owned(),
            serious: *serious,
            text: format!("{verdict}: {evidence}. What to do: {remedy}."),
        }
    }
}
