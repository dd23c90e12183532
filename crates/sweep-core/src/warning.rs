//! What is known to be wrong before training starts, as messages and the journal carry it.

use serde::{Deserialize, Serialize};

/// A finding of a check, reduced to what the journal records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The finding's name.
    pub name: String,
    /// Whether training like this is wasted.
    pub serious: bool,
    /// What is wrong, the numbers behind it and what to do, in one line.
    pub text: String,
}
