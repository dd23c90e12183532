//! A cursor over the values of a file. It knows its path, reports problems, and detects unknown keys.

use std::cell::RefCell;

use serde_json::Value as Json;
use serde_yaml::{Mapping, Value as Yaml};

use super::kind::{Complaint, Kind};
use super::place::{Mark, Path, Places};
use super::problem::{Effect, Note, Problem};
use super::value::{json, number, show};
use super::yaml11::{self, Read};
use sweep_core::nearest::{nearest, suggest};

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
        self.notes.borrow_mut().push(Note { mark: None, path: Path::default(), text, effect: Effect::Differs });
    }

    /// Adds a note with its own position, about something that W&B does in the same way.
    pub fn note_at(&self, mark: Mark, path: &Path, text: String) {
        let note = Note { mark: Some(mark), path: path.clone(), text, effect: Effect::Same };
        self.notes.borrow_mut().push(note);
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

    /// Creates the node for a value at that path.
    pub fn at(value: &'a Yaml, path: Path, findings: &'a Findings) -> Node<'a> {
        Node { value, path, findings }
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
        self.put_note(text.into(), Effect::Differs);
    }

    /// Adds a note about something that W&B does in the same way.
    pub fn note_same(&self, text: impl Into<String>) {
        self.put_note(text.into(), Effect::Same);
    }

    /// Adds a note about a key that has no effect.
    pub fn note_no_effect(&self, text: impl Into<String>) {
        self.put_note(text.into(), Effect::None);
    }

    fn put_note(&self, text: String, effect: Effect) {
        let mark = self.findings.places.key_at(&self.path);
        self.findings.notes.borrow_mut().push(Note { mark, path: self.path.clone(), text, effect });
    }

    /// Reads the value as that kind. A problem is reported, with what the value `is` for a fix.
    pub fn take(&self, kind: Kind, is: &str) -> Option<Json> {
        self.accepted(kind.accept(self.value), format!("this is {is}"))
    }

    /// Returns a value that was read, or reports the complaint here.
    pub fn accepted(&self, result: Result<Json, Complaint>, remedy: String) -> Option<Json> {
        result.map_err(|complaint| self.wrong(complaint.to_string(), complaint.remedy.unwrap_or(remedy))).ok()
    }

    /// The value as a program gets it: what YAML gives, as PyYAML reads it, W&B's reader. Text in quotes stays text. Only
    /// a number such as `1e-4`, which PyYAML takes for text, is a number here.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn given(&self) -> Result<Json, String> {
        match self.value {
            Yaml::Sequence(_) => self.items().into_iter().flatten().map(|item| item.given()).collect(),
            Yaml::Mapping(map) => {
                let member = |(key, value): (&Yaml, &'a Yaml)| match key.as_str() {
                    Some(key) => Ok((key.to_owned(), self.below(key, value).given()?)),
                    None => Err(format!("has the key {}, but keys must be strings", show(key))),
                };
                map.iter().map(member).collect()
            }
            value => match self.findings.places.plain(&self.path) {
                Some(word) => unquoted(value, word),
                None => json(value),
            },
        }
    }

    /// The words in the value, or the value itself, that PyYAML takes for text and that are numbers here: `1e-4`.
    pub fn exponents(&self) -> Vec<&str> {
        if let Some(items) = self.items() {
            return items.iter().flat_map(|item| item.word_of_number()).collect();
        }
        self.word_of_number().into_iter().collect()
    }

    fn word_of_number(&self) -> Option<&'a str> {
        let word = self.findings.places.plain(&self.path)?;
        (yaml11::read(word) == Read::Text && number(self.value).is_some()).then_some(word)
    }

    fn below(&self, key: &str, value: &'a Yaml) -> Node<'a> {
        Node { value, path: self.path.key(key), findings: self.findings }
    }

    /// The value under a key, if this is a table that has it.
    pub fn under(&self, key: &str) -> Option<Node<'a>> {
        Some(self.below(key, self.value.get(key)?))
    }

    /// The value as a table, or a problem.
    pub fn table(&self, example: &str) -> Option<Table<'a>> {
        let Some(map) = self.value.as_mapping() else {
            self.wrong(
                format!("is {}, but must be a table", show(self.value)),
                format!("for example, write {example}"),
            );
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
                    let rule = format!("has the key {}, but keys must be strings", show(key));
                    self.node.wrong_key(rule, "if the key is a name, put it in quotes");
                }
            }
        }
        entries
    }

    /// Every key that was never asked for is a problem, with the nearest of those that were.
    pub fn close(self) {
        self.finish(false);
    }

    /// The same for the top of the file, where keys that begin with `x-` are the user's own. In a file of W&B's, `theirs`, a
    /// key that is like none that is known is accepted, as there.
    pub fn finish(self, theirs: bool) {
        let asked = self.asked.borrow();
        for (key, node) in self.entries() {
            // The prefix provides a place for anchors, as in Compose files.
            let own = self.node.path.0.is_empty() && key.starts_with("x-");
            if !own && !asked.contains(&key) && !self.tolerated.borrow().contains(&key) {
                match nearest(key, asked.iter().copied()) {
                    None if theirs => node.note_no_effect("has no effect: this key is unknown, also to W&B"),
                    _ => node.wrong_key("unknown key", suggest(key, &asked)),
                }
            }
        }
    }

    fn below(&self, key: &str, value: &'a Yaml) -> Node<'a> {
        self.node.below(key, value)
    }
}

/// What a word without quotes is by YAML 1.1; what only YAML 1.2 takes for a number is one, too.
fn unquoted(value: &Yaml, word: &str) -> Result<Json, String> {
    match yaml11::read(word) {
        Read::Bool(boolean) => Ok(boolean.into()),
        Read::Null => Ok(Json::Null),
        // 64-bit integers are not all floats.
        Read::Number(read) if number(value) != Some(read) && read.is_finite() => {
            let is_whole = read.fract() == 0.0 && !word.contains('.') && read.abs() < 9e15;
            Ok(if is_whole { Json::from(read as i64) } else { Json::from(read) })
        }
        Read::Number(_) if value.is_string() => {
            Ok(word.parse::<i64>().map_or_else(|_| number(value).into(), Json::from))
        }
        // Only YAML 1.2 has this form of an octal number.
        Read::Text if word.trim_start_matches(['-', '+']).starts_with("0o") => Ok(word.into()),
        Read::Text if value.is_string() => Ok(number(value).map_or_else(|| word.into(), Json::from)),
        Read::Number(_) | Read::Text | Read::Date => json(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(text: &str) -> Json {
        let findings = Findings::read(text);
        let value: Yaml = serde_yaml::from_str(text).unwrap();
        Node::top(&value, &findings).under("a").expect("it is there").given().unwrap()
    }

    #[test]
    fn text_in_quotes_stays_text_and_words_are_what_pyyaml_takes_them_for() {
        for (text, expected) in [
            ("['007', \"1.10\", 'yes', \"1e3\", 'null']", json!(["007", "1.10", "yes", "1e3", "null"])),
            ("[1.10, 1, -3, 1.0, 18446744073709551615]", json!([1.1, 1, -3, 1.0, 18_446_744_073_709_551_615_u64])),
            ("[yes, Off, true, ~, null, y, adam]", json!([true, false, true, null, null, "y", "adam"])),
            ("[010, 1:30, 5_000_000, 0x1f, 1_0.5]", json!([8, 90, 5_000_000, 31, 10.5])),
            ("[1e-4, 1.0e-4, 1e3, 0o10]", json!([1e-4, 1e-4, 1000.0, "0o10"])),
            ("{b: ['1', 1], c: {d: 'no', e: no}}", json!({"b": ["1", 1], "c": {"d": "no", "e": false}})),
            ("|-\n  12\n", json!("12")),
        ] {
            assert_eq!(given(&format!("a: {text}\n")), expected, "{text}");
        }
    }
}
