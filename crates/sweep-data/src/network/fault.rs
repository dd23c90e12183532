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
    /// The key whose value is invalid. `None` if the problem is of another sort.
    pub key: Option<String>,
    /// The rule that the value breaks. If there is a `key`, it is worded to follow `must be`: `true or false`.
    pub rule: String,
    /// What to write instead.
    pub remedy: String,
    /// A valid value, if there is an example for this problem.
    pub example: Option<Example>,
    /// The parameter that the value came from, if a reference was written. The remedy then applies to that parameter.
    pub setting: Option<String>,
}

/// A valid value of a layer's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// The layer, if its short form has the value: `dropout`.
    pub layer: Option<&'static str>,
    /// The value: `0.2`.
    pub value: &'static str,
    /// More about valid values, in parentheses and with a leading space: ` (0 for no dropout)`. Otherwise empty.
    pub more: &'static str,
}

impl Example {
    /// Returns the remedy where the layer itself is written.
    pub fn of_layer(&self) -> String {
        match self.layer {
            Some(layer) => format!("for example, write `{layer}: {}`{}", self.value, self.more),
            None => self.of_value(),
        }
    }

    /// Returns the remedy where only the value is written.
    pub fn of_value(&self) -> String {
        format!("for example, write {}{}", self.value, self.more)
    }

    /// Returns the remedy for a range that contains invalid values.
    pub fn of_range(&self) -> String {
        format!("write a range of valid values; for example, `max: {}`", self.value)
    }
}

impl Fault {
    /// Returns what is wrong, the value, and the rule, without the place and the remedy.
    pub fn text(&self) -> String {
        match &self.key {
            Some(key) => format!("`{key}` is {}, but must be {}", self.value, self.rule),
            None => self.rule.clone(),
        }
    }
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
    /// Formats as ``model[3].conv: `kernel` is 0, but must be …; the remedy``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("model")?;
        for step in &self.path {
            match step {
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        match self.key {
            Some(_) => write!(f, ": {}; {}", self.text(), self.remedy),
            None => write!(f, ": {}: {}; {}", self.value, self.rule, self.remedy),
        }
    }
}

/// Returns the name closest to what was typed, as the beginning of a remedy: ``did you mean `conv`? ``. Returns an
/// empty string if no name is close.
pub(super) fn meant(typed: &str, names: &[&str]) -> String {
    nearest(typed, names.iter().copied()).map_or(String::new(), |name| format!("did you mean `{name}`? "))
}
