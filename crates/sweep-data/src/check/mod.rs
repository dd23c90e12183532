//! Finds problems with images and networks before training. Pure: images and measurements in, findings out.

pub mod data;
pub mod model;

use serde::Serialize;

use sweep_core::warning::Warning;

/// The result of a check that found a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable identifier, for scripts.
    pub name: &'static str,
    /// Whether training with this problem is wasted.
    pub serious: bool,
    /// The problem, in one line.
    pub verdict: String,
    /// The numbers that show the problem.
    pub evidence: String,
    /// The suggested fix.
    pub remedy: String,
}

impl From<&Finding> for Warning {
    fn from(Finding { name, serious, verdict, evidence, remedy }: &Finding) -> Warning {
        Warning { name: (*name).to_owned(), serious: *serious, text: format!("{verdict}: {evidence}. Fix: {remedy}.") }
    }
}
