//! The one error type of the command line: what went wrong, what to do about it, and the exit code for scripts.

use std::fmt;

/// Exit codes, the same for every subcommand. clap itself ends with 2 on a wrong command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All trials ended well, or there was nothing to do.
    Success = 0,
    /// The sweep ran to its end, but some trials failed or diverged; or it was stopped since every one failed.
    TrialsFailed = 1,
    /// The command line, or a path on it, is wrong.
    Usage = 2,
    /// The sweep file has problems.
    BadFile = 3,
    /// The pictures cannot be used: missing, cut short, out of range.
    BadData = 4,
    /// The results cannot be written or read: permission, full disk, damage, another controller.
    Storage = 5,
    /// No trainer can be run: not found, wrong version, no usable device.
    NoTrainer = 6,
    /// A defect of `sweep` itself.
    Internal = 70,
    /// Ended by Ctrl-C or SIGTERM; `resume` goes on.
    Interrupted = 130,
}

/// A failure as the user reads it.
#[derive(Debug)]
pub struct Error {
    /// For scripts.
    pub exit: Exit,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `what` names the thing that was tried and the place, in one line without a full stop.
    pub fn new(exit: Exit, what: impl Into<String>) -> Error {
        Error { exit, what: what.into(), hint: None, source: None }
    }

    /// The remedy: a command to run or a value to write.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Where it was asked for, before what is told.
    pub fn at(mut self, place: impl fmt::Display) -> Error {
        self.what = format!("{place}: {}", self.what);
        self
    }

    /// The cause beneath.
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Several failures of one kind as one, in their order: each on a line, each remedy once.
    ///
    /// # Panics
    /// Without any.
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

    /// What went wrong and why, without the remedy.
    fn line(&self) -> String {
        let mut line = self.what.clone();
        let mut cause: Option<&dyn std::error::Error> = self.source.as_deref().map(|error| error as _);
        while let Some(error) = cause {
            line += &format!(": {error}");
            cause = error.source();
        }
        line
    }

    /// A file or folder that could not be read or written.
    pub fn storage(what: impl Into<String>, source: std::io::Error) -> Error {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let hint = match source.kind() {
            StorageFull => Some("free some space there; nothing that was written is lost, and `sweep resume` goes on"),
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
    /// `what: cause: its cause`, then the hint on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What the command line's parts return.
pub type Result<T> = std::result::Result<T, Error>;
