//! From the text of a sweep file to its values.

use serde_yaml::Value as Yaml;

use super::node::Findings;
use super::place::{Mark, Path};
use super::yaml;

/// Parses the file into a tree of values. Invalid YAML is a problem, and so is a duplicate key, except in a file that
/// runs a program: W&B accepts it there.
pub fn parse(text: &str, findings: &Findings) -> Option<Yaml> {
    let parsed = yaml::parse(text);
    let is_theirs = |value: &Yaml| value.get("program").is_some() || value.get("command").is_some();
    let accepts = parsed.as_ref().is_ok_and(is_theirs);
    for twice in findings.places.twice() {
        let what = format!("appears twice in the same table, first on line {}", twice.first.line);
        if accepts {
            findings.note_at(twice.again, &twice.path, format!("{what}; the last one counts, as in W&B"));
        } else {
            findings.problem(Some(twice.again), twice.path.clone(), what, "keep one of them");
        }
    }
    match parsed {
        Ok(value) => Some(value).filter(|_| accepts || findings.places.twice().is_empty()),
        Err(_) if !findings.places.twice().is_empty() => None,
        Err(_) if findings.places.too_large().is_some() => {
            let (path, text) = findings.places.too_large()?;
            let rule = format!("is {text}, but must be an integer of at most 64 bits");
            findings.problem(findings.places.value_at(path), path.clone(), rule, format!("write {} or less", u64::MAX));
            None
        }
        Err(error) => {
            let (mark, rule, remedy) = not_yaml(&error, text, findings.places.second_document());
            findings.problem(mark, Path::default(), rule, remedy);
            None
        }
    }
}

/// Returns why a text is not YAML, or not a single document: the place, the rule, and the fix.
fn not_yaml(error: &serde_yaml::Error, text: &str, second: Option<Mark>) -> (Option<Mark>, String, &'static str) {
    if second.is_some() {
        let rule = "the file contains a second YAML document".to_owned();
        return (second, rule, "remove this line and everything after it");
    }
    let mark = error.location().map(|at| Mark { line: at.line(), column: at.column(), width: 1 });
    let line = mark.and_then(|mark| text.lines().nth(mark.line - 1)).unwrap_or_default();
    if line.contains('\t') {
        return (mark, "invalid YAML: the line contains a tab".to_owned(), "indent with spaces");
    }
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or(&what);
    let remedy = "look for a missing `:` or quote, an unclosed bracket, or inconsistent indentation";
    (mark, format!("invalid YAML: {what}"), remedy)
}
