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

/// The first bytes of binary files of other programs.
const BINARIES: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "a ZIP archive, such as a PyTorch checkpoint, an .npz file, or a spreadsheet"),
    (b"\x89HDF\r\n", "an HDF5 file, such as a Keras model"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SQLite format 3\0", "an SQLite database"),
];

impl Problem {
    /// The problem of a binary file of another program.
    pub(super) fn of_binary(name: &str, bytes: &[u8]) -> Option<Problem> {
        if matches!(bytes, [0x80, 2..=5, ..] | [b'(', b'd' | b'l', b'p', b'0', b'\n', ..]) {
            let what = "it is a Python pickle, which is not read, because loading one runs the code in it";
            return Some(Problem::new(what).hint(format!(
                "if you trust the file, write it as JSON: `python -c \"import json, pickle; \
                 print(json.dumps(pickle.load(open('{name}', 'rb')), default=float))\" > history.json`"
            )));
        }
        let (_, what) = BINARIES.into_iter().find(|(start, _)| bytes.starts_with(start))?;
        let problem = Problem::new(format!("it is {what}, and such files are not read"));
        Some(problem.hint("write the numbers as CSV, whose first line is `epoch,train_loss,val_loss`"))
    }

    /// Creates a problem without a fix.
    pub fn new(what: impl Into<String>) -> Problem {
        Problem { what: what.into(), hint: None }
    }

    /// Adds a fix.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn unrecognized(name: &str, bytes: &[u8]) -> Problem {
        const LONGEST: usize = 80;
        if let Some(problem) = Problem::of_binary(name, bytes) {
            return problem.within(name);
        }
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
        let line = start.lines().map(str::trim).find(|line| !line.is_empty());
        let seen = match line {
            None => "it is empty".to_owned(),
            Some(_) if start.contains('\0') => "it is not text".to_owned(),
            Some(line) => {
                let words: Vec<&str> = line.split_whitespace().collect();
                let cut: String = words.join(" ").replace('"', "'").chars().take(LONGEST).collect();
                format!("its first line is {cut:?}")
            }
        };
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 20)]);
        if let Some(problem) = super::special::unjudgeable_text(&text) {
            return problem.within(name);
        }
        if let Some(problem) = super::special::headerless(name, &text) {
            return problem.within(name);
        }
        Problem::new(format!("{name}: no learning curve was found; {seen}")).hint(
            "print a line such as `epoch 3: train_loss 0.53, val_loss 0.61` for each epoch, or give a table whose \
             first line is `epoch,train_loss,val_loss`; `sweep diagnose --help` lists the formats",
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
