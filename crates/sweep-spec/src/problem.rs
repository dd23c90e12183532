//! What is wrong with a sweep file, as its reader sees it: place, value, rule, remedy.

use std::fmt;

use super::place::{Mark, Path};
use sweep_core::error::{Error, Exit};

/// So many are printed; the rest are counted.
const MOST_SHOWN: usize = 40;

/// Columns of a source line that are shown.
const WIDEST: usize = 100;

/// One thing that has to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where; `None` for the file as a whole.
    pub mark: Option<Mark>,
    /// The key; empty for the file as a whole.
    pub path: Path,
    /// The rule that is broken, and the value that breaks it: `must be a number above 0, not -1`.
    pub rule: String,
    /// What to write instead.
    pub remedy: String,
}

/// Something that was accepted, but does not do what might be thought.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Where.
    pub mark: Option<Mark>,
    /// The key.
    pub path: Path,
    /// What there is to know.
    pub text: String,
    /// Whether W&B does the same.
    pub same: bool,
}

impl fmt::Display for Note {
    /// `line 3, project: has no effect here`.
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

/// All that is wrong with a file, in the order of the file.
#[derive(Debug, Clone)]
pub struct Problems {
    file: String,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Of the text of the file of that name.
    pub fn new(file: &str, text: &str, mut list: Vec<Problem>) -> Problems {
        list.sort_by_key(|problem| problem.mark);
        Problems { file: file.to_owned(), text: text.to_owned(), list }
    }

    /// They, in the order of the file.
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

/// The part of a line around the character `start`, and where that character then stands. Tabs and other control
/// characters become spaces, so that the marks below stay in line.
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
    /// How many there are, then each: what, where, the line, and a remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.len() {
            1 => writeln!(f, "{} has a problem; nothing was started or written", self.file)?,
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
