//! What a program prints or writes, read as epochs. Pure.
//!
//! Rows that give the same `epoch` are one epoch, under the program's own number. Rows without one belong to the next row
//! that has the metric, which is the next epoch where the program gives no numbers at all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use sweep_core::trial::{Attempt, EpochMetrics, METRICS, MOST_OTHERS, Others, Outcome};
use sweep_scheduler::schedule::FromProgram;

/// What a line has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// What the scheduler is told.
    Message(Box<FromProgram>),
    /// The metric that counts is no number any more.
    Diverged(Outcome),
}

/// What the journal has of a trial when an attempt begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The last epoch; 0 where there is none.
    pub last: u32,
    /// Whether the program counts its epochs from 0. Epochs are counted from 1 here.
    pub from_zero: bool,
    /// Bytes of the metrics file whose rows are in the journal.
    pub read: u64,
}

/// Numbers by name. A row of metrics, or a sum of several.
type Values = BTreeMap<String, f64>;

/// Means of numbers, as sums and counts.
#[derive(Debug, Default)]
struct Means(BTreeMap<String, (f64, f64)>);

impl Means {
    fn add(&mut self, values: &Values) {
        for (name, value) in values.iter().filter(|(_, value)| value.is_finite()) {
            let (sum, count) = self.0.entry(name.clone()).or_default();
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
    }

    fn values(&self) -> impl Iterator<Item = (String, f64)> {
        self.0.iter().map(|(name, (sum, count))| (name.clone(), sum / count))
    }
}

/// An epoch while its rows come.
#[derive(Debug, Default)]
struct Current {
    /// By the program's count.
    number: u32,
    /// Of rows without the metric.
    steps: Means,
    /// Of rows with the metric: the last value.
    firm: Values,
    /// Whether there is more than was told.
    untold: bool,
}

/// The lines of one attempt so far.
#[derive(Debug)]
pub struct Reading {
    attempt: Attempt,
    metric: String,
    known: Known,
    /// Whether the rows that come are of an earlier attempt, which died before they were read.
    catching_up: bool,
    /// Whether the next epoch is the first of an attempt.
    fresh: bool,
    current: Option<Current>,
    /// Of rows without an epoch since the last row with the metric.
    steps: Means,
    header: Option<csv::StringRecord>,
    /// The start of a CSV row whose quotes are open.
    open: Vec<u8>,
    /// Bytes of the file up to the row that is read, and with it.
    place: Option<(u64, u64)>,
    /// All names of numbers other than [`METRICS`], [`MOST_OTHERS`] at most.
    names: BTreeSet<String>,
    /// Some of the names beyond that.
    left_out: BTreeSet<String>,
    /// What stood under the metric's name in place of a number.
    odd: Option<String>,
    /// Whether the metric was told.
    measured: bool,
    /// Epochs that this attempt has told.
    epochs: u32,
}

impl Reading {
    /// Of an attempt at a trial of which the journal has that much. With `catching_up`, the first rows are of an earlier
    /// attempt, until [`Reading::begin`].
    pub fn new(attempt: Attempt, known: Known, metric: &str, catching_up: bool) -> Reading {
        Reading {
            attempt,
            metric: metric.to_owned(),
            known,
            catching_up,
            fresh: true,
            current: None,
            steps: Means::default(),
            header: None,
            open: Vec::new(),
            place: None,
            names: BTreeSet::new(),
            left_out: BTreeSet::new(),
            odd: None,
            measured: false,
            epochs: 0,
        }
    }

    /// The file is another one now: its rows are read from its beginning.
    pub fn restart(&mut self, told: &mut Vec<Said>) {
        self.begin(told);
        (self.header, self.place) = (None, None);
    }

    /// The rows that come now are this attempt's own.
    pub fn begin(&mut self, told: &mut Vec<Said>) {
        self.finish(told);
        (self.catching_up, self.fresh, self.current) = (false, true, None);
        self.steps = Means::default();
    }

    /// No row comes any more.
    pub fn finish(&mut self, told: &mut Vec<Said>) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.record(&open, told);
        }
        self.tell_current(told);
    }

    /// The next row of the file begins and ends after so many bytes.
    pub fn at(&mut self, from: u64, to: u64) {
        // A row of several lines began with the first of them.
        self.place = Some((self.place.map_or(from, |(start, _)| if self.open.is_empty() { from } else { start }), to));
    }

    /// Takes the names of a CSV file's columns from its first line, which an earlier attempt read.
    pub fn names_of_columns(&mut self, line: &[u8]) {
        if !line.trim_ascii_start().starts_with(b"{") {
            self.record(line, &mut Vec::new());
        }
    }

    /// Whether so many epochs came that some were dropped.
    pub fn is_full(&self) -> bool {
        self.epochs >= MOST_EPOCHS
    }

    /// Whether the metric was told by this attempt.
    pub fn measured(&self) -> bool {
        self.measured
    }

    /// The names under which numbers were told, but those of [`METRICS`] and [`NO_METRICS`].
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Some of the names that were left out, being more than are kept.
    pub fn left_out(&self) -> &BTreeSet<String> {
        &self.left_out
    }

    /// What stood under the metric's name in place of a number: `the text "high"`, `a list`.
    pub fn odd(&self) -> Option<&str> {
        self.odd.as_deref()
    }

    /// A line that was printed. Whether it was one with metrics: a JSON object with the metric, or another number of an
    /// epoch.
    pub fn line(&mut self, line: &[u8], told: &mut Vec<Said>) -> bool {
        let Some(object) = json_object(line) else { return false };
        let mut values = Values::new();
        for (name, json) in object {
            let number = match &json {
                Json::Number(number) => number.as_f64(),
                Json::String(text) if text == NAN => Some(f64::NAN),
                _ if name != self.metric => None,
                Json::Null => Some(f64::NAN),
                Json::String(text) if is_no_number(text) => Some(f64::NAN),
                Json::String(text) => self.found(&format!("the text {}", short(text))),
                Json::Array(_) => self.found("a list"),
                Json::Object(_) => self.found("a table"),
                Json::Bool(boolean) => self.found(&boolean.to_string()),
            };
            values.extend(number.map(|number| (name, number)));
        }
        self.values(&values, told)
    }

    fn found(&mut self, odd: &str) -> Option<f64> {
        self.odd.get_or_insert_with(|| odd.to_owned());
        None
    }

    /// A line of a file of metrics: JSON, or CSV whose first line has the names.
    pub fn row(&mut self, line: &[u8], told: &mut Vec<Said>) {
        if self.open.is_empty() && line.trim_ascii_start().starts_with(b"{") {
            self.line(line, told);
            return;
        }
        let mut row = std::mem::take(&mut self.open);
        if !row.is_empty() {
            row.push(b'\n');
        }
        row.extend(line);
        // A line end in quotes is part of a field.
        let quotes = row.iter().filter(|byte| **byte == b'"').count();
        if quotes % 2 == 1 && row.len() < LONGEST_ROW {
            self.open = row;
        } else {
            self.record(&row, told);
        }
    }

    fn record(&mut self, row: &[u8], told: &mut Vec<Said>) {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(row);
        let Some(Ok(record)) = reader.records().next() else { return };
        let numbers: Vec<Option<f64>> = record.iter().map(|field| field.parse().ok()).collect();
        let Some(header) = self.header.clone().filter(|_| numbers.iter().any(Option::is_some)) else {
            self.header = Some(record);
            return;
        };
        let mut values = Values::new();
        for ((name, field), number) in header.iter().zip(&record).zip(numbers) {
            let number = match number {
                None if name != self.metric || field.is_empty() => None,
                None if matches!(field.to_ascii_lowercase().as_str(), "null" | "none") => Some(f64::NAN),
                None => self.found(&format!("the text {}", short(field))),
                number => number,
            };
            values.extend(number.map(|number| (name.to_owned(), number)));
        }
        self.values(&values, told);
    }

    /// Takes a row's numbers. Whether any of them is the metric or an epoch's.
    fn values(&mut self, values: &Values, told: &mut Vec<Said>) -> bool {
        let number = values.get("epoch").copied().filter(|epoch| (0.0..1e9).contains(epoch));
        // Hugging Face counts in fractions: 0.32 is within the first epoch.
        let number = number.map(|epoch| epoch.ceil() as u32);
        let has_metric = values.contains_key(&self.metric);
        let is_epochs = has_metric || METRICS.iter().any(|name| values.contains_key(*name));
        let own: Values = values.iter().filter(|(name, _)| self.is_kept(name)).map(|(k, v)| (k.clone(), *v)).collect();
        if own.is_empty() {
            return false;
        }
        let Some(number) = number.or_else(|| has_metric.then(|| self.next_number())) else {
            self.steps.add(&own);
            return is_epochs;
        };
        if self.current.as_ref().is_none_or(|current| current.number != number) {
            self.tell_current(told);
            // Back at its first epoch, the program has begun anew.
            let is_first = number <= u32::from(!self.known.from_zero);
            self.fresh |= is_first && self.current.as_ref().is_some_and(|current| current.number > number);
            if self.epochs >= MOST_EPOCHS {
                return true;
            }
            self.epochs += 1;
            self.current = Some(Current { number, ..Current::default() });
        }
        let steps = if has_metric { std::mem::take(&mut self.steps) } else { Means::default() };
        let current = self.current.as_mut().expect("it was just made");
        current.untold = true;
        if has_metric {
            current.firm.extend(steps.values().filter(|(name, _)| !own.contains_key(name)));
            current.firm.extend(own.iter().map(|(name, value)| (name.clone(), *value)));
            self.measured = true;
            let end = self.place.map(|(_, end)| end);
            self.tell(end, told);
        } else {
            current.steps.add(&own);
        }
        true
    }

    /// The number of a row with the metric and without an epoch: that of the epoch whose metric has not come, or the next.
    fn next_number(&self) -> u32 {
        match &self.current {
            Some(current) if !current.firm.contains_key(&self.metric) => current.number,
            Some(current) => current.number + 1,
            None if self.catching_up => self.known.last + u32::from(!self.known.from_zero),
            None => 1,
        }
    }

    /// Whether numbers under that name are an epoch's.
    fn is_kept(&mut self, name: &str) -> bool {
        if name == self.metric || METRICS.contains(&name) || matches!(name, "learning_rate" | "seconds") {
            return true;
        }
        let is_plain = |char: char| !char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}');
        let is_name = !name.is_empty() && !name.starts_with('_') && name.chars().all(is_plain);
        if !is_name || name.len() > LONGEST_NAME || NO_METRICS.contains(&name) {
            return false;
        }
        if self.names.contains(name) {
            return true;
        }
        if self.names.len() >= MOST_OTHERS {
            if self.left_out.len() < MOST_LEFT_OUT {
                self.left_out.insert(name.to_owned());
            }
            return false;
        }
        self.names.insert(name.to_owned())
    }

    /// Tells what has come of the epoch since it was told last, before a row of another one.
    fn tell_current(&mut self, told: &mut Vec<Said>) {
        if self.current.as_ref().is_some_and(|current| current.untold) {
            let start = self.place.map(|(start, _)| start);
            self.tell(start, told);
        }
    }

    /// Tells the epoch as it is; the file is read up to that many bytes.
    fn tell(&mut self, read: Option<u64>, told: &mut Vec<Said>) {
        let Some(current) = &mut self.current else { return };
        current.untold = false;
        let mut values: Values = current.steps.values().collect();
        values.extend(current.firm.iter().map(|(name, value)| (name.clone(), *value)));
        let finite = |name: &str| values.get(name).copied().filter(|value| value.is_finite());
        let mut metrics = EpochMetrics {
            learning_rate: finite("learning_rate"),
            train_loss: finite("train_loss"),
            train_accuracy: finite("train_accuracy"),
            train_eval_loss: finite("train_eval_loss"),
            train_eval_accuracy: finite("train_eval_accuracy"),
            val_loss: finite("val_loss"),
            val_accuracy: finite("val_accuracy"),
            seconds: finite("seconds"),
            ..EpochMetrics::default()
        };
        if !METRICS.contains(&self.metric.as_str()) {
            metrics.objective = finite(&self.metric);
        }
        let names = &self.names;
        let others: Others = values
            .iter()
            .filter(|(name, value)| names.contains(*name) && **name != self.metric && value.is_finite())
            .map(|(name, value)| (name.clone(), *value))
            .collect();
        let (attempt, number) = (self.attempt, current.number);
        let starts_anew = number <= u32::from(!self.known.from_zero);
        if starts_anew && self.fresh {
            self.known.from_zero = number == 0;
        }
        // By the program's own count, but from 1.
        metrics.epoch = number.saturating_add(u32::from(self.known.from_zero)).max(1);
        if std::mem::take(&mut self.fresh) {
            let from_epoch = if starts_anew { 0 } else { metrics.epoch - 1 };
            let began = FromProgram::Began { attempt, from_epoch, from_zero: self.known.from_zero };
            told.push(Said::Message(Box::new(began)));
        }
        if values.get(&self.metric).is_some_and(|value| !value.is_finite()) {
            let what = format!("{} is NaN or infinite", self.metric);
            told.push(Said::Diverged(Outcome::Diverged { epoch: metrics.epoch, step: 0, what }));
        } else {
            self.known.last = metrics.epoch;
            told.push(Said::Message(Box::new(FromProgram::Epoch { attempt, metrics, others, read })));
        }
    }
}

/// The JSON object of a line, if it is one. Bare words for numbers that JSON cannot have are allowed.
pub fn json_object(line: &[u8]) -> Option<serde_json::Map<String, Json>> {
    let text = std::str::from_utf8(line).ok()?;
    if !text.trim_start().starts_with('{') {
        return None;
    }
    match serde_json::from_str(&without_nan(text)) {
        Ok(Json::Object(object)) => Some(object),
        _ => None,
    }
}

/// Names that mean something else, beside those of the metrics: W&B's own begin with `_`.
const NO_METRICS: [&str; 6] = ["epoch", "learning_rate", "seconds", "pictures_per_second", "loss_gap", "accuracy_gap"];

/// Epochs of an attempt that are kept: a program that prints a row a step would fill memory and disk.
pub const MOST_EPOCHS: u32 = 100_000;

/// Bytes of a metric's name.
const LONGEST_NAME: usize = 100;

/// Bytes of a CSV row of several lines.
const LONGEST_ROW: usize = 1 << 20;

/// Names that are told of those left out.
const MOST_LEFT_OUT: usize = 5;

/// What stands for a number that JSON cannot have.
const NAN: &str = "\u{0}";

/// How Python's `json` writes such numbers, longer words first.
const NOT_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Whether a text is how some write what is no number.
fn is_no_number(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    matches!(text.trim_start_matches(['+', '-']), "nan" | "inf" | "infinity")
}

/// The beginning of a text, in quotes.
fn short(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    format!("{start:?}")
}

/// Bare words for numbers that JSON cannot have become text, and so do numbers that are too large to be any; what stands
/// in quotes stays as it is.
fn without_nan(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            whole.push('"');
        }
        // A quote within a text is rare, and at worst leaves the line to the log.
        match at % 2 {
            0 => {
                whole +=
                    &without_infinite(&NOT_NUMBERS.iter().fold(part.to_owned(), |part, word| part.replace(word, MARK)));
            }
            _ => whole += part,
        }
    }
    whole
}

/// [`NAN`] as JSON has it.
const MARK: &str = "\"\\u0000\"";

/// Numbers such as 1e400, which no float can hold, become [`MARK`].
fn without_infinite(part: &str) -> String {
    let is_of_number = |char: char| char.is_ascii_digit() || "+-.eE".contains(char);
    let mut whole = String::with_capacity(part.len());
    let mut rest = part;
    while let Some(start) = rest.find(is_of_number) {
        let length = rest[start..].find(|char| !is_of_number(char)).unwrap_or(rest.len() - start);
        let word = &rest[start..start + length];
        whole += &rest[..start];
        whole += if word.parse::<f64>().is_ok_and(f64::is_infinite) { MARK } else { word };
        rest = &rest[start + length..];
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::trial::TrialId;

    const ATTEMPT: Attempt = Attempt { trial: TrialId(1), number: 1 };

    fn new() -> Reading {
        Reading::new(ATTEMPT, Known::default(), "score", false)
    }

    /// Reads lines; what was said as short words: `began 0`, `1 score 0.5`.
    fn said(reading: &mut Reading, lines: &[&str]) -> Vec<String> {
        let mut told = Vec::new();
        for line in lines {
            reading.row(line.as_bytes(), &mut told);
        }
        reading.finish(&mut told);
        words(&told)
    }

    fn words(told: &[Said]) -> Vec<String> {
        let word = |said: &Said| match said {
            Said::Diverged(Outcome::Diverged { epoch, what, .. }) => format!("{epoch} {what}"),
            Said::Diverged(other) => format!("{other:?}"),
            Said::Message(message) => match &**message {
                FromProgram::Began { from_epoch, .. } => format!("began {from_epoch}"),
                FromProgram::Epoch { metrics, others, .. } => {
                    let named = [("score", metrics.objective), ("train_loss", metrics.train_loss)];
                    let named = named.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", value?)));
                    let others = others.iter().map(|(name, value)| format!(" {name} {value}"));
                    named.chain(others).fold(metrics.epoch.to_string(), |words, word| words + &word)
                }
                other => format!("{other:?}"),
            },
        };
        told.iter().map(word).collect()
    }

    #[test]
    fn lines_with_the_metric_are_epochs_and_all_else_is_the_logs() {
        let (mut reading, mut told) = (new(), Vec::new());
        for (line, is_epoch) in [
            ("loading", false),
            (r#"{"epoch": 0, "score": 0.5}"#, true),
            (r#"{"status": "ok"}"#, false),
            (r#"{"score": 1}"#, true),
            (r#"{"val_loss": 1.5}"#, true),
            (r#"{"score": "#, false),
            (r#"{"score": 2}"#, true),
        ] {
            assert_eq!(reading.line(line.as_bytes(), &mut told), is_epoch, "{line}");
        }
        assert_eq!(words(&told), ["began 0", "1 score 0.5", "2 score 1", "3 score 2"]);
    }

    #[test]
    fn epochs_have_the_programs_own_numbers() {
        let rows = [r#"{"epoch": 5, "score": 1}"#, r#"{"epoch": 10, "score": 2}"#, r#"{"epoch": 15, "score": 3}"#];
        assert_eq!(said(&mut new(), &rows), ["began 4", "5 score 1", "10 score 2", "15 score 3"]);
        let rows = [r#"{"epoch": 0, "score": 1}"#, r#"{"epoch": 1, "score": 2}"#, r#"{"epoch": 3, "score": 3}"#];
        assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 1", "2 score 2", "4 score 3"]);
    }

    #[test]
    fn rows_of_one_epoch_are_one_whichever_comes_first() {
        let rows = [
            r#"{"epoch": 1, "train_loss": 3, "lr": 1}"#,
            r#"{"epoch": 1, "score": 1}"#,
            r#"{"epoch": 2, "score": 2}"#,
            r#"{"epoch": 2, "train_loss": 2}"#,
            r#"{"epoch": 3, "train_loss": 1}"#,
        ];
        let expected =
            ["began 0", "1 score 1 train_loss 3 lr 1", "2 score 2", "2 score 2 train_loss 2", "3 train_loss 1"];
        assert_eq!(said(&mut new(), &rows), expected);
    }

    #[test]
    fn steps_are_averaged_into_their_epoch() {
        let mut rows = Vec::new();
        for epoch in 1..=2 {
            rows.extend((1..=20).map(|step| format!("{{\"epoch\": {epoch}, \"train_loss\": {step}}}")));
            rows.push(format!("{{\"epoch\": {epoch}, \"score\": {epoch}}}"));
        }
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let expected = ["began 0", "1 score 1 train_loss 10.5", "2 score 2 train_loss 10.5"];
        assert_eq!(said(&mut new(), &rows), expected);
        // The same without numbers, and with a mean of the program's own.
        let rows = [
            r#"{"train_loss": 1}"#,
            r#"{"train_loss": 3}"#,
            r#"{"score": 1}"#,
            r#"{"train_loss": 8}"#,
            r#"{"score": 2, "train_loss": 9}"#,
        ];
        assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 1 train_loss 2", "2 score 2 train_loss 9"]);
    }

    #[test]
    fn lightnings_metrics_file_has_one_row_an_epoch_here() {
        let rows = ["epoch,score,step,train_loss", "0,,49,2.0", "0,0.5,49,", "1,,99,1.5", "1,0.75,99,"];
        let expected = ["began 0", "1 score 0.5 train_loss 2 step 49", "2 score 0.75 train_loss 1.5 step 99"];
        assert_eq!(said(&mut new(), &rows), expected);
        let hugging_face = [r#"{"train_loss": 1, "epoch": 0.5}"#, r#"{"score": 2, "epoch": 1.0}"#];
        assert_eq!(said(&mut new(), &hugging_face), ["began 0", "1 score 2 train_loss 1"]);
    }

    #[test]
    fn numbers_under_any_name_go_with_the_next_epoch_and_are_bounded() {
        let rows = [
            r#"{"train/loss": 3, "_step": 1}"#,
            r#"{"train/loss": 2, "f1": NaN, "note": "x"}"#,
            r#"{"score": 1, "f1": 0.5}"#,
            r#"{"score": 2}"#,
        ];
        let mut reading = new();
        assert_eq!(said(&mut reading, &rows), ["began 0", "1 score 1 f1 0.5 train/loss 2.5", "2 score 2"]);
        let many: Vec<String> = (0..2 * MOST_OTHERS).map(|n| format!("\"m{n:04}\": 1")).collect();
        said(&mut reading, &[&format!("{{\"score\": 3, {}}}", many.join(","))]);
        assert_eq!((reading.names().len(), reading.left_out().len()), (MOST_OTHERS, MOST_LEFT_OUT));
    }

    #[test]
    fn the_first_line_of_a_resumed_attempt_tells_where_it_goes_on() {
        for (line, from_zero, expected) in [
            (r#"{"epoch": 4, "score": 1}"#, false, ["began 3", "4 score 1"]),
            (r#"{"epoch": 3, "score": 1}"#, true, ["began 3", "4 score 1"]),
            (r#"{"score": 1}"#, false, ["began 0", "1 score 1"]),
            (r#"{"epoch": 0, "score": 1}"#, true, ["began 0", "1 score 1"]),
            (r#"{"epoch": 1, "score": 1}"#, false, ["began 0", "1 score 1"]),
            (r#"{"epoch": 99, "score": 1}"#, false, ["began 98", "99 score 1"]),
        ] {
            let known = Known { last: 3, from_zero, read: 0 };
            assert_eq!(said(&mut Reading::new(ATTEMPT, known, "score", false), &[line]), expected, "{line}");
        }
    }

    /// The controller died before it read the fourth row; the program goes on with its fifth, or anew.
    #[test]
    fn rows_that_were_never_read_come_before_those_of_the_attempt() {
        let known = Known { last: 3, from_zero: false, read: 0 };
        for (row, next, expected) in [
            (
                r#"{"epoch": 4, "score": 4}"#,
                r#"{"epoch": 5, "score": 5}"#,
                ["began 3", "4 score 4", "began 4", "5 score 5"],
            ),
            (
                r#"{"epoch": 4, "score": 4}"#,
                r#"{"epoch": 1, "score": 1}"#,
                ["began 3", "4 score 4", "began 0", "1 score 1"],
            ),
            (r#"{"score": 4}"#, r#"{"score": 1}"#, ["began 3", "4 score 4", "began 0", "1 score 1"]),
        ] {
            let (mut reading, mut told) = (Reading::new(ATTEMPT, known, "score", true), Vec::new());
            reading.row(row.as_bytes(), &mut told);
            reading.begin(&mut told);
            reading.row(next.as_bytes(), &mut told);
            assert_eq!(words(&told), expected);
        }
    }

    #[test]
    fn a_program_that_begins_anew_replaces_its_epochs() {
        let rows = ["1", "2", "3", "1", "2"].map(|epoch| format!("{{\"epoch\": {epoch}, \"score\": {epoch}}}"));
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let expected = ["began 0", "1 score 1", "2 score 2", "3 score 3", "began 0", "1 score 1", "2 score 2"];
        assert_eq!(said(&mut new(), &rows), expected);
        // A row of an epoch that is told late adds to it.
        let rows = [r#"{"epoch": 4, "score": 1}"#, r#"{"epoch": 5, "f1": 2}"#, r#"{"epoch": 4, "f1": 3}"#];
        assert_eq!(said(&mut new(), &rows), ["began 3", "4 score 1", "5 f1 2", "4 f1 3"]);
    }

    #[test]
    fn a_metric_that_is_no_number_is_a_divergence() {
        for line in [
            r#"{"score": NaN, "note": "NaN"}"#,
            r#"{"score": -Infinity}"#,
            r#"{"score": null}"#,
            r#"{"score": "nan"}"#,
            r#"{"score": "-inf"}"#,
            r#"{"score": 1e400, "note": "1e400"}"#,
            r#"{"score": -1e999}"#,
        ] {
            let (mut reading, mut told) = (new(), Vec::new());
            assert!(reading.line(line.as_bytes(), &mut told), "{line}");
            assert_eq!(words(&told), ["began 0", "1 score is NaN or infinite"], "{line}");
        }
        for field in ["nan", "inf", "null", "None", "1e400"] {
            let told = said(&mut new(), &["epoch,score", &format!("1,{field}")]);
            assert_eq!(told, ["began 0", "1 score is NaN or infinite"], "{field}");
        }
        assert_eq!(said(&mut new(), &["epoch,score,f1", "1,,2"]), ["began 0", "1 f1 2"], "an empty field is no value");
    }

    #[test]
    fn what_stands_in_place_of_a_number_is_named() {
        for (line, odd) in [
            (r#"{"score": "high"}"#, "the text \"high\""),
            (r#"{"score": [1]}"#, "a list"),
            (r#"{"score": {"mean": 1}}"#, "a table"),
            (r#"{"score": true}"#, "true"),
        ] {
            let mut reading = new();
            assert_eq!((said(&mut reading, &[line]), reading.odd()), (Vec::<String>::new(), Some(odd)));
        }
        let mut reading = new();
        said(&mut reading, &["epoch,score", "1,high"]);
        assert_eq!((reading.odd(), reading.measured()), (Some("the text \"high\""), false));
    }

    #[test]
    fn a_csv_file_has_its_names_in_the_first_line() {
        let rows = ["epoch, score,val_loss", "1, 0.25, 2.0", "2,0.5,", "epoch,score", "3,0.75"];
        assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 0.25", "2 score 0.5", "3 score 0.75"]);
    }

    #[test]
    fn a_line_end_in_quotes_costs_no_row() {
        let rows = ["epoch,score,note", "1,1,\"two", "lines\"", "2,2,one"];
        assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 1", "2 score 2"]);
    }

    #[test]
    fn the_journal_learns_how_far_the_file_was_read() {
        let (mut reading, mut told) = (new(), Vec::new());
        let mut offset = 0;
        for row in [r#"{"epoch": 1, "score": 1}"#, r#"{"epoch": 2, "f1": 1}"#, r#"{"epoch": 3, "score": 1}"#] {
            let end = offset + row.len() as u64 + 1;
            reading.at(offset, end);
            reading.row(row.as_bytes(), &mut told);
            offset = end;
        }
        let read = told.iter().filter_map(|said| match said {
            Said::Message(message) => match &**message {
                FromProgram::Epoch { metrics, read, .. } => Some((metrics.epoch, read.unwrap())),
                _ => None,
            },
            Said::Diverged(_) => None,
        });
        // The second epoch was complete once the third row came, which is not in it.
        assert_eq!(read.collect::<Vec<_>>(), [(1, 25), (2, 47), (3, 72)]);
    }
}
