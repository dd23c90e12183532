//! A cursor over the values of a file. It knows its path, reports problems, and detects unknown keys.

use std::cell::RefCell;

use serde_json::Value as Json;
use serde_yaml::{Mapping, Value as Yaml};

use super::kind::{Complaint, Kind};
use super::place::{Mark, Path, Places};
use super::problem::{Note, Problem};
use super::value::show;
use sweep_core::nearest::suggest;

/// What reading a file has found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// Positions of all keys and values.
    pub places: Places,
    /// What has to be changed.
    pub problems: RefCell<Vec<Problem>>,
    /// Notes for the user.
    pub notes: RefCell<Vec<Note>>,
}

impl Findings {
    /// Creates empty findings for this text.
    pub fn read(text: &str) -> Findings {
        Findings { places: Places::read(text), ..Findings::default() }
    }

    /// Returns all problems and notes.
    pub fn take(self) -> (Vec<Problem>, Vec<Note>) {
        (self.problems.into_inner(), self.notes.into_inner())
    }

    /// Adds a note about the file as a whole.
    pub fn note(&self, text: String) {
        self.notes.borrow_mut().push(Note { mark: None, path: Path::default(), text });
    }

    /// Adds a problem with its own position.
    pub fn problem(&self, mark: Option<Mark>, path: Path, rule: impl Into<String>, remedy: impl Into<String>) {
        let (rule, remedy) = (rule.into(), remedy.into());
        self.problems.borrow_mut().push(Problem { mark, path, rule, remedy });
    }
}

/// One value of the file.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    /// The value itself.
    pub value: &'a Yaml,
    /// Path of the value.
    pub path: Path,
    findings: &'a Findings,
}

impl<'a> Node<'a> {
    /// Creates the node for the top of a file.
    pub fn top(value: &'a Yaml, findings: &'a Findings) -> Node<'a> {
        Node { value, path: Path::default(), findings }
    }

    /// Adds a problem with the value.
    pub fn wrong(&self, rule: impl Into<String>, remedy: impl Into<String>) {
        let mark = self.findings.places.value_at(&self.path);
        self.findings.problem(mark, self.path.clone(), rule, remedy);
    }

    /// Adds a problem with the key.
    pub fn wrong_key(&self, rule: impl Into<String>, remedy: impl Into<String>) {
        let mark = self.findings.places.key_at(&self.path);
        self.findings.problem(mark, self.path.clone(), rule, remedy);
    }

    /// Adds a problem with some characters of the value. `text` is the value, and `at` counts characters from 0.
    pub fn wrong_within(&self, text: &str, at: usize, width: usize, rule: String, remedy: String) {
        let mark = self.findings.places.value_at(&self.path).map(|mark| {
            // If the width equals that of the text, the text is unquoted. Two more characters are its quotes.
            match mark.width.checked_sub(text.chars().count()) {
                Some(more @ (0 | 2)) => Mark { column: mark.column + more / 2 + at, width, ..mark },
                _ => mark,
            }
        });
        self.findings.problem(mark, self.path.clone(), rule, remedy);
    }

    /// Adds a note about the value.
    pub fn note(&self, text: impl Into<String>) {
        let mark = self.findings.places.key_at(&self.path);
        self.findings.notes.borrow_mut().push(Note { mark, path: self.path.clone(), text: text.into() });
    }

    /// Reads the value as that kind. A problem is reported, with what the value `is` for a fix.
    pub fn take(&self, kind: Kind, is: &str) -> Option<Json> {
        self.accepted(kind.accept(self.value), format!("it is {is}"))
    }

    /// Returns a value that was read, or reports the complaint here.
    pub fn accepted(&self, result: Result<Json, Complaint>, remedy: String) -> Option<Json> {
        result.map_err(|complaint| self.wrong(complaint.to_string(), complaint.remedy.unwrap_or(remedy))).ok()
    }

    /// Returns the value as a table, or reports a problem.
    pub fn table(&self, example: &str) -> Option<Table<'a>> {
        let Some(map) = self.value.as_mapping() else {
            self.wrong(format!("must be a table, not {}", show(self.value)), format!("write it like this: {example}"));
            return None;
        };
        Some(Table { node: self.clone(), map, asked: RefCell::default(), tolerated: RefCell::default() })
    }

    /// Returns the items of the value, if it is a list.
    pub fn items(&self) -> Option<Vec<Node<'a>>> {
        let items = self.value.as_sequence()?.iter().enumerate();
        Some(items.map(|(at, value)| Node { value, path: self.path.index(at), findings: self.findings }).collect())
    }
}

/// A table of the file, whose keys are looked up by name.
#[derive(Debug)]
pub struct Table<'a> {
    /// The node of the table.
    pub node: Node<'a>,
    map: &'a Mapping,
    asked: RefCell<Vec<&'static str>>,
    tolerated: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// Returns the value of a key, if the table has it.
    pub fn get(&self, key: &'static str) -> Option<Node<'a>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.map.get(key).map(|value| self.below(key, value))
    }

    /// Returns the value of a key that is understood, but never suggested.
    pub fn tolerate(&self, key: &'static str) -> Option<Node<'a>> {
        self.tolerated.borrow_mut().push(key);
        self.map.get(key).map(|value| self.below(key, value))
    }

    /// Reads the value of a key as that kind, or reports a problem.
    pub fn take(&self, key: &'static str, kind: Kind, is: &str) -> Option<Json> {
        self.get(key)?.take(kind, is)
    }

    /// Returns all keys with their values, in file order. A key that is not text is a problem.
    pub fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let mut entries = Vec::new();
        for (key, value) in self.map {
            match key.as_str() {
                Some(key) => entries.push((key, self.below(key, value))),
                None => {
                    let rule = format!("has the key {}, which is not text", show(key));
                    self.node.wrong_key(rule, "put quotes around it, if it is meant as a name");
                }
            }
        }
        entries
    }

    /// Reports every key that was never looked up, and suggests the nearest one that was. At the top of the file, keys
    /// that begin with `x-` belong to the user.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for (key, node) in self.entries() {
            // The prefix provides a place for anchors, as in Compose files.
            let own = self.node.path.0.is_empty() && key.starts_with("x-");
            if !own && !asked.contains(&key) && !self.tolerated.borrow().contains(&key) {
                node.wrong_key("is not known here", suggest(key, &asked));
            }
        }
    }

    fn below(&self, key: &str, value: &'a Yaml) -> Node<'a> {
        Node { value, path: self.node.path.key(key), findings: self.node.findings }
    }
}
