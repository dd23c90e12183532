//! Writes a sweep file as YAML, with the reasons for changes as comments.

use serde_yaml::{Mapping, Value};

use super::Change;

/// Maximum width of a comment, in columns.
const WIDTH: usize = 100;

/// Writes the file. Remarks come first, and each change's reason is above the changed line.
pub fn text(file: &Mapping, changes: &[Change], remarks: &[String]) -> String {
    let mut text = String::new();
    remarks.iter().for_each(|remark| comment(&mut text, "", remark));
    for change in changes.iter().filter(|change| change.value.is_none()) {
        comment(&mut text, "", &change.reason);
    }
    let reason = |text: &mut String, indent: &str, path: &[&str]| {
        let found = changes.iter().filter(|change| change.value.is_some() && change.path == path);
        found.filter(|change| !change.reason.is_empty()).for_each(|change| comment(text, indent, &change.reason));
    };
    for (key, value) in file {
        let name = key.as_str().unwrap_or_default();
        reason(&mut text, "", &[name]);
        match value {
            Value::Mapping(table) if !table.is_empty() => {
                text += &format!("{}:\n", flow(key));
                for (inner, value) in table {
                    reason(&mut text, "  ", &[name, inner.as_str().unwrap_or_default()]);
                    text += &format!("  {}: {}\n", flow(inner), flow(value));
                }
            }
            Value::Sequence(items) if !items.is_empty() => {
                text += &format!("{}:\n", flow(key));
                items.iter().for_each(|item| text += &format!("  - {}\n", flow(item)));
            }
            other => text += &format!("{}: {}\n", flow(key), flow(other)),
        }
    }
    text
}

/// Formats a value in one line.
fn flow(value: &Value) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if is_word(text) => text.clone(),
        // A JSON string is also a YAML string.
        Value::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Sequence(items) => format!("[{}]", list(items.iter().map(flow).collect())),
        Value::Mapping(table) => {
            format!(
                "{{{}}}",
                list(table.iter().map(|(key, value)| format!("{}: {}", flow(key), flow(value))).collect())
            )
        }
        Value::Tagged(tagged) => flow(&tagged.value),
    }
}

/// Whether a string needs no quotes, because it parses to itself.
fn is_word(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    plain && first && !WORDS.contains(&text.to_lowercase().as_str())
}

/// Appends text as comment lines.
fn comment(text: &mut String, indent: &str, said: &str) {
    let mut line = format!("{indent}#");
    for word in super::super::format::clean(said).split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.len() > indent.len() + 1 {
            text.push_str(&line);
            text.push('\n');
            line = format!("{indent}#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
