//! Where a printed line goes: to the file of metrics, to the log, or to both.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::Value as Json;

use super::Order;
use crate::agent::log::Log;
use crate::agent::reading::PRINTED_TEXT;
use crate::agent::whole::as_json;
use sweep_core::trial::METRICS;
use sweep_curves::{Expression, Printed as Text, Row, json_object};

/// Maximum size of the file in bytes. A program that prints as fast as it can would fill the disk.
const MOST_PRINTED: u64 = 256 << 20;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has metrics.
    Metrics,
    /// It may have metrics of a step, or be a structured log entry.
    Object,
    /// Something else.
    Text,
}

/// The file with a program's lines of metrics.
pub struct Printed {
    file: File,
    length: u64,
    is_full: bool,
    metric: String,
    /// What reads metrics in printed text.
    text: Text,
    /// Reads it in place of `text`.
    expression: Option<Expression>,
}

impl Printed {
    /// Opens the file to append to it.
    pub fn open(path: &Path, order: &Order) -> std::io::Result<Printed> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            // Half a line, of a supervisor that was killed while it wrote it.
            file.write_all(b"\n")?;
            length += 1;
        }
        let metric = order.metric.clone();
        let expression = order.expression.as_deref().and_then(Expression::new);
        let text = Text::for_metric(&metric);
        Ok(Printed { file, length, is_full: false, metric, text, expression })
    }

    /// Takes a line of stdout. Returns whether the file has grown.
    ///
    /// # Errors
    /// If a line of metrics cannot be written.
    pub fn take(&mut self, line: &[u8], log: &mut Log) -> std::io::Result<bool> {
        match kind(line, &self.metric) {
            Kind::Metrics => self.append(line, log),
            Kind::Object => {
                log.write(line);
                self.append(line, log)
            }
            Kind::Text => self.take_text(line, log),
        }
    }

    /// Takes a line of text, which goes to the log. Metrics in it go to the file. Returns whether it has grown.
    ///
    /// # Errors
    /// If a row of metrics cannot be written.
    pub fn take_text(&mut self, line: &[u8], log: &mut Log) -> std::io::Result<bool> {
        log.write(line);
        let line = String::from_utf8_lossy(line);
        let rows = match &self.expression {
            Some(expression) => line.split('\r').filter_map(|line| expression.row(line)).collect(),
            None => {
                let mut rows = self.text.line(&line);
                rows.extend(self.text.pending(&self.metric));
                rows
            }
        };
        self.append_rows(&rows, log)
    }

    /// No line comes any more.
    ///
    /// # Errors
    /// If a row of metrics cannot be written.
    pub fn finish(&mut self, log: &mut Log) -> std::io::Result<bool> {
        let rows = self.text.finish();
        self.append_rows(&rows, log)
    }

    fn append_rows(&mut self, rows: &[Row], log: &mut Log) -> std::io::Result<bool> {
        let mut has_grown = false;
        for row in rows {
            let mut line = as_json(row, PRINTED_TEXT);
            // What is printed counts steps in many ways.
            line.as_object_mut().and_then(|line| line.remove("_row"));
            if let Some(planned) = self.text.planned() {
                line["_epochs"] = planned.into();
            }
            has_grown |= self.append(line.to_string().as_bytes(), log)?;
        }
        Ok(has_grown)
    }

    fn append(&mut self, line: &[u8], log: &mut Log) -> std::io::Result<bool> {
        if self.length + line.len() as u64 >= MOST_PRINTED {
            if !std::mem::replace(&mut self.is_full, true) {
                log.note(&format!("sweep: lines of metrics after the first {} MiB are left out", MOST_PRINTED >> 20));
            }
            return Ok(false);
        }
        // In one piece, so that a kill does not cut it.
        let whole = [line, b"\n"].concat();
        self.length += whole.len() as u64;
        self.file.write_all(&whole)?;
        Ok(true)
    }
}

fn kind(line: &[u8], metric: &str) -> Kind {
    match std::str::from_utf8(line).ok().and_then(json_object) {
        None => Kind::Text,
        Some(object) => {
            let is_epoch = |name: &str, value: &Json| {
                name == metric || ((name == "epoch" || METRICS.contains(&name)) && value.is_number())
            };
            let has = object.iter().any(|(name, value)| is_epoch(name, value));
            if has { Kind::Metrics } else { Kind::Object }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_metrics_is_told_from_what_a_program_logs() {
        for (line, expected) in [
            ("{\"score\": 1}", Kind::Metrics),
            (" {\"epoch\": 1, \"score\": NaN}", Kind::Metrics),
            ("{\"score\": null}", Kind::Metrics),
            ("{\"train_loss\": 1}", Kind::Metrics),
            ("{\"level\": \"info\", \"time\": 7}", Kind::Object),
            ("{'score': 1}", Kind::Text),
            ("score: 1", Kind::Text),
            ("{\"score\": 1", Kind::Text),
        ] {
            assert_eq!(kind(line.as_bytes(), "score"), expected, "{line}");
        }
    }

    #[test]
    fn half_a_line_of_a_killed_supervisor_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("printed.jsonl");
        std::fs::write(&path, "{\"score\": 1}\n{\"sco").unwrap();
        let order =
            Order { arguments: Vec::new(), log: path.clone(), printed: None, metric: "score".into(), expression: None };
        let mut printed = Printed::open(&path, &order).unwrap();
        assert!(printed.take(b"{\"score\": 2}", &mut Log::default()).unwrap());
        assert!(!printed.take(b"hello", &mut Log::default()).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"score\": 1}\n{\"sco\n{\"score\": 2}\n");
    }
}
