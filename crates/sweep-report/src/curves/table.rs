//! Reader for tables: Keras' CSVLogger, Lightning's `metrics.csv`, W&B's exports, this project's `epochs.csv`, and
//! other files with a header and one row per epoch.

use super::columns::{Choice, Target, meaning};
use super::gather::{Gather, Place, no_column};
use super::{Problem, log};

/// Maximum number of columns.
const MOST_COLUMNS: usize = 10_000;
/// Separator in W&B's chart exports. The columns are `run - metric`, with the unsmoothed values beside each.
const WANDB_SEPARATOR: &str = " - ";
const WANDB_BESIDE: [&str; 2] = ["__MIN", "__MAX"];

/// Passes every number to `gather`. An empty field is a value that was not measured.
pub fn read(bytes: &[u8], choices: &[Choice], gather: &mut Gather) -> Result<(), Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut records = reader.byte_records();
    let header = match records.next() {
        Some(header) => header.map_err(|error| Problem::new(format!("it cannot be read as a table: {error}")))?,
        None => return Err(Problem::new("it is empty")),
    };
    if header.len() > MOST_COLUMNS {
        return Err(Problem::new(format!("it has more than {MOST_COLUMNS} columns")));
    }
    let header: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let column = |target: Target| -> Result<Option<usize>, Problem> {
        if let Some(choice) = choices.iter().find(|choice| choice.target == target) {
            let at = names.iter().position(|name| *name == choice.column);
            return at.map(Some).ok_or_else(|| no_column(choice, &names));
        }
        let meant = names.iter().enumerate().filter_map(|(at, name)| {
            let (meant, far) = meaning(name)?;
            (meant == target).then_some((far, at))
        });
        Ok(meant.min().map(|(_, at)| at))
    };
    let (epoch, step, curve) = (column(Target::Epoch)?, column(Target::Step)?, column(Target::Curve)?);
    let mut last_epoch = None;
    for (row, record) in records.enumerate() {
        let record = record.map_err(|error| Problem::new(format!("it cannot be read as a table: {error}")))?;
        let text = |at: usize| record.get(at).and_then(|field| std::str::from_utf8(field).ok()).unwrap_or("");
        let number = |at: usize| log::number(text(at));
        // Rows without an epoch (for example a separately logged learning rate) belong to the epoch before.
        last_epoch = epoch.and_then(number).filter(|epoch| epoch.is_finite()).or(last_epoch);
        let step = step.and_then(number).filter(|step| step.is_finite()).or(Some(row as f64 + 1.0));
        let place = Place { epoch: last_epoch, step };
        for (at, name) in names.iter().enumerate().filter(|(at, _)| Some(*at) != epoch && Some(*at) != curve) {
            let Some(value) = number(at) else { continue };
            let (run, metric) = match name.rsplit_once(WANDB_SEPARATOR) {
                Some((run, metric)) if meaning(name).is_none() => (run, metric),
                _ => (curve.map_or("", text), *name),
            };
            if !WANDB_BESIDE.iter().any(|beside| metric.ends_with(beside)) {
                gather.value(run, place, metric, value)?;
            }
        }
    }
    Ok(())
}
