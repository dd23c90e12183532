//! Federated learning: rounds take the place of epochs, and the epochs of a client are parts of a round.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::Printed;

/// A round and its number: `Round 3/50`, `[ROUND 3]`, `Communication round: 3`.
static ROUND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:(?:communication|global|federated|fl|server|comm)[ _-]?)?round[\s:=#\[(-]*(\d+)\b")
        .expect("it is an expression")
});
static EPOCH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:local[ _]?)?ep(?:och)?\b").expect("it is an expression"));
static CLIENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)\bclient\b").expect("it is an expression"));

/// The rounds of a text so far.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    last: Option<f64>,
    /// How often a line names another round than the one before, and how often an earlier one.
    moves: usize,
    back: usize,
    /// How often the epoch goes back.
    restarts: usize,
    epoch: Option<f64>,
}

impl Rounds {
    /// Looks at a line that names this epoch.
    pub(super) fn line(&mut self, text: &str, epoch: Option<f64>) {
        self.restarts += usize::from(epoch.is_some() && epoch < self.epoch);
        self.epoch = epoch.or(self.epoch);
        if !text.contains(['r', 'R']) || epoch.is_some() {
            return;
        }
        let found = ROUND.captures(text).and_then(|found| found[1].parse::<f64>().ok());
        if let Some(round) = found.filter(|round| self.last != Some(*round)) {
            self.moves += 1;
            self.back += usize::from(self.last > Some(round));
            self.last = Some(round);
        }
    }

    /// Whether rounds are the epochs of the text: they go on, and epochs are missing or begin again in them.
    pub(super) fn are_epochs(&self) -> bool {
        const FEW: usize = 2;
        self.moves >= FEW
            && self.back * FEW < self.moves
            && (self.epoch.is_none() || 2 * self.restarts + FEW >= self.moves)
    }
}

/// The set that the lines below one of Flower's are of, if it says which: evaluation, or none.
fn phase(text: &str) -> Option<Option<&'static str>> {
    let begins = |phases: [&str; 2]| phases.iter().any(|phase| text.contains(phase));
    if begins(["configure_evaluate:", "aggregate_evaluate:"]) {
        return Some(Some("evaluate"));
    }
    begins(["configure_fit:", "aggregate_fit:"]).then_some(None)
}

impl Printed {
    /// Looks for a line that says which set the lines below it are of.
    pub(super) fn phase(&mut self, text: &str) {
        if self.by_rounds
            && let Some(section) = phase(text)
        {
            (self.section, self.section_is_used, self.section_age) = (section, false, 0);
        }
    }
}

/// A line whose rounds are epochs, and whether it is about a part of a round.
pub(super) fn as_epochs(text: &str) -> (Cow<'_, str>, bool) {
    let is_part = CLIENT.is_match(text);
    let text = EPOCH.replace_all(text, "batch");
    let text = match ROUND.is_match(&text) {
        true => Cow::Owned(ROUND.replace_all(&text, "epoch $1").into_owned()),
        false => text,
    };
    (text, is_part)
}
