//! What a program prints or writes, read as epochs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use sweep_core::protocol::FromTrainer;
use sweep_core::trial::{Attempt, EpochMetrics, METRICS, MOST_OTHERS, Others, Outcome};

/// What a line has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// As a trainer would have said it.
    Message(Box<FromTrainer>),
    /// The metric that counts is no number any more.
    Diverged(Outcome),
}

/// The lines of one attempt so far.
#[derive(Debug)]
pub struct Reading {
    attempt: Attempt,
    metric: String,
    known: u32,
    /// The last epoch that was told; `None` before the first.
    last: Option<u32>,
    header: Option<csv::StringRecord>,
    /// Numbers under names of their own that were told since the last epoch.
    others: Others,
    /// All such names, [`MOST_OTHERS`] at most.
    names: BTreeSet<String>,
}

impl Reading {
    /// Of an attempt at a trial that has told so many epochs before.
    pub fn new(attempt: Attempt, known: u32, metric: &str) -> Reading {
        Reading {
            attempt,
            metric: metric.to_owned(),
            known,
            last: None,
            header: None,
            others: Others::new(),
            names: BTreeSet::new(),
        }
    }

    /// Epochs told by this attempt and those before it.
    pub fn epochs(&self) -> u32 {
        self.last.unwrap_or(0)
    }

    /// The names under which numbers were told, but those of [`METRICS`] and [`NO_METRICS`].
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// A line that was printed. Whether it was one with metrics: a JSON object with a number under a known name.
    pub fn line(&mut self, line: &[u8], told: &mut Vec<Said>) -> bool {
        let Ok(text) = std::str::from_utf8(line) else { return false };
        if !text.trim_start().starts_with('{') {
            return false;
        }
        let Ok(Json::Object(object)) = serde_json::from_str(&without_nan(text)) else { return false };
        let value = |value: Json| match value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) if text == NAN => Some(f64::NAN),
            _ => None,
        };
        let values = object.into_iter().filter_map(|(name, json)| Some((name, value(json)?))).collect();
        self.epoch(&values, told)
    }

    /// A line of a file of metrics: JSON, or CSV whose first line has the names. One of an earlier attempt is skipped.
    pub fn row(&mut self, line: &[u8], skip: bool, told: &mut Vec<Said>) {
        if line.trim_ascii_start().starts_with(b"{") {
            if !skip {
                self.line(line, told);
            }
            return;
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(line);
        let Some(Ok(record)) = reader.records().next() else { return };
        let numbers: Vec<Option<f64>> = record.iter().map(|field| field.parse().ok()).collect();
        match &self.header {
            Some(header) if numbers.iter().any(Option::is_some) => {
                let named = header.iter().zip(numbers);
                let values = named.filter_map(|(name, number)| Some((name.to_owned(), number?))).collect();
                if !skip {
                    self.epoch(&values, told);
                }
            }
            _ => self.header = Some(record),
        }
    }

    /// Keeps what stands under other names for the epoch that is told next; of several values the last one.
    fn keep_others(&mut self, values: &BTreeMap<String, f64>) {
        for (name, value) in values {
            let is_other = ![&METRICS[..], &NO_METRICS].concat().contains(&name.as_str()) && *name != self.metric;
            let is_plain = |char: char| !char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}');
            let is_name = !name.is_empty() && !name.starts_with('_') && name.chars().all(is_plain);
            let is_name = is_name && name.len() <= LONGEST_NAME;
            if is_other && is_name && value.is_finite() && (self.names.contains(name) || self.names.len() < MOST_OTHERS)
            {
                self.names.insert(name.clone());
                self.others.insert(name.clone(), *value);
            }
        }
    }

    fn epoch(&mut self, values: &BTreeMap<String, f64>, told: &mut Vec<Said>) -> bool {
        let finite = |name: &str| values.get(name).copied().filter(|value| value.is_finite());
        let mut metrics = EpochMetrics {
            epoch: 0,
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
        if metrics.get(&self.metric).is_none() {
            metrics.objective = finite(&self.metric);
        }
        self.keep_others(values);
        let own = values.get(&self.metric);
        if own.is_none() && metrics == EpochMetrics::default() {
            return false;
        }
        metrics.epoch = match self.last {
            Some(last) => last + 1,
            // Where an attempt goes on is told by its first line; without that it begins anew.
            None => (finite("epoch").unwrap_or(1.0).max(1.0) as u32).min(self.known + 1),
        };
        let attempt = self.attempt;
        if self.last.is_none() {
            let (parameters, train_examples, validation_examples) = (0, 0, 0);
            let from_epoch = metrics.epoch - 1;
            let (note, warnings) = (None, Vec::new());
            let began = FromTrainer::Began {
                attempt,
                from_epoch,
                train_examples,
                validation_examples,
                parameters,
                note,
                warnings,
            };
            told.push(Said::Message(Box::new(began)));
        }
        self.last = Some(metrics.epoch);
        let others = std::mem::take(&mut self.others);
        if own.is_some_and(|value| !value.is_finite()) {
            let what = format!("{} is NaN or infinite", self.metric);
            told.push(Said::Diverged(Outcome::Diverged { epoch: metrics.epoch, step: 0, what }));
        } else {
            told.push(Said::Message(Box::new(FromTrainer::Epoch { attempt, metrics, others })));
        }
        true
    }
}

/// Names that mean something else, beside those of the metrics: W&B's own begin with `_`.
const NO_METRICS: [&str; 6] = ["epoch", "learning_rate", "seconds", "pictures_per_second", "loss_gap", "accuracy_gap"];

/// Characters of a metric's name.
const LONGEST_NAME: usize = 100;

/// What stands for a number that JSON cannot have.
const NAN: &str = "\u{0}";

/// How Python's `json` writes such numbers, longer words first.
const NOT_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Bare words for numbers that JSON cannot have become text; what stands in quotes stays as it is.
fn without_nan(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            whole.push('"');
        }
        // A quote within a text is rare, and at worst leaves the line to the log.
        match at % 2 {
            0 => whole += &NOT_NUMBERS.iter().fold(part.to_owned(), |part, word| part.replace(word, "\"\\u0000\"")),
            _ => whole += part,
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::trial::TrialId;

    const ATTEMPT: Attempt = Attempt { trial: TrialId(1), number: 1 };

    fn epochs(told: &[Said]) -> Vec<(u32, Option<f64>)> {
        let metrics = told.iter().filter_map(|said| match said {
            Said::Message(message) => match &**message {
                FromTrainer::Epoch { metrics, .. } => Some((metrics.epoch, metrics.get("score"))),
                _ => None,
            },
            Said::Diverged(_) => None,
        });
        metrics.collect()
    }

    #[test]
    fn lines_with_the_metric_are_epochs_and_all_else_is_the_logs() {
        let (mut reading, mut told) = (Reading::new(ATTEMPT, 0, "score"), Vec::new());
        for (line, is_epoch) in [
            ("loading", false),
            (r#"{"epoch": 0, "score": 0.5}"#, true),
            (r#"{"status": "ok"}"#, false),
            (r#"{"score": 1}"#, true),
            (r#"{"val_loss": 1.5}"#, true),
            (r#"{"score": "#, false),
        ] {
            assert_eq!(reading.line(line.as_bytes(), &mut told), is_epoch, "{line}");
        }
        assert_eq!(epochs(&told), [(1, Some(0.5)), (2, Some(1.0)), (3, None)]);
        assert!(
            matches!(&told[0], Said::Message(began) if matches!(**began, FromTrainer::Began { from_epoch: 0, .. }))
        );
    }

    #[test]
    fn numbers_under_any_name_go_with_the_next_epoch_and_are_bounded() {
        let (mut reading, mut told) = (Reading::new(ATTEMPT, 0, "score"), Vec::new());
        for line in [
            r#"{"train/loss": 3, "_step": 1}"#,
            r#"{"train/loss": 2, "f1": NaN, "note": "x"}"#,
            r#"{"score": 1, "f1": 0.5, "val_loss": 1}"#,
            r#"{"score": 2}"#,
        ] {
            reading.line(line.as_bytes(), &mut told);
        }
        let many: Vec<String> = (0..100).map(|n| format!("\"m{n:03}\": 1")).collect();
        reading.line(format!("{{\"score\": 3, {}}}", many.join(",")).as_bytes(), &mut told);
        let others: Vec<Others> = told
            .into_iter()
            .filter_map(|said| match said {
                Said::Message(message) => match *message {
                    FromTrainer::Epoch { others, .. } => Some(others),
                    _ => None,
                },
                Said::Diverged(_) => None,
            })
            .collect();
        let first = Others::from([("f1".to_owned(), 0.5), ("train/loss".to_owned(), 2.0)]);
        assert_eq!(others[..2], [first, Others::new()]);
        assert_eq!(others[2].len(), MOST_OTHERS - 2);
    }

    #[test]
    fn the_first_line_of_a_resumed_attempt_tells_where_it_goes_on() {
        for (line, first) in
            [(r#"{"epoch": 4, "score": 1}"#, 4), (r#"{"score": 1}"#, 1), (r#"{"epoch": 99, "score": 1}"#, 4)]
        {
            let (mut reading, mut told) = (Reading::new(ATTEMPT, 3, "score"), Vec::new());
            reading.line(line.as_bytes(), &mut told);
            assert_eq!(epochs(&told), [(first, Some(1.0))], "{line}");
        }
    }

    #[test]
    fn a_metric_that_is_no_number_is_a_divergence() {
        for (line, what) in [
            (r#"{"score": NaN, "note": "NaN"}"#, "score is NaN or infinite"),
            (r#"{"score": -Infinity}"#, "score is NaN or infinite"),
        ] {
            let (mut reading, mut told) = (Reading::new(ATTEMPT, 0, "score"), Vec::new());
            assert!(reading.line(line.as_bytes(), &mut told), "{line}");
            assert!(
                matches!(&told[1], Said::Diverged(Outcome::Diverged { epoch: 1, what: told, .. }) if told == what),
                "{told:?}"
            );
        }
    }

    #[test]
    fn a_csv_file_has_its_names_in_the_first_line() {
        let (mut reading, mut told) = (Reading::new(ATTEMPT, 0, "score"), Vec::new());
        for line in ["epoch, score,val_loss", "1, 0.25, 2.0", "2,0.5,", "epoch,score", "3,0.75"] {
            reading.row(line.as_bytes(), false, &mut told);
        }
        assert_eq!(epochs(&told), [(1, Some(0.25)), (2, Some(0.5)), (3, Some(0.75))]);
    }
}
