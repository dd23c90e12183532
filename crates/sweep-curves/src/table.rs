//! Reader for tables: Keras' CSVLogger, Lightning's `metrics.csv`, Ultralytics' `results.csv`, W&B's exports, this
//! project's `epochs.csv`, and other files with a header and one row per epoch.

mod file;
mod lists;

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::cells::number;
use super::gather::{Gather, no_column, of_set, with_part};
use super::names::{Choice, Target, is_part, meaning, quantity, words};
use super::rows::{Place, Row};
use super::special::is_measure;
use super::{Problem, doubts, yolo};
pub use file::stem;
use lists::is_list;

/// Maximum number of columns.
const MOST_COLUMNS: usize = 10_000;
/// Separators of columns, the most common first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// Separator in W&B's chart exports. The columns are `run - metric`, with the unsmoothed values beside each.
const WANDB_SEPARATOR: &str = " - ";
/// Columns with the names of metrics, in tables with one value a row.
const NAMES: [&str; 8] = ["metric", "name", "tag", "key", "variable", "measure", "metricname", "metric_name"];
const VALUES: [&str; 3] = ["value", "metricvalue", "metric_value"];
/// Columns that differ between trainings, and not between the epochs of one.
const SETTINGS: [&str; 7] = ["batch_size", "weight_decay", "num_samples", "train_size", "dataset_size", "c", "k"];
/// Words in the names of such columns.
const SETTING_WORDS: [&str; 12] = [
    "optimizer",
    "dropout",
    "hidden",
    "layers",
    "units",
    "neurons",
    "filters",
    "kernel",
    "depth",
    "heads",
    "activation",
    "reg",
];
/// Columns with what a row of results is of.
const KINDS: [&str; 8] =
    ["model_type", "model_name", "algorithm", "method", "classifier", "architecture", "experiment_type", "estimator"];
const WANDB_BESIDE: [&str; 2] = ["__MIN", "__MAX"];

/// Whether a column has a setting, which differs between trainings. scikit-learn's searches write `param_C`.
pub fn is_setting(name: &str) -> bool {
    let name = name.to_lowercase().replace([' ', '-'], "_");
    SETTINGS.contains(&name.as_str())
        || name.starts_with("param")
        || name.starts_with("n_") && meaning(&name).is_none()
        || !is_measure(&name) && words(&name).iter().any(|word| SETTING_WORDS.contains(&word.as_str()))
}

/// Whether a text begins with a header, and with a row that has as many fields and a number.
pub fn recognized(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let Some(header) = lines.find(|line| !line.starts_with('#') || fields(line).len() > 2) else { return false };
    // A name in quotes may have a line break.
    let (header, row) = match header.matches('"').count() % 2 {
        0 => (fields(header), fields(lines.next().unwrap_or_default())),
        _ => {
            let start = text.find(header).unwrap_or_default();
            let mut records = records(&text[start..]);
            (records.next().unwrap_or_default(), records.next().unwrap_or_default())
        }
    };
    let alike = row.len() == header.len() || row.len() + 1 == header.len();
    // A log has names and numbers in the same line. `mAP_0.5:0.95` stands above numbers.
    let is_below_names = alike && row.len() > 1 && row.iter().all(|field| number(field, false).is_some());
    let has_number = |field: &String| !is_below_names && field.contains(['=', ':']) || number(field, false).is_some();
    if header.iter().any(has_number) {
        return false;
    }
    let names = header.iter().filter(|field| !field.is_empty() && number(field, false).is_none()).count();
    let known = header.iter().filter(|field| meaning(field).is_some()).count();
    let numbers = row.iter().filter(|field| number(field, false).is_some()).count();
    header.len() > 1 && names > 1 && (alike && numbers > 0 || known > 1 && row.len() <= 1)
}

fn fields(line: &str) -> Vec<String> {
    records(line).next().unwrap_or_default()
}

/// The records of a text whose first line tells the delimiter.
fn records(text: &str) -> impl Iterator<Item = Vec<String>> {
    let reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text.lines().next().unwrap_or_default().as_bytes()))
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    reader.into_records().flatten().map(|record| record.iter().map(str::to_owned).collect())
}

fn delimiter(line: &[u8]) -> u8 {
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// Passes every number to `gather`. An empty field is a value that was not measured.
pub fn read(bytes: &[u8], file: &str, choices: &[Choice], gather: &mut Gather) -> Result<(), Problem> {
    let bytes = without_comments(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let named = yolo::results(&String::from_utf8_lossy(bytes));
    if named.is_some() {
        gather.note("no header names the columns, so YOLOv5's and YOLOv7's order in results.txt was taken");
    }
    let bytes = named.as_ref().map_or(bytes, String::as_bytes);
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
    let mut header: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let records = records.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if header == ["Wall time", "Step", "Value"]
        && let Some((name, why)) = file::tag(file, &records)
    {
        gather.note(format!("Value was read as {name}, {why}"));
        header[2] = name;
        header[0].clear();
    }
    let mut table = Table::new(&header, &records, choices)?;
    if choices.is_empty() && !gather.is_raw() && gather.prefix.is_none() {
        table.of_file = table.set_of_file(file, gather);
    }
    table.restarts(&records).into_iter().chain(table.lists(&records)).for_each(|said| gather.note(said));
    if choices.is_empty()
        && let Some(problem) = table.comparison(&records)
    {
        return Err(problem);
    }
    if let Some(at) = table.told_apart {
        gather.note(format!("rows of the same epoch differ by {}, by which they were separated", header[at]));
    }
    if table.epoch.is_none() && table.step.is_none() {
        gather.note("no column counts epochs or steps, so rows were counted");
    }
    if table.decimal_commas {
        gather.note("commas were read as decimal points");
    }
    (0..header.len()).filter_map(|at| table.not_told_apart(&records, at)).for_each(|said| gather.note(said));
    let no_rows: Vec<String> = records.iter().filter(|record| !table.has_number(record)).map(shown).collect();
    if let [first, ..] = &no_rows[..] {
        gather.note(format!(
            "lines without any number were left out ({}), the first of which is {first:?}",
            no_rows.len()
        ));
    }
    let mut last_epoch = None;
    for (row, record) in records.iter().enumerate() {
        // A second header, of a run that was appended.
        if record.iter().zip(&header).all(|(field, name)| field == name.as_bytes()) {
            last_epoch = None;
            continue;
        }
        // Rows without an epoch (for example a separately logged learning rate) belong to the epoch before.
        last_epoch = table.number(record, table.epoch).filter(|epoch| epoch.is_finite()).or(last_epoch);
        // A row that names its epoch and no step has only its order, and no step has half a number.
        let order = row as f64 + if last_epoch.is_some() { 0.5 } else { 1.0 };
        let step = table.number(record, table.step).filter(|step| step.is_finite()).or(Some(order));
        table.row(record, Place { epoch: last_epoch, step }, gather)?;
    }
    Ok(())
}

/// The start of a line, for messages.
fn shown(record: &csv::ByteRecord) -> String {
    String::from_utf8_lossy(&record.iter().collect::<Vec<_>>().join(&b","[..])).chars().take(40).collect()
}

/// Whether a field is a number with a decimal comma. Three digits after the comma may be thousands, unless zero stands
/// before it.
fn has_decimal_comma(field: &[u8]) -> bool {
    let field = field.strip_prefix(b"-").unwrap_or(field);
    let Some(at) = field.iter().position(|byte| *byte == b',') else { return false };
    let (whole, fraction) = (&field[..at], &field[at + 1..]);
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    digits(whole) && digits(fraction) && (fraction.len() != 3 || whole == b"0")
}

/// A column of one fold, seed or run among others, as the run and the metric: `val_loss_fold0`, `fold1/val_loss`.
fn run_of(name: &str) -> Option<(String, &str)> {
    static ENDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)^(?:(.+?)[_ .:/-]*(fold|seed|run)[_ -]?(\d+)|(fold|seed|run)[_ -]?(\d+)[_ .:/-]+(.+))$")
            .expect("it is an expression")
    });
    let found = ENDS.captures(name)?;
    let text = |one: usize, other: usize| found.get(one).or_else(|| found.get(other)).map(|part| part.as_str());
    let (metric, word, number) = (text(1, 6)?, text(2, 4)?, text(3, 5)?);
    let is_metric = matches!(meaning(metric), Some((Target::Metric(_) | Target::LearningRate, _)));
    is_metric.then(|| (format!("{} {number}", word.to_lowercase()), metric))
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

/// Whether a field is text, and no number.
fn text_only(field: &[u8]) -> bool {
    std::str::from_utf8(field).is_ok_and(|text| !text.is_empty() && number(text, false).is_none() && !is_list(text))
}

/// Whether a field is a text, and neither a date nor a time, nor the name of a file that is numbered.
fn is_name(row: &csv::ByteRecord, at: usize) -> bool {
    row.get(at).is_some_and(|field| text_only(field) && !field.first().is_some_and(u8::is_ascii_digit))
}

/// Whether the first column has the learning rates of a schedule: each stands in several rows, one below the other.
fn is_schedule(records: &[csv::ByteRecord]) -> bool {
    let rates: HashSet<_> = records.iter().map(|row| row.get(0)).collect();
    let changes = records.windows(2).filter(|pair| pair[0].get(0) != pair[1].get(0)).count();
    changes < rates.len() && 4 * rates.len() <= records.len()
}

/// Whether rows of the same epoch differ by a column of texts, or of settings, whose values recur.
fn tells_apart(records: &[csv::ByteRecord], names: &[String], epoch: usize, at: usize) -> bool {
    let is_rate = || matches!(meaning(&names[at]), Some((Target::LearningRate, _)));
    let names_metrics = NAMES.contains(&names[at].to_lowercase().as_str());
    if at == epoch
        || names_metrics
        || !is_setting(&names[at]) && !is_rate() && !records.iter().all(|row| is_name(row, at))
    {
        return false;
    }
    let distinct = |columns: &[usize]| {
        let rows = records.iter().map(|row| columns.iter().map(|at| row.get(*at)).collect::<Vec<_>>());
        rows.collect::<HashSet<_>>().len()
    };
    let (epochs, values) = (distinct(&[epoch]), distinct(&[at]));
    values > 1 && 2 * values <= records.len() && epochs < records.len() && distinct(&[epoch, at]) == records.len()
}

/// The columns of a table by what they mean.
struct Table<'a> {
    names: &'a [String],
    epoch: Option<usize>,
    step: Option<usize>,
    split: Option<usize>,
    /// Columns whose texts together are the name of a curve.
    curves: Vec<usize>,
    /// The one among them, or of the sets, whose name does not say so.
    told_apart: Option<usize>,
    /// A column with the names of metrics, and the one with their values.
    long: Option<(usize, usize)>,
    decimal_commas: bool,
    /// The set that the name of the file tells, if no column does.
    of_file: Option<&'static str>,
    /// The run and the metric of columns that name both.
    runs: Vec<Option<(String, &'a str)>>,
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
        let (epoch, step, mut split) = (column(Target::Epoch)?, column(Target::Step)?, column(Target::Split)?);
        // TensorBoard calls the sets runs.
        let names_sets = |at: &usize| {
            let mut texts = records.iter().filter_map(|record| std::str::from_utf8(record.get(*at)?).ok());
            texts.all(|text| is_part(text).is_some())
        };
        // Phases that are no sets are trainings of their own.
        if let Some(at) = split.filter(|at| !names_sets(at) && 2 * values(*at) <= records.len()) {
            split = None;
            curves.push(at);
        }
        if let Some(at) = curves.iter().copied().find(names_sets).filter(|_| split.is_none() && !records.is_empty()) {
            split = Some(at);
            curves.retain(|other| *other != at);
        }
        let told_apart = match curves.is_empty() && split.is_none() && choices.is_empty() {
            true => epoch.and_then(|epoch| (0..names.len()).find(|at| tells_apart(records, names, epoch, *at))),
            false => None,
        };
        match told_apart {
            Some(at) if names_sets(&at) => split = Some(at),
            at => curves.extend(at),
        }
        let is_name = |name: &str| NAMES.contains(&name.to_lowercase().as_str());
        let with_text =
            |at: &usize| is_name(&names[*at]) && records.iter().take(3).all(|row| row.get(*at).is_some_and(text_only));
        let value = names.iter().position(|name| VALUES.contains(&name.to_lowercase().as_str()));
        let long = (0..names.len()).find(with_text).zip(value);
        let decimal_commas = records.iter().flat_map(csv::ByteRecord::iter).any(has_decimal_comma);
        let of_wandb = |name: &'a str| {
            let (run, metric) = name.rsplit_once(WANDB_SEPARATOR).filter(|_| meaning(name).is_none())?;
            Some((run.to_owned(), metric))
        };
        let runs = names.iter().map(|name| of_wandb(name).or_else(|| run_of(name))).collect();
        Ok(Table { names, epoch, step, split, curves, told_apart, long, decimal_commas, of_file: None, runs })
    }

    /// Where a time that was counted from the start goes back, although the epoch goes on: the training was started again.
    fn restarts(&self, records: &[csv::ByteRecord]) -> Option<String> {
        const RARE: usize = 4;
        let is_time = |name: &String| matches!(name.to_lowercase().as_str(), "time" | "elapsed" | "elapsed_time");
        let at = self.names.iter().position(is_time)?;
        let epoch = self.epoch?;
        let rows = records.iter().filter_map(|row| Some((self.number(row, Some(epoch))?, self.number(row, Some(at))?)));
        let rows: Vec<(f64, f64)> = rows.collect();
        let back = rows.windows(2).filter(|pair| pair[1].0 > pair[0].0 && pair[1].1 < pair[0].1);
        let back: Vec<String> = back.map(|pair| format!("{}", pair[1].0)).collect();
        // Times of single epochs go back and forth.
        (!back.is_empty() && RARE * back.len() < rows.len()).then(|| {
            format!(
                "{} goes back at epoch {}, so the training was started again there",
                self.names[at],
                back.join(", ")
            )
        })
    }

    /// The problem of a table whose rows are trainings of their own: each has another name, or other settings. Or they are
    /// sizes of the training set.
    fn comparison(&self, records: &[csv::ByteRecord]) -> Option<Problem> {
        let values = |at: usize| -> HashSet<&[u8]> { records.iter().filter_map(|record| record.get(at)).collect() };
        let descents = |at: usize| {
            let numbers: Vec<f64> = records.iter().filter_map(|record| self.number(record, Some(at))).collect();
            numbers.windows(2).filter(|pair| pair[1] < pair[0]).count()
        };
        let counts = |at: Option<usize>| at.is_some_and(|at| values(at).len() > 1 && 4 * descents(at) < records.len());
        if records.len() < 2 || counts(self.epoch) || counts(self.step) {
            return None;
        }
        let is_kind = |name: &String| KINDS.contains(&name.to_lowercase().replace([' ', '-'], "_").as_str());
        let named = |at: usize| matches!(meaning(&self.names[at]), Some((Target::Curve, _)));
        // The first column has names, and no other tells where in a training a row belongs.
        let is_label = |at: usize| {
            at == 0
                && !self.is_known(at)
                && 2 * values(at).len() > records.len()
                && records.iter().filter(|row| is_name(row, at)).count() * 10 > 8 * records.len()
        };
        let is_uncounted = self.epoch.is_none() && self.step.is_none();
        let differs = |at: &usize| {
            let many = values(*at).len();
            let is_rate = *at == 0
                && many > 1
                && matches!(meaning(&self.names[0]), Some((Target::LearningRate, _)))
                && !is_schedule(records);
            if is_uncounted && (is_label(*at) || is_rate) {
                return true;
            }
            is_setting(&self.names[*at]) && many > 1
                || named(*at) && many == records.len()
                || is_kind(&self.names[*at])
                    && many > 1
                    && records.iter().all(|row| row.get(*at).is_some_and(text_only))
        };
        let differing = (0..self.names.len()).find(differs).map(|at| self.names[at].clone());
        let problem = Problem::new(format!(
            "its rows are not epochs of one training: each has another {}, and no column counts epochs",
            differing.or_else(|| self.label(records))?
        ));
        Some(problem.hint(
            "give the curve of one training; if the rows are epochs, name their count with --columns epoch=COLUMN",
        ))
    }

    /// The columns of texts, if no two rows have the same texts in all of them.
    fn label(&self, records: &[csv::ByteRecord]) -> Option<String> {
        const FEW: usize = 3;
        let names = |at: usize| records.iter().filter(|row| is_name(row, at)).count() * 10 > 8 * records.len();
        let texts: Vec<usize> = (0..self.names.len()).filter(|at| self.split != Some(*at) && names(*at)).collect();
        let labels: HashSet<Vec<&str>> =
            records.iter().map(|row| texts.iter().map(|at| self.text(row, *at)).collect()).collect();
        let names = texts.iter().map(|at| self.names[*at].as_str()).collect::<Vec<_>>().join(" and ");
        (self.long.is_none() && !texts.is_empty() && records.len() >= FEW && labels.len() == records.len())
            .then_some(names)
    }

    /// What a column of texts that has no meaning may tell apart.
    fn not_told_apart(&self, records: &[csv::ByteRecord], at: usize) -> Option<String> {
        let texts = records.iter().filter(|row| is_name(row, at));
        let texts: Vec<_> = texts.map(|row| (self.number(row, self.epoch), self.text(row, at))).collect();
        if self.is_known(at) { None } else { doubts::tells_apart(&self.names[at], &texts, records.len()) }
    }

    /// Whether a column of texts is known to name curves, sets or metrics.
    fn is_known(&self, at: usize) -> bool {
        self.long.is_some() || self.split == Some(at) || self.curves.contains(&at)
    }

    /// Whether a line has a number, or is a header again.
    fn has_number(&self, record: &csv::ByteRecord) -> bool {
        record.iter().zip(self.names).all(|(field, name)| field == name.as_bytes())
            || (0..record.len()).any(|at| self.value(record, at, false).is_some())
            || record.iter().all(<[u8]>::is_empty)
    }

    fn text<'r>(&self, record: &'r csv::ByteRecord, at: usize) -> &'r str {
        record.get(at).and_then(|field| std::str::from_utf8(field).ok()).unwrap_or("")
    }

    fn number(&self, record: &csv::ByteRecord, at: Option<usize>) -> Option<f64> {
        self.value(record, at?, false)
    }

    fn value(&self, record: &csv::ByteRecord, at: usize, of_accuracy: bool) -> Option<f64> {
        match self.decimal_commas {
            true => number(&self.text(record, at).replace('.', "").replace(',', "."), of_accuracy),
            false => number(self.text(record, at), of_accuracy),
        }
    }

    fn row(&self, record: &csv::ByteRecord, place: Place, gather: &mut Gather) -> Result<(), Problem> {
        let curve: Vec<&str> = self.curves.iter().map(|at| self.text(record, *at)).collect();
        let curve = curve.join(" ");
        let part = self.split.map(|at| self.text(record, at));
        if let Some((name, value)) = self.long {
            let name = with_part(part, self.text(record, name)).into_owned();
            let value = self.value(record, value, quantity(&name) == Some("accuracy"));
            let values: Vec<_> = value.map(|value| (name, value)).into_iter().collect();
            return gather.row(&Row { curve, place, values });
        }
        let mut rows: Vec<Row> = Vec::new();
        let is_place = |at: usize| {
            self.names[at].is_empty()
                || [self.epoch, self.step, self.split].contains(&Some(at))
                || self.curves.contains(&at)
        };
        for (at, name) in self.names.iter().enumerate().filter(|(at, _)| !is_place(*at)) {
            let Some(value) = self.value(record, at, quantity(name) == Some("accuracy")) else { continue };
            let (run, metric) = match &self.runs[at] {
                Some((run, metric)) => (run.as_str(), *metric),
                None => (curve.as_str(), name.as_str()),
            };
            if WANDB_BESIDE.iter().any(|beside| metric.ends_with(beside)) {
                continue;
            }
            let name = match self.of_file {
                Some(part) if is_measure(metric) => of_set(part, metric),
                _ => with_part(part, metric).into_owned(),
            };
            let value = (name, value);
            match rows.iter_mut().find(|row| row.curve == run) {
                Some(row) => row.values.push(value),
                None => rows.push(Row { curve: run.to_owned(), place, values: vec![value] }),
            }
        }
        rows.iter().try_for_each(|row| gather.row(row))
    }
}
