//! Values as Python writes them.

use serde_json::Value as Json;

/// A value as Python's `str` has it, which is what W&B hands over.
pub fn word(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => literal(other),
    }
}

/// A value as Python's `repr` has it: `2e-05`, `True`, `None`, `[1, 'x']`, `{'lr': 0.1}`.
fn literal(value: &Json) -> String {
    nested(value, &|scalar| match scalar {
        Json::String(text) => quoted(text),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Null => "None".to_owned(),
        other => other.to_string(),
    })
}

/// A value as Python's `json.dumps` has it, all in ASCII: `{"lr": 2e-05, "name": "\u00e9"}`.
pub fn dumped(value: &Json) -> String {
    let text = nested(value, &Json::to_string);
    let mut ascii = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            char if char.is_ascii() && char != '\u{7f}' => ascii.push(char),
            char => ascii.extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    ascii
}

/// Lists, tables and floats as Python writes them everywhere. `scalar` writes all other values, and the names in tables.
fn nested(value: &Json, scalar: &dyn Fn(&Json) -> String) -> String {
    match value {
        Json::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(|item| nested(item, scalar)).collect::<Vec<_>>().join(", "))
        }
        Json::Object(table) => {
            let member = |(name, value): (&String, &Json)| {
                format!("{}: {}", scalar(&Json::from(name.as_str())), nested(value, scalar))
            };
            format!("{{{}}}", table.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        other => scalar(other),
    }
}

/// A float in the shortest digits that read back the same; from 1e16 and below 1e-4 with an exponent of two digits or more.
fn float(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

/// Text in quotes: single ones, unless it has some and no double ones.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut whole = String::from(quote);
    for char in text.chars() {
        match char {
            '\\' => whole += "\\\\",
            '\n' => whole += "\\n",
            '\r' => whole += "\\r",
            '\t' => whole += "\\t",
            char if char == quote => whole.extend(['\\', char]),
            char if char.is_control() && (char as u32) < 0x100 => whole += &format!("\\x{:02x}", char as u32),
            char => whole.push(char),
        }
    }
    whole.push(quote);
    whole
}
