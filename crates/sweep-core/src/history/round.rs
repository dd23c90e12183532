//! The rounds of a race by repeats.

use serde::{Deserialize, Serialize};

use crate::trial::TrialId;

/// A round of a race: every listed configuration gets one more trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Number of trials begun before. All of them have ended.
    pub after: u64,
    /// The first trial of each configuration that is repeated, best first.
    pub again: Vec<TrialId>,
}

impl Round {
    /// Returns the trial whose configuration the trial with that number repeats, if it belongs to the round.
    pub fn origin(&self, id: TrialId) -> Option<TrialId> {
        let at = id.0.checked_sub(self.after + 1)?;
        self.again.get(usize::try_from(at).ok()?).copied()
    }
}
