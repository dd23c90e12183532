//! Problems known before training starts, as messages and the journal carry them.

use serde::{Deserialize, Serialize};

/// A finding of a check, reduced to what the journal records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Name of the finding.
    pub name: String,
    /// Whether training with this problem is pointless.
    pub serious: bool,
    /// The problem, the numbers behind it, and the fix, in one line.
    pub text: String,
}
