//! A stage of a sweep: a sweep file that followed from the results of the one before.

use serde::{Deserialize, Serialize};

/// The beginning of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Number of the stage, from 2. The sweep begins with stage 1.
    pub number: u32,
    /// Whether its trials are not comparable with the earlier ones, because a constant such as the number of epochs is
    /// another one.
    pub apart: bool,
}
