//! The reason why a file cannot be read as a curve.

use std::fmt;

/// The place and cause of a problem in one line, and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The problem, one line without a final period.
    pub what: String,
    /// The fix.
    pub hint: Option<String>,
}

impl Problem {
    /// Creates a problem without a fix.
    pub fn new(what: impl Into<String>) -> Problem {
        Problem { what: what.into(), hint: None }
    }

    /// Adds a fix.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn unrecognized(name: &str) -> Problem {
        Problem::new(format!("{name}: not a learning curve in a known format")).hint(
            "known formats: the output of Keras and of most training loops, Keras' CSVLogger and History (as JSON), \
             Lightning's metrics.csv, TensorBoard event files, W&B's CSV export, and tables with a header and one row \
             per epoch; use --format if the format was not recognized",
        )
    }

    pub(super) fn within(mut self, name: &str) -> Problem {
        self.what = format!("{name}: {}", self.what);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}
