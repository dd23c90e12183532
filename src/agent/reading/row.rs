//! Rows of numbers, in JSON and in CSV.

use serde_json::{Map, Value as Json};

use super::Values;
use sweep_curves::is_no_number;

/// Maximum bytes of a CSV row of several lines.
const LONGEST_ROW: usize = 1 << 20;

/// The numbers of a row.
#[derive(Debug, Default)]
pub struct Row {
    pub values: Values,
    /// What stood under the metric's name in place of a number: `the text "high"`, `a list`.
    pub odd: Option<String>,
}

impl Row {
    /// Takes the numbers of a JSON object. The metric may be null, which is not a number.
    pub fn of_object(object: Map<String, Json>, metric: &str) -> Row {
        let mut row = Row::default();
        for (name, json) in object {
            let number = match &json {
                Json::Number(number) => number.as_f64(),
                Json::String(text) if is_no_number(text) => Some(f64::NAN),
                _ if name != metric => None,
                Json::Null => Some(f64::NAN),
                Json::String(text) => row.note_odd(quoted(text)),
                Json::Array(_) => row.note_odd("a list".to_owned()),
                Json::Object(_) => row.note_odd("a table".to_owned()),
                Json::Bool(boolean) => row.note_odd(boolean.to_string()),
            };
            row.values.extend(number.map(|number| (name, number)));
        }
        row
    }

    fn note_odd(&mut self, found: String) -> Option<f64> {
        self.odd.get_or_insert(found);
        None
    }
}

/// A CSV file whose lines come one by one.
#[derive(Debug, Default)]
pub struct Table {
    header: Option<csv::StringRecord>,
    /// The start of a row whose quotes are open.
    open: Vec<u8>,
}

impl Table {
    /// Whether the next line belongs to a row that has begun.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes a line. Returns the row that it completes, unless that names the columns.
    pub fn line(&mut self, line: &[u8], metric: &str) -> Option<Row> {
        if self.is_open() {
            self.open.push(b'\n');
        }
        self.open.extend(line);
        // A line end in quotes is part of a field.
        let quotes = self.open.iter().filter(|byte| **byte == b'"').count();
        if quotes % 2 == 1 && self.open.len() < LONGEST_ROW { None } else { self.close(metric) }
    }

    /// Takes the names of the columns from a line that an earlier attempt read.
    pub fn names_columns(&mut self, line: &[u8]) {
        self.record(line, "");
    }

    /// Ends the row that has begun: no line comes any more.
    pub fn close(&mut self, metric: &str) -> Option<Row> {
        let row = std::mem::take(&mut self.open);
        self.record(&row, metric)
    }

    /// Reads a whole row. One without a number names the columns.
    fn record(&mut self, row: &[u8], metric: &str) -> Option<Row> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(row);
        let record = reader.records().next()?.ok()?;
        let numbers: Vec<Option<f64>> = record.iter().map(|field| field.parse().ok()).collect();
        let Some(header) = self.header.as_ref().filter(|_| numbers.iter().any(Option::is_some)) else {
            self.header = Some(record);
            return None;
        };
        let mut row = Row::default();
        for ((name, field), number) in header.iter().zip(&record).zip(numbers) {
            let number = match number {
                None if name != metric || field.is_empty() => None,
                None if matches!(field.to_ascii_lowercase().as_str(), "null" | "none") => Some(f64::NAN),
                None => row.note_odd(quoted(field)),
                number => number,
            };
            row.values.extend(number.map(|number| (name.to_owned(), number)));
        }
        Some(row)
    }
}

/// The beginning of a text, in quotes.
fn quoted(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    format!("the text {start:?}")
}
