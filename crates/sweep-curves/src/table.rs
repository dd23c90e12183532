//! Reader for tables: Keras' CSVLogger, Lightning's `metrics.csv`, Ultralytics' `results.csv`, W&B's exports, this
//! project's `epochs.csv`, and other files with a header and one row per epoch.

use std::collections::HashSet;

use super::Problem;
use super::cells::number;
use super::gather::{Gather, no_column, with_part};
use super::names::{Choice, Target, meaning, quantity};
use super::rows::{Place, Row};

/// Maximum number of columns.
const MOST_COLUMNS: usize = 10_000;
/// Separators of columns, the most common first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// Separator in W&B's chart exports. The columns are `run - metric`, with the unsmoothed values beside each.
const WANDB_SEPARATOR: &str = " - ";
const WANDB_BESIDE: [&str; 2] = ["__MIN", "__MAX"];

/// Whether a text begins with a header, and with a row that has as many fields and a number.
pub fn recognized(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let Some(header) = lines.find(|line| !line.starts_with('#') || fields(line).len() > 2) else { return false };
    let (header, row) = (fields(header), fields(lines.next().unwrap_or_default()));
    // A log has names and numbers in the same line.
    if header.iter().any(|field| field.contains('=') || field.contains(':') || number(field, false).is_some()) {
        return false;
    }
    let names = header.iter().filter(|field| !field.is_empty() && number(field, false).is_none()).count();
    let known = header.iter().filter(|field| meaning(field).is_some()).count();
    let numbers = row.iter().filter(|field| number(field, false).is_some()).count();
    let alike = row.len() == header.len() || row.len() + 1 == header.len();
    header.len() > 1 && names > 1 && (alike && numbers > 0 || known > 1 && row.len() <= 1)
}

fn fields(line: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(line.as_bytes()))
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(line.as_bytes());
    reader
        .records()
        .flatten()
        .next()
        .into_iter()
        .flat_map(|record| record.iter().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn delimiter(line: &[u8]) -> u8 {
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// Passes every number to `gather`. An empty field is a value that was not measured.
pub fn read(bytes: &[u8], choices: &[Choice], gather: &mut Gather) -> Result<(), Problem> {
    let bytes = without_comments(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(line))
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut records = reader.byte_records();
    let unreadable = |error| Problem::new(format!("it cannot be read as a table: {error}"));
    let header = match records.next() {
        Some(header) => header.map_err(unreadable)?,
        None => return Err(Problem::new("it is empty")),
    };
    if header.len() > MOST_COLUMNS {
        return Err(Problem::new(format!("it has more than {MOST_COLUMNS} columns")));
    }
    let header: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let records = records.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let table = Table::new(&header, &records, choices)?;
    let mut last_epoch = None;
    for (row, record) in records.iter().enumerate() {
        // A second header, of a run that was appended.
        if record.iter().zip(&header).all(|(field, name)| field == name.as_bytes()) {
            last_epoch = None;
            continue;
        }
        // Rows without an epoch (for example a separately logged learning rate) belong to the epoch before.
        last_epoch = table.number(record, table.epoch).filter(|epoch| epoch.is_finite()).or(last_epoch);
        let step = table.number(record, table.step).filter(|step| step.is_finite()).or(Some(row as f64 + 1.0));
        table.row(record, Place { epoch: last_epoch, step }, gather)?;
    }
    Ok(())
}

/// Skips lines that begin with `#` before the header, or the `#` before the header itself.
fn without_comments(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.trim_ascii_start().strip_prefix(b"#") {
        let (line, after) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
        let next = after.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let count = |line: &[u8]| line.iter().filter(|byte| **byte == delimiter(line)).count();
        if count(line) > 0 && count(line) == count(next) && !next.starts_with(b"#") {
            return rest.trim_ascii_start();
        }
        bytes = after;
    }
    bytes
}

/// The columns of a table by what they mean.
struct Table<'a> {
    names: &'a [String],
    epoch: Option<usize>,
    step: Option<usize>,
    split: Option<usize>,
    /// Columns whose texts together are the name of a curve.
    curves: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(names: &'a [String], records: &[csv::ByteRecord], choices: &[Choice]) -> Result<Table<'a>, Problem> {
        let plain: Vec<&str> = names.iter().map(String::as_str).collect();
        let column = |target: Target| -> Result<Option<usize>, Problem> {
            if let Some(choice) = choices.iter().find(|choice| choice.target == target) {
                let at = names.iter().position(|name| *name == choice.column);
                return at.map(Some).ok_or_else(|| no_column(choice, &plain));
            }
            let meant = names.iter().enumerate().filter_map(|(at, name)| {
                let (meant, far) = meaning(name)?;
                (meant == target).then_some((far, at))
            });
            Ok(meant.min().map(|(_, at)| at))
        };
        let mut curves: Vec<usize> = match choices.iter().any(|choice| choice.target == Target::Curve) {
            true => column(Target::Curve)?.into_iter().collect(),
            false => (0..names.len()).filter(|at| matches!(meaning(&names[*at]), Some((Target::Curve, _)))).collect(),
        };
        // A column with another value in every row names no runs.
        let values = |at: usize| records.iter().filter_map(|record| record.get(at)).collect::<HashSet<_>>().len();
        curves.retain(|at| {
            choices.iter().any(|choice| choice.column == names[*at]) || records.len() < 3 || values(*at) < records.len()
        });
        let (epoch, step, split) = (column(Target::Epoch)?, column(Target::Step)?, column(Target::Split)?);
        Ok(Table { names, epoch, step, split, curves })
    }

    fn text<'r>(&self, record: &'r csv::ByteRecord, at: usize) -> &'r str {
        record.get(at).and_then(|field| std::str::from_utf8(field).ok()).unwrap_or("")
    }

    fn number(&self, record: &csv::ByteRecord, at: Option<usize>) -> Option<f64> {
        number(self.text(record, at?), false)
    }

    fn row(&self, record: &csv::ByteRecord, place: Place, gather: &mut Gather) -> Result<(), Problem> {
        let curve: Vec<&str> = self.curves.iter().map(|at| self.text(record, *at)).collect();
        let curve = curve.join(" ");
        let part = self.split.map(|at| self.text(record, at));
        let mut rows: Vec<Row> = Vec::new();
        let is_place = |at: usize| [self.epoch, self.step, self.split].contains(&Some(at)) || self.curves.contains(&at);
        for (at, name) in self.names.iter().enumerate().filter(|(at, _)| !is_place(*at)) {
            let Some(value) = number(self.text(record, at), quantity(name) == Some("accuracy")) else { continue };
            let (run, metric) = match name.rsplit_once(WANDB_SEPARATOR) {
                Some((run, metric)) if meaning(name).is_none() => (run, metric),
                _ => (curve.as_str(), name.as_str()),
            };
            if WANDB_BESIDE.iter().any(|beside| metric.ends_with(beside)) {
                continue;
            }
            let value = (with_part(part, metric).into_owned(), value);
            match rows.iter_mut().find(|row| row.curve == run) {
                Some(row) => row.values.push(value),
                None => rows.push(Row { curve: run.to_owned(), place, values: vec![value] }),
            }
        }
        rows.iter().try_for_each(|row| gather.row(row))
    }
}
