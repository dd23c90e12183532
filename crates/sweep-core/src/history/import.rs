//! What is known of older studies.

use serde::{Deserialize, Serialize};

use crate::trial::Settings;

/// Trials of an older study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// Name of the file that they come from.
    pub source: String,
    /// The metric that their values are of.
    pub metric: String,
    pub trials: Vec<Known>,
}

/// A finished trial of an older study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Name of the trial in that study: its number, or the line of a table.
    pub name: String,
    /// Parameters of the trial, in the notation of this sweep.
    pub settings: Settings,
    /// The best value of the metric.
    pub value: f64,
}
