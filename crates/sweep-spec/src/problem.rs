//! Problems with a sweep file as the user sees them: place, value, rule, and fix.

use std::fmt;

use super::place::{Mark, Path};
use sweep_core::error::{Error, Exit};

/// Maximum number of problems that are printed. The rest are counted.
const MOST_SHOWN: usize = 40;

/// Maximum number of columns of a source line that are shown.
const WIDEST: usize = 100;

/// One thing that has to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Position of the problem; `None` for the file as a whole.
    pub mark: Option<Mark>,
    /// Path of the key; empty for the file as a whole.
    pub path: Path,
    /// The rule that is broken, and the value that breaks it: `is -1, but must be a number above 0`.
    pub rule: String,
    /// What to write instead.
    pub remedy: String,
}

/// Something that is accepted, but may not do what the user expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Position of the note; `None` for the file as a whole.
    pub mark: Option<Mark>,
    /// Path of the key.
    pub path: Path,
    pub text: String,
    /// What the key means here, compared with W&B.
    pub effect: Effect,
}

/// What a key with a note means here, compared with W&B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The same as in W&B.
    Same,
    /// Something else than in W&B, or a key that W&B does not have.
    Differs,
    /// Nothing: the key has no effect.
    None,
}

impl fmt::Display for Note {
    /// Writes `line 3, project: has no effect here`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mark) = self.mark {
            write!(f, "line {}, ", mark.line)?;
        }
        if !self.path.0.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text)
    }
}

/// All problems of a file, in file order.
#[derive(Debug, Clone)]
pub struct Problems {
    file: String,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Creates the problems of the file with that name and text.
    pub fn new(file: &str, text: &str, mut list: Vec<Problem>) -> Problems {
        list.sort_by_key(|problem| problem.mark);
        Problems { file: file.to_owned(), text: text.to_owned(), list }
    }

    /// Returns the problems, in file order.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    fn one(&self, f: &mut fmt::Formatter<'_>, problem: &Problem) -> fmt::Result {
        match problem.path.to_string() {
            path if path.is_empty() => writeln!(f, "{}", problem.rule)?,
            path => writeln!(f, "{path}: {}", problem.rule)?,
        }
        match problem.mark {
            None => writeln!(f, " --> {}", self.file)?,
            Some(mark) => {
                let margin = mark.line.to_string().len();
                writeln!(f, "{:margin$}--> {}:{}:{}", "", self.file, mark.line, mark.column)?;
                let (line, start) = excerpt(self.text.lines().nth(mark.line - 1).unwrap_or(""), mark.column - 1);
                let room = line.chars().count().saturating_sub(start).max(1);
                writeln!(f, "{:margin$} |", "")?;
                writeln!(f, "{} | {}", mark.line, line.trim_end())?;
                writeln!(f, "{:margin$} | {:start$}{}", "", "", "^".repeat(mark.width.min(room)))?;
            }
        }
        let margin = problem.mark.map_or(0, |mark| mark.line.to_string().len());
        for (at, line) in problem.remedy.lines().enumerate() {
            let lead = if at == 0 { "= help:" } else { "       " };
            writeln!(f, "{:margin$} {lead} {line}", "")?;
        }
        Ok(())
    }
}

/// Returns the part of a line around the character `start`, and the position of that character in it. Tabs and other
/// control characters become spaces, so that the markers below stay aligned.
fn excerpt(line: &str, start: usize) -> (String, usize) {
    let cut = if start + 1 < WIDEST { 0 } else { start - WIDEST / 2 };
    let mut shown: String =
        line.chars().skip(cut).take(WIDEST).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if line.chars().count() > cut + WIDEST {
        shown.push('…');
    }
    if cut == 0 { (shown, start) } else { (format!("…{shown}"), start - cut + 1) }
}

impl fmt::Display for Problems {
    /// Writes the number of problems, then each problem: what, where, the line, and the fix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.len() {
            1 => writeln!(f, "{} has 1 problem; nothing was started or written", self.file)?,
            count => writeln!(f, "{} has {count} problems; nothing was started or written", self.file)?,
        }
        for problem in self.list.iter().take(MOST_SHOWN) {
            writeln!(f)?;
            self.one(f, problem)?;
        }
        match self.list.len().checked_sub(MOST_SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => writeln!(f, "\n... and {more} more"),
        }
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Error {
        Error::new(Exit::BadFile, problems.to_string().trim_end())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("values: [{}]", "0.125, ".repeat(60));
        let (shown, start) = excerpt(&line, 310);
        assert_eq!(shown.chars().nth(start), line.chars().nth(310));
        assert!(shown.chars().count() <= WIDEST + 2);
        assert_eq!(excerpt("\tkey: 1", 1), (" key: 1".to_owned(), 1));
    }
}
