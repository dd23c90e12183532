//! Reader for JSON: Keras' `History.history` (lists by metric), one object per epoch (in a list or as JSON lines), and
//! Hugging Face's `trainer_state.json`. Python writes NaN and Infinity, which JSON does not allow; they are accepted.

use serde_json::{Map, Value};

use super::Problem;
use super::columns::{Target, meaning};
use super::gather::{Gather, Place};

/// Maximum file size in bytes. Parsed JSON takes about ten times its length in memory.
const MOST_BYTES: usize = 64 << 20;
/// Keys that may contain a curve.
const WITHIN: [&str; 3] = ["history", "log_history", "epochs"];

/// Passes every number to `gather`.
pub fn read(bytes: &[u8], gather: &mut Gather) -> Result<(), Problem> {
    if bytes.len() > MOST_BYTES {
        return Err(Problem::new(format!("it is larger than {} MiB", MOST_BYTES >> 20)).hint("write it as CSV"));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = quoted(text.trim_start_matches('\u{feff}'));
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        documents.push(document.map_err(|error| Problem::new(format!("it is not complete JSON: {error}")))?);
    }
    let whole = match documents.len() {
        1 => documents.swap_remove(0),
        _ => Value::Array(documents),
    };
    curve(&whole, gather)
}

fn curve(value: &Value, gather: &mut Gather) -> Result<(), Problem> {
    match value {
        Value::Array(rows) => {
            for (at, row) in rows.iter().enumerate() {
                if let Value::Object(row) = row {
                    object(at, row, gather)?;
                }
            }
            Ok(())
        }
        Value::Object(map) => match WITHIN.iter().find_map(|key| map.get(*key)) {
            Some(within) => curve(within, gather),
            None => lists(map, gather),
        },
        _ => Err(Problem::new("it is neither an object nor a list")),
    }
}

/// Reads a row that is one object per epoch.
fn object(at: usize, row: &Map<String, Value>, gather: &mut Gather) -> Result<(), Problem> {
    let of = |target: Target| row.iter().find(|(name, _)| meaning(name).is_some_and(|(meant, _)| meant == target));
    let number_of = |target: Target| of(target).and_then(|(_, value)| number(value));
    let step = number_of(Target::Step).unwrap_or(at as f64 + 1.0);
    let place = Place { epoch: number_of(Target::Epoch), step: Some(step) };
    let curve = of(Target::Curve).map_or(String::new(), |(_, value)| match value {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    });
    for (name, value) in row {
        if let Some(value) = number(value) {
            gather.value(&curve, place, name, value)?;
        }
    }
    Ok(())
}

/// Reads lists by metric, with one value per epoch. pandas' `to_json` writes objects by row number instead of lists.
fn lists(map: &Map<String, Value>, gather: &mut Gather) -> Result<(), Problem> {
    for (name, values) in map {
        let values: Vec<&Value> = match values {
            Value::Array(values) => values.iter().collect(),
            Value::Object(values) => values.values().collect(),
            _ => continue,
        };
        for (at, value) in values.into_iter().enumerate() {
            if let Some(value) = number(value) {
                let epoch = at as f64 + 1.0;
                gather.value("", Place { epoch: Some(epoch), step: Some(epoch) }, name, value)?;
            }
        }
    }
    Ok(())
}

/// Parses a number, including values that are not finite in the form that [`quoted`] gives them.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => super::log::number(text).filter(|number| !number.is_finite()),
        _ => None,
    }
}

/// Replaces Python's `NaN`, `Infinity` and `-Infinity` with strings.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let token = ["-Infinity", "Infinity", "NaN"].into_iter().find(|token| !inside && rest.starts_with(token));
        if let Some(token) = token {
            out.extend(["\"", token, "\""]);
            rest = &rest[token.len()..];
            continue;
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = inside,
            '"' => inside = !inside,
            _ => {}
        }
        out.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    out
}
