//! Reader for JSON: Keras' `History.history` (lists by metric), one object per epoch (in a list or as JSON lines), Hugging
//! Face's `trainer_state.json`, and mmcv's logs. Python writes NaN and Infinity, which JSON does not allow; they are
//! accepted.

use serde_json::{Map, Value};

use super::Problem;
use super::gather::{Gather, with_part};
use super::names::{Target, meaning};
use super::rows::{Place, Row};

/// Maximum file size in bytes. Parsed JSON takes about ten times its length in memory.
const MOST_BYTES: usize = 64 << 20;
/// Keys that may contain a curve.
const WITHIN: [&str; 5] = ["history", "log_history", "epochs", "metrics", "results"];
/// Objects within a row are read to this depth.
const DEEPEST: usize = 4;

/// Reads a line with a JSON object. `None` if it is none.
pub fn object(text: &str) -> Option<Map<String, Value>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    match serde_json::from_str(&quoted(text)) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Whether a text is how some write what is no number.
pub fn is_no_number(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    matches!(text.trim_start_matches(['+', '-']), "nan" | "inf" | "infinity")
}

/// Passes every number to `gather`.
pub fn read(bytes: &[u8], gather: &mut Gather) -> Result<(), Problem> {
    curve(&parse(bytes)?, gather)
}

/// Parses a file: one document, or several as a list. A damaged last line, which a killed program may leave, is dropped.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.len() > MOST_BYTES {
        return Err(Problem::new(format!("it is larger than {} MiB", MOST_BYTES >> 20)).hint("write it as CSV"));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = quoted(text.trim_start_matches('\u{feff}'));
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        match document {
            Ok(document) => documents.push(document),
            Err(error) if error.is_eof() && documents.len() > 1 => break,
            Err(error) => return Err(Problem::new(format!("it is not complete JSON: {error}"))),
        }
    }
    Ok(match documents.len() {
        1 => documents.swap_remove(0),
        _ => Value::Array(documents),
    })
}

fn curve(value: &Value, gather: &mut Gather) -> Result<(), Problem> {
    match value {
        Value::Array(rows) => rows.iter().enumerate().try_for_each(|(at, row)| match row {
            Value::Object(row) => object_row(at, row, gather),
            _ => Ok(()),
        }),
        Value::Object(map) => {
            let within =
                WITHIN.iter().find_map(|key| map.get(*key)).filter(|within| within.is_object() || within.is_array());
            match within {
                Some(within) => curve(within, gather),
                None => lists(map, gather),
            }
        }
        _ => Err(Problem::new("it is neither an object nor a list")),
    }
}

/// Reads a row that is one object per epoch. Objects in it have names such as `val.loss`.
fn object_row(at: usize, row: &Map<String, Value>, gather: &mut Gather) -> Result<(), Problem> {
    let mut flat = Vec::new();
    flatten("", row, 0, &mut flat);
    let of = |target: Target| flat.iter().find(|(name, _)| meaning(name).is_some_and(|(meant, _)| meant == target));
    let number_of = |target: Target| of(target).and_then(|(_, value)| number(value));
    let step = number_of(Target::Step).unwrap_or(at as f64 + 1.0);
    let place = Place { epoch: number_of(Target::Epoch), step: Some(step) };
    let text =
        |target: Target| of(target).map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let part = text(Target::Split);
    let is_place =
        |name: &str| matches!(meaning(name), Some((Target::Epoch | Target::Step | Target::Curve | Target::Split, _)));
    let values = flat.iter().filter(|(name, _)| !is_place(name));
    let values =
        values.filter_map(|(name, value)| Some((with_part(part.as_deref(), name).into_owned(), number(value)?)));
    let values: Vec<_> = values.collect();
    // Hugging Face's last row: `train_loss` is the mean of the whole training.
    let is_summary = values.iter().any(|(name, _)| name == "train_runtime");
    if values.is_empty() || is_summary {
        return Ok(());
    }
    gather.row(&Row { curve: text(Target::Curve).unwrap_or_default(), place, values })
}

fn flatten<'a>(prefix: &str, row: &'a Map<String, Value>, depth: usize, flat: &mut Vec<(String, &'a Value)>) {
    for (name, value) in row {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(inner) if depth < DEEPEST => flatten(&name, inner, depth + 1, flat),
            value => flat.push((name, value)),
        }
    }
}

/// Reads lists by metric, with one value per epoch. pandas' `to_json` writes objects by row number instead of lists. A
/// single object of numbers is one epoch.
fn lists(map: &Map<String, Value>, gather: &mut Gather) -> Result<(), Problem> {
    // Rows by epoch: `{"1": {"loss": …}, "2": …}`.
    if !map.is_empty() && map.iter().all(|(name, row)| name.parse::<f64>().is_ok() && row.is_object()) {
        return map.iter().enumerate().try_for_each(|(at, (epoch, row))| {
            let mut row = row.as_object().cloned().unwrap_or_default();
            row.entry("epoch").or_insert_with(|| epoch.parse::<f64>().unwrap_or_default().into());
            object_row(at, &row, gather)
        });
    }
    let columns: Vec<(&String, Vec<&Value>)> = map
        .iter()
        .filter_map(|(name, values)| match values {
            Value::Array(values) => Some((name, values.iter().collect())),
            Value::Object(values) => Some((name, values.values().collect())),
            _ => None,
        })
        .collect();
    if columns.is_empty() && map.values().any(|value| number(value).is_some()) {
        return object_row(0, map, gather);
    }
    let of = |target: Target| columns.iter().find(|(name, _)| meaning(name).is_some_and(|(meant, _)| meant == target));
    let rows = columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    for at in 0..rows {
        let number_of = |target| of(target).and_then(|(_, values)| number(values.get(at)?));
        let epoch = number_of(Target::Epoch).or_else(|| number_of(Target::Step)).unwrap_or(at as f64 + 1.0);
        let place = Place { epoch: Some(epoch), step: Some(at as f64 + 1.0) };
        let values =
            columns.iter().filter(|(name, _)| !matches!(meaning(name), Some((Target::Epoch | Target::Step, _))));
        let values = values.filter_map(|(name, values)| Some(((*name).clone(), number(values.get(at)?)?))).collect();
        gather.row(&Row { curve: String::new(), place, values })?;
    }
    Ok(())
}

/// Parses a number, also in quotes.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Puts Python's `NaN`, `Infinity` and `-Infinity` into quotes, and numbers that are too large to be any.
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
        if !inside && (letter.is_ascii_digit() || letter == '-') {
            let end = rest.find(|letter: char| !(letter.is_ascii_digit() || "+-.eE".contains(letter)));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            match word.parse::<f64>() {
                Ok(number) if number.is_infinite() => {
                    out.push_str(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
                }
                _ => out.push_str(word),
            }
            rest = after;
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
