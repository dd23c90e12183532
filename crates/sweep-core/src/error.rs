//! The error type of the command line: what went wrong, how to fix it, and the exit code for scripts.

use std::fmt;

/// Exit codes, the same for every subcommand. clap itself exits with 2 on an invalid command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All trials ended without an error, or there was nothing to do.
    Success = 0,
    /// The sweep ran to its end, but some trials failed or diverged. A sweep that stopped because every trial failed
    /// also exits with this code.
    TrialsFailed = 1,
    /// The command line, or a path on it, is invalid.
    Usage = 2,
    /// The sweep file has problems.
    BadFile = 3,
    /// The images cannot be used: missing, truncated, or out of range.
    BadData = 4,
    /// The results cannot be written or read: permissions, a full disk, damage, or another controller.
    Storage = 5,
    /// No trainer can be run: not found, wrong version, or no usable device.
    NoTrainer = 6,
    /// A bug in `sweep` itself.
    Internal = 70,
    /// The sweep was interrupted by Ctrl-C or SIGTERM. `resume` continues it.
    Interrupted = 130,
}

/// A failure, worded for the user.
#[derive(Debug)]
pub struct Error {
    /// Exit code for scripts.
    pub exit: Exit,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Creates an error. `what` names the attempted operation and the place, in one line without a final period.
    pub fn new(exit: Exit, what: impl Into<String>) -> Error {
        Error { exit, what: what.into(), hint: None, source: None }
    }

    /// Adds the fix: a command to run or a value to write.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Prepends the place where the failed operation was requested.
    pub fn at(mut self, place: impl fmt::Display) -> Error {
        self.what = format!("{place}: {}", self.what);
        self
    }

    /// Adds the underlying cause.
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Combines several failures of one kind into one error, in their order. Each failure has its own line, and equal
    /// hints appear once.
    ///
    /// # Panics
    /// If `errors` is empty.
    pub fn together(errors: Vec<Error>, most: usize) -> Error {
        let count = errors.len();
        let mut errors = errors.into_iter().take(most.max(1));
        let mut all = errors.next().expect("there is a failure");
        let mut hints: Vec<String> = all.hint.take().into_iter().collect();
        let (mut lines, mut shown) = (vec![all.line()], 1);
        for error in errors {
            lines.push(error.line());
            hints.extend(error.hint.filter(|hint| !hints.contains(hint)));
            shown += 1;
        }
        if count > shown {
            lines.push(format!("and {} more like these", count - shown));
        }
        (all.what, all.source) = (lines.join("\n"), None);
        all.hint = (!hints.is_empty()).then(|| hints.join("; "));
        all
    }

    /// Returns what went wrong and why, without the hint.
    fn line(&self) -> String {
        let mut line = self.what.clone();
        let mut cause: Option<&dyn std::error::Error> = self.source.as_deref().map(|error| error as _);
        while let Some(error) = cause {
            line += &format!(": {error}");
            cause = error.source();
        }
        line
    }

    /// Creates the error for a file or folder that could not be read or written.
    pub fn storage(what: impl Into<String>, source: std::io::Error) -> Error {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let hint = match source.kind() {
            StorageFull => Some("free some space there, and resume the sweep; nothing that was written is lost"),
            PermissionDenied => Some("check who owns it (`ls -ld`), or name another folder with --results"),
            ReadOnlyFilesystem => Some("name a folder on a writable disk with --results"),
            _ => None,
        };
        let error = Error::new(Exit::Storage, what).source(source);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl fmt::Display for Error {
    /// Writes `what: cause: its cause`, then the hint on a separate line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Result type of the parts of the command line.
pub type Result<T> = std::result::Result<T, Error>;
