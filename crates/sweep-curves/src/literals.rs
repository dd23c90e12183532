//! Histories in what a script prints: `{'loss': [0.9, 0.7]}`, also over several lines, and `train_losses = [0.9, 0.7]`.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::rows::Row;
use super::special::{is_metric, is_of_example};
use super::{json, python};

/// Maximum length in bytes of a literal over several lines.
const LONGEST: usize = 1 << 20;
/// The beginning of a dictionary of lists.
static LISTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"\{\s*['"][^'"]+['"]\s*:\s*\["#).expect("it is an expression"));
/// The beginning of a list under a name.
static LIST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*['\x22]?([A-Za-z]\w*)['\x22]?\s*[:=]\s*(\[[^,\]]+,[^,\]]+[,\]].*)").expect("it is an expression")
});

/// The literals so far.
#[derive(Debug, Default)]
pub struct Literals {
    /// The one whose end has not come yet, and the number of its open brackets.
    text: String,
    open: i64,
    /// Lists under names of their own, which are columns of one curve.
    lists: Map<String, Value>,
}

impl Literals {
    /// Takes a line. `None` if it is no part of a literal, otherwise the rows that it completes.
    pub fn line(&mut self, text: &str) -> Option<Vec<Row>> {
        if self.text.is_empty() {
            self.text = match (LISTS.find(text), LIST.captures(text)) {
                (Some(found), _) => text[found.start()..].to_owned(),
                (None, Some(found)) if is_metric(&found[1]) => format!("{}={}", &found[1], &found[2]),
                _ => return None,
            };
            self.open = python::open(&self.text);
        } else if goes_on(text) && self.text.len() < LONGEST {
            self.text.push_str(text);
            self.text.push('\n');
            self.open += python::open(text);
        } else {
            self.text.clear();
            return None;
        }
        if self.open > 0 {
            return Some(Vec::new());
        }
        let text = std::mem::take(&mut self.text);
        if let Some((name, list)) = text.split_once('=').filter(|_| !text.starts_with('{')) {
            // A name that comes again is of another training.
            let before = if self.lists.contains_key(name) { self.finish() } else { Vec::new() };
            self.lists.insert(name.to_owned(), value(list, ']')?);
            return Some(before);
        }
        let literal = value(&text, '}')?;
        if literal.as_object().is_some_and(|lists| lists.keys().any(|name| is_of_example(name))) {
            return Some(Vec::new());
        }
        let rows = json::rows(&literal).ok()?;
        rows.iter().any(Row::has_any).then_some(rows)
    }

    /// The rows of the lists under names of their own.
    pub fn finish(&mut self) -> Vec<Row> {
        let lists = std::mem::take(&mut self.lists);
        if lists.is_empty() { Vec::new() } else { json::rows(&Value::Object(lists)).unwrap_or_default() }
    }
}

/// Parses a literal up to its last bracket.
fn value(text: &str, end: char) -> Option<Value> {
    let end = text.rfind(end).map_or(text.len(), |at| at + 1);
    json::parse(python::json(&text[..end]).as_bytes()).ok()
}

/// Whether a line may continue a literal. A log that goes on after one that was cut off does not.
fn goes_on(line: &str) -> bool {
    let line = line.trim();
    let first = |letter: char| letter.is_ascii_digit() || "-+.,[](){}'\"".contains(letter);
    line.is_empty()
        || line.starts_with(first)
        || ["nan", "inf", "np.", "array", "tensor"].iter().any(|word| line.starts_with(word))
}
