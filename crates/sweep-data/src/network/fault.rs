//! The error for a network that cannot be read: place, value, rule, remedy.

use std::fmt;

use sweep_core::nearest::nearest;

/// A problem in a network description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path from the `model` node to the problem.
    pub path: Vec<Step>,
    /// The value found, on one line. For a reference, it includes the value that the reference resolved to.
    pub value: String,
    /// The rule that the value breaks.
    pub rule: String,
    /// What to write instead.
    pub remedy: String,
    /// The parameter that the value came from, if a reference was written. The remedy then applies to that parameter.
    pub setting: Option<String>,
}

/// One step down from a node of the file to a child.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into a mapping, by its key.
    Key(String),
    /// Into a list, counted from 0.
    Index(usize),
}

impl fmt::Display for Fault {
    /// Formats as `model[3].conv.kernel: 0: the rule; the remedy`.
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

/// Returns the name closest to what was typed, as the beginning of a remedy: ``did you mean `conv`? ``. Returns an
/// empty string if no name is close.
pub(super) fn meant(typed: &str, names: &[&str]) -> String {
    nearest(typed, names.iter().copied()).map_or(String::new(), |name| format!("did you mean `{name}`? "))
}
