//! What is said about a network that cannot be read: place, value, rule, remedy.

use std::fmt;

use sweep_core::nearest::nearest;

/// Something wrong in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Leads from the `model` node to the place.
    pub path: Vec<Step>,
    /// What stands there, on one line; where a reference stands there, what it came to as well.
    pub value: String,
    /// What should be there.
    pub rule: String,
    /// What to write instead.
    pub remedy: String,
    /// The setting that the value came from, where a reference stands: the remedy then belongs there.
    pub setting: Option<String>,
}

/// One step down from a node of the file to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into a mapping, by its key.
    Key(String),
    /// Into a list, counted from 0.
    Index(usize),
}

impl fmt::Display for Fault {
    /// `model[3].conv.kernel: 0: the rule; the remedy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("model")?;
        for step in &self.path {
            match step {
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        write!(f, ": {}: {}; {}", self.value, self.rule, self.remedy)
    }
}

/// The name closest to what was typed, as the beginning of a remedy: ``did you mean `conv`? ``, or nothing.
pub(super) fn meant(typed: &str, names: &[&str]) -> String {
    nearest(typed, names.iter().copied()).map_or(String::new(), |name| format!("did you mean `{name}`? "))
}
