//! Reader for JSON: Keras' `History.history` (lists by metric), one object per epoch (in a list or as JSON lines), Hugging
//! Face's `trainer_state.json`, and mmcv's logs. Python writes NaN and Infinity, which JSON does not allow; they are
//! accepted.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::gather::{Gather, with_part};
use super::names::{Target, meaning, names_part, words};
use super::rows::{Place, Row};
use super::special::is_metric;
use super::{Problem, doubts, python, table};

/// Maximum file size in bytes. Parsed JSON takes about ten times its length in memory.
const MOST_BYTES: usize = 64 << 20;
/// Keys that may contain a curve.
const WITHIN: [&str; 6] = ["history", "log_history", "epochs", "metrics", "results", "iterations"];
/// Maximum number of keys whose texts are compared.
const MOST_KEYS: usize = 100;
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
pub fn read(bytes: &[u8], name: &str, gather: &mut Gather) -> Result<(), Problem> {
    let value = parse(bytes)?;
    if let Some(text) = output(&value) {
        return gather.printed(&text, "");
    }
    not_told_apart(&value).into_iter().for_each(|said| gather.note(said));
    if let Some(pairs) = value.as_array().and_then(|list| pairs(&list.iter().collect::<Vec<_>>())) {
        let (stem, _) = name.rsplit_once('.').unwrap_or((name, ""));
        gather.note("a list without names was read as steps with values, whose metric is in the name of the file");
        return steps(stem, &pairs, "").iter().try_for_each(|row| gather.row(row));
    }
    different_lengths(&value).into_iter().for_each(|said| gather.note(said));
    rows(&value)?.iter().try_for_each(|row| gather.row(row))
}

/// Says that lists of metrics have different lengths, so that their values may not belong to the same epochs.
fn different_lengths(value: &Value) -> Option<String> {
    let map = value.as_object()?;
    let map = WITHIN.iter().find_map(|key| map.get(*key)?.as_object()).unwrap_or(map);
    let lists = map.iter().filter(|(name, _)| is_metric(name));
    let lists: Vec<(&String, usize)> = lists.filter_map(|(name, list)| Some((name, list.as_array()?.len()))).collect();
    let least = lists.iter().min_by_key(|(_, many)| *many).filter(|(_, many)| *many > 1)?;
    let most = lists.iter().max_by_key(|(_, many)| *many).filter(|(_, many)| *many > least.1)?;
    let how = match most.1 % least.1 {
        0 => "each value of the shorter list ends an epoch",
        _ => "all count from the first epoch, which may be wrong",
    };
    Some(format!("{} has {} values, but {} has {}: {how}", most.0, most.1, least.0, least.1))
}

/// What texts without a meaning may tell apart, in a list of rows.
fn not_told_apart(value: &Value) -> Vec<String> {
    let rows: Vec<&Map<String, Value>> = value.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let epoch = |row: &Map<String, Value>| {
        row.iter()
            .find(|(key, _)| matches!(meaning(key), Some((Target::Epoch, _))))
            .and_then(|(_, value)| number(value))
    };
    let keys: BTreeSet<&String> = rows.iter().flat_map(|row| row.keys()).filter(|key| meaning(key).is_none()).collect();
    let said = keys.into_iter().take(MOST_KEYS).filter_map(|key| {
        let texts = rows.iter().filter_map(|row| Some((epoch(row), row.get(key)?.as_str()?)));
        let texts: Vec<_> = texts.filter(|(_, text)| text.parse::<f64>().is_err()).collect();
        doubts::tells_apart(key, &texts, rows.len())
    });
    said.collect()
}

/// Parses a file: one document, or several as a list. A damaged last line, which a killed program may leave, is dropped.
/// What Python prints is read, too.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.len() > MOST_BYTES {
        return Err(Problem::new(format!("it is larger than {} MiB", MOST_BYTES >> 20)).hint("write it as CSV"));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    documents(text).or_else(|problem| documents(&python::json(text)).map_err(|_| problem))
}

fn documents(text: &str) -> Result<Value, Problem> {
    let text = quoted(text);
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

/// What a script printed, as Kaggle, Docker and loggers keep it: a list of texts with their streams, times or levels.
fn output(value: &Value) -> Option<String> {
    let rows = value.as_array()?;
    let of_kaggle = rows.iter().map(|piece| piece.get("stream_name").and_then(|_| piece.get("data")?.as_str()));
    if let Some(text) = of_kaggle.collect::<Option<String>>().filter(|text| !text.is_empty()) {
        return Some(text);
    }
    let rows: Vec<&Map<String, Value>> = rows.iter().map(Value::as_object).collect::<Option<_>>()?;
    if rows.iter().any(|row| row.keys().any(|key| is_metric(key))) {
        return None;
    }
    let texts = |key: &str| -> Option<String> {
        let lines = rows.iter().map(|row| Some(row.get(key)?.as_str()?.trim_end().to_owned() + "\n"));
        lines.collect::<Option<String>>().filter(|text| !text.is_empty())
    };
    ["message", "msg", "log"].into_iter().find_map(texts)
}

/// The rows of a document.
pub fn rows(value: &Value) -> Result<Vec<Row>, Problem> {
    match value {
        Value::Array(rows) => {
            if let Some(key) = comparison(rows) {
                let what = format!(
                    "its rows are not epochs of one training: each has another {key}, and no key counts epochs"
                );
                return Err(Problem::new(what).hint("give the curve of one training"));
            }
            let objects = rows.iter().enumerate().filter_map(|(at, row)| Some((at, row.as_object()?)));
            Ok(objects.filter_map(|(at, row)| object_row(at, row)).collect())
        }
        Value::Object(map) => {
            if let Some(rows) = catboost(map) {
                return Ok(rows);
            }
            let within = WITHIN.iter().find_map(|key| map.get(*key)).filter(|within| {
                within.is_object() || within.as_array().is_some_and(|rows| rows.iter().any(Value::is_object))
            });
            // Other keys may have the curve: `metrics` may be those of the end.
            match within.map(rows).transpose()? {
                Some(found) if found.iter().any(Row::has_any) => Ok(found),
                _ => lists(map),
            }
        }
        _ => Err(Problem::new("it is neither an object nor a list")),
    }
}

/// The key by which objects differ that are results of several models, if they are: `model`, with another text in each.
fn comparison(rows: &[Value]) -> Option<&str> {
    const KEYS: [&str; 8] = ["model", "name", "method", "config", "experiment", "algorithm", "classifier", "variant"];
    let counts = |key: &String| matches!(meaning(key), Some((Target::Epoch | Target::Step, _)));
    let objects: Vec<&Map<String, Value>> = rows.iter().map(Value::as_object).collect::<Option<_>>()?;
    if objects.len() < 2 || objects.iter().any(|row| row.keys().any(counts)) {
        return None;
    }
    let differs = |key: &&String| {
        let text = |value: &Value| (value.is_string() || value.is_object()).then(|| value.to_string());
        let texts: Option<HashSet<String>> = objects.iter().map(|row| text(row.get(*key)?)).collect();
        words(key).iter().any(|word| KEYS.contains(&word.as_str()))
            && texts.is_some_and(|texts| texts.len() == objects.len())
    };
    let values = |key: &str| objects.iter().map(|row| row.get(key).map(Value::to_string)).collect::<HashSet<_>>().len();
    let differs = |key: &&String| differs(key) || table::is_setting(key) && values(key) > 1;
    objects[0].keys().find(differs).map(String::as_str)
}

/// The rows of `catboost_training.json`, whose metrics are named apart from their values.
fn catboost(map: &Map<String, Value>) -> Option<Vec<Row>> {
    let (meta, iterations) = (map.get("meta")?, map.get("iterations")?.as_array()?);
    let named = |set: &str, row: &Value| -> Vec<(String, f64)> {
        let names = meta.get(format!("{set}_metrics")).and_then(Value::as_array).into_iter().flatten();
        let values = row.get(set).and_then(Value::as_array).into_iter().flatten();
        let pairs = names.zip(values);
        let pairs = pairs.filter_map(|(name, value)| {
            let (metric, best) = (name.get("name")?.as_str()?, name.get("best_value"));
            let name = format!("{set} {metric}");
            // `Quantile:alpha=0.7` is to be as small as can be, so it is a loss.
            let is_loss = meaning(&name).is_none() && best.and_then(Value::as_str) == Some("Min");
            Some((if is_loss { format!("{name} loss") } else { name }, number(value)?))
        });
        pairs.collect()
    };
    let row = |(at, row): (usize, &Value)| {
        let place = Place { epoch: row.get("iteration").and_then(number), step: Some(at as f64 + 1.0) };
        Row { curve: String::new(), place, values: ["learn", "test"].iter().flat_map(|set| named(set, row)).collect() }
    };
    Some(iterations.iter().enumerate().map(row).collect())
}

/// Reads a row that is one object per epoch. Objects in it have names such as `val.loss`. `None` if it has no number.
fn object_row(at: usize, row: &Map<String, Value>) -> Option<Row> {
    let mut flat = Vec::new();
    flatten("", row, 0, &mut flat);
    let of = |target: Target| flat.iter().find(|(name, _)| meaning(name).is_some_and(|(meant, _)| meant == target));
    let number_of = |target: Target| of(target).and_then(|(_, value)| number(value));
    let epoch = number_of(Target::Epoch);
    // A row that names its epoch and no step has only its order, and no step has half a number.
    let step = number_of(Target::Step).unwrap_or(at as f64 + if epoch.is_some() { 0.5 } else { 1.0 });
    let place = Place { epoch, step: Some(step) };
    let text =
        |target: Target| of(target).map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let part = text(Target::Split).or_else(|| type_of(row));
    let is_place =
        |name: &str| matches!(meaning(name), Some((Target::Epoch | Target::Step | Target::Curve | Target::Split, _)));
    let values = flat.iter().filter(|(name, _)| !is_place(name));
    let values =
        values.filter_map(|(name, value)| Some((with_part(part.as_deref(), name).into_owned(), number(value)?)));
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| Row { curve: text(Target::Curve).unwrap_or_default(), place, values })
}

/// The set that a row names as its type: `"_type": "val_epoch"`.
fn type_of(row: &Map<String, Value>) -> Option<String> {
    let named = row.iter().filter(|(key, _)| words(key).last().is_some_and(|word| word == "type"));
    named.filter_map(|(_, value)| value.as_str()).find(|value| names_part(value).is_some()).map(str::to_owned)
}

fn flatten<'a>(prefix: &str, row: &'a Map<String, Value>, depth: usize, flat: &mut Vec<(String, &'a Value)>) {
    for (name, value) in row {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(inner) if depth < DEEPEST => flatten(&name, inner, depth + 1, flat),
            Value::Array(values) if values.len() == 1 => flat.push((name, &values[0])),
            // Several numbers, such as COCO's twelve scores, are no metric by themselves. They are named as left over.
            Value::Array(values) if !values.is_empty() => flat.push((format!("{name}[0]"), &values[0])),
            value => flat.push((name, value)),
        }
    }
}

/// Reads lists by metric, with one value per epoch, and rows by epoch, within sets, runs, and outputs to any depth. pandas'
/// `to_json` writes objects by row number instead of lists. A single object of numbers is one epoch.
fn lists(map: &Map<String, Value>) -> Result<Vec<Row>, Problem> {
    let mut found = Found::default();
    found.within(map, "", "", 0);
    let lists = found.columns.iter().filter_map(|(curve, lists)| Some(columns(lists.as_object()?, curve)));
    // Each set may have an object with its epochs.
    found.epochs.sort_by(|one, other| one.place.epoch.unwrap_or(0.0).total_cmp(&other.place.epoch.unwrap_or(0.0)));
    let found_rows: Vec<Row> = lists.flatten().chain(found.epochs).collect();
    match found.lists.into_iter().max_by_key(|list| list.len()) {
        Some(list) if !found_rows.iter().any(Row::has_any) => rows(&Value::Array(list.clone())),
        _ if found_rows.is_empty() => Ok(object_row(0, map).into_iter().collect()),
        _ => Ok(found_rows),
    }
}

/// What may be a curve in a document.
#[derive(Default)]
struct Found<'a> {
    /// Lists by curve and name.
    columns: Map<String, Value>,
    /// Rows by epoch.
    epochs: Vec<Row>,
    /// Lists of objects.
    lists: Vec<&'a Vec<Value>>,
}

impl<'a> Found<'a> {
    /// Looks through an object. `set` is the beginning of the names in it: `training combined `.
    fn within(&mut self, map: &'a Map<String, Value>, curve: &str, set: &str, depth: usize) {
        // Folds may be numbered, too.
        let has_list = |(name, list): (&String, &Value)| is_metric(name) && list.as_array().map_or(0, Vec::len) > 1;
        let is_fold = |inner: &Value| inner.as_object().is_some_and(|inner| inner.iter().any(has_list));
        let are_epochs = map.keys().all(|name| name.parse::<f64>().is_ok());
        for (name, inner) in map {
            let full = format!("{set}{name}");
            let epoch = name.parse::<f64>().ok().filter(|_| are_epochs).or_else(|| epoch_of(name));
            match (inner, epoch) {
                (Value::Array(list), _) if list.iter().any(Value::is_object) => self.lists.push(list),
                (Value::Object(_) | Value::Number(_), Some(epoch)) if !is_fold(inner) => {
                    self.epochs.extend(epoch_row(epoch, inner, curve, set));
                }
                (Value::Object(values), _) if !is_column(name, values) && depth < DEEPEST => {
                    let joint = if name.starts_with("validation_") { "-" } else { " " };
                    let is_set = joint == "-" || !set.is_empty() || names_part(name).is_some() || is_metric(name);
                    let names_curve = !is_set && !WITHIN.contains(&name.as_str());
                    let curve = if names_curve { format!("{curve} {name}") } else { curve.to_owned() };
                    let set = if is_set { full + joint } else { String::new() };
                    self.within(values, curve.trim(), &set, depth + 1);
                }
                (Value::Array(_) | Value::Object(_), _) => {
                    self.columns.entry(curve).or_insert_with(|| Map::new().into())[full] = inner.clone();
                }
                _ => {}
            }
        }
    }
}

/// Whether an object has the values of a name by row.
fn is_column(name: &str, values: &Map<String, Value>) -> bool {
    let is_row = |key: &String| {
        key.parse::<f64>().is_ok() || is_metric(name) && epoch_of(key).is_none() && names_part(key).is_none()
    };
    !values.is_empty() && values.iter().all(|(key, value)| is_row(key) && !value.is_object() && !value.is_array())
}

/// The epoch that a key names: `epoch_61`.
fn epoch_of(name: &str) -> Option<f64> {
    match &*words(name) {
        [word, number] if meaning(word) == Some((Target::Epoch, 0)) => number.parse().ok(),
        _ => None,
    }
}

/// The row of an epoch. `set` is the beginning of its names, or the name of its only value.
fn epoch_row(epoch: f64, inner: &Value, curve: &str, set: &str) -> Option<Row> {
    let mut row = match inner.as_object() {
        Some(row) => object_row(0, row)?,
        None => Row { values: vec![(String::new(), number(inner)?)], ..Row::default() },
    };
    row.place = Place { epoch: row.place.epoch.or(Some(epoch)), step: None };
    row.curve = if row.curve.is_empty() { curve.to_owned() } else { row.curve };
    row.values.iter_mut().for_each(|(name, _)| *name = format!("{set}{name}").trim().to_owned());
    Some(row)
}

/// Reads a list of steps with their values: `[[100, 0.9], [200, 0.7]]`, or with the time before them, as TensorBoard
/// writes. `None` if it is no such list.
fn pairs(values: &[&Value]) -> Option<Vec<(f64, f64)>> {
    let pair = |value: &&Value| match value.as_array()?.as_slice() {
        [step, value] | [_, step, value] => Some((number(step)?, number(value)?)),
        _ => None,
    };
    let pairs: Vec<(f64, f64)> = values.iter().map(pair).collect::<Option<_>>()?;
    let counts = pairs.iter().all(|(step, _)| step.fract() == 0.0) && pairs.windows(2).all(|two| two[0].0 < two[1].0);
    (pairs.len() > 1 && counts).then_some(pairs)
}

/// The rows of a list of steps with their values.
fn steps(name: &str, pairs: &[(f64, f64)], curve: &str) -> Vec<Row> {
    let row = |(step, value): &(f64, f64)| Row {
        curve: curve.to_owned(),
        place: Place { epoch: None, step: Some(*step) },
        values: vec![(name.to_owned(), *value)],
    };
    pairs.iter().map(row).collect()
}

fn columns(map: &Map<String, Value>, curve: &str) -> Vec<Row> {
    let columns: Vec<(&String, Vec<&Value>)> = map
        .iter()
        .filter_map(|(name, values)| match values {
            Value::Array(values) => Some((name, values.iter().collect())),
            Value::Object(values) => Some((name, values.values().collect())),
            _ => None,
        })
        .collect();
    let of_steps: Vec<Row> =
        columns.iter().filter_map(|(name, values)| Some(steps(name, &pairs(values)?, curve))).flatten().collect();
    if !of_steps.is_empty() {
        return of_steps;
    }
    let of = |target: Target| columns.iter().find(|(name, _)| meaning(name).is_some_and(|(meant, _)| meant == target));
    let every = every(&columns);
    let rows = columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let row = |at: usize| {
        let number_of = |target| of(target).and_then(|(_, values)| number(values.get(at)?));
        let epoch = number_of(Target::Epoch).or_else(|| number_of(Target::Step)).unwrap_or(at as f64 + 1.0);
        let place = Place { epoch: Some(epoch), step: Some(at as f64 + 0.5) };
        let values =
            columns.iter().filter(|(name, _)| !matches!(meaning(name), Some((Target::Epoch | Target::Step, _))));
        let values = values.filter_map(|(name, values)| Some(((*name).clone(), number(values.get(at)?)?))).collect();
        Row { curve: curve.to_owned(), place, values }
    };
    let Some(every) = every else { return (0..rows).map(row).collect() };
    // Each list is spread over the steps of the longest one.
    let spread = columns.iter().flat_map(|(name, values)| {
        let pairs = values.iter().enumerate().filter_map(|(at, value)| Some((at, number(value)?)));
        let many = if values.len() == rows { 1 } else { every };
        let pairs: Vec<(f64, f64)> = pairs.map(|(at, value)| (((at + 1) * many) as f64, value)).collect();
        steps(name, &pairs, curve)
    });
    spread.collect()
}

/// The number of values in the longest list of a metric for each one in the others, if all others are equally long and
/// the lists have no epochs of their own: validation was measured less often.
fn every(columns: &[(&String, Vec<&Value>)]) -> Option<usize> {
    let counts = |name: &str| matches!(meaning(name), Some((Target::Epoch | Target::Step, _)));
    let lengths: BTreeSet<usize> =
        columns.iter().filter(|(name, _)| is_metric(name)).map(|(_, values)| values.len()).collect();
    let lengths: Vec<usize> = lengths.into_iter().collect();
    let [few, many] = lengths[..] else { return None };
    let fits = few > 1 && many % few == 0 && !columns.iter().any(|(name, _)| counts(name));
    fits.then(|| many / few)
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
