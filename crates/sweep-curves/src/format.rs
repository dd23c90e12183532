//! Detection of a file's format from its content.

use std::fmt;

use serde::Serialize;

use super::printed::Printed;
use super::special::is_score_of_training;
use super::{events, table, wandb, yolo};

/// Number of bytes that detection reads.
const EXAMINED: usize = 1 << 20;

/// A text has at least this many bytes for each zero byte.
const SHARE_OF_ZEROS: usize = 20;

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A table with a header: CSV, semicolons or tabs
    Table,
    /// What a training script prints: Keras, fastai, XGBoost, or lines with an epoch and name: value; also tables in text
    Log,
    /// JSON: lists by metric (Keras' History), or one object per epoch, also as JSON lines
    Json,
    /// A Jupyter notebook, whose outputs are read like a log
    Notebook,
    /// TensorBoard's event files
    #[value(name = "tensorboard")]
    #[serde(rename = "tensorboard")]
    TensorBoard,
    /// W&B's file of an offline run, run-*.wandb
    Wandb,
}

impl Format {
    /// Detects the format, or returns `None` if the content matches none.
    pub fn of(bytes: &[u8]) -> Option<Format> {
        if events::recognized(bytes) {
            return Some(Format::TensorBoard);
        }
        if wandb::recognized(bytes) {
            return Some(Format::Wandb);
        }
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(EXAMINED)]);
        let text = start.trim_start_matches('\u{feff}').trim_start();
        // A log that several processes wrote may have a few.
        if SHARE_OF_ZEROS * text.matches('\0').count() > text.len() {
            return None;
        }
        // A log line may also begin with a bracket: `[INFO] …`.
        let mut marks = text.chars().filter(|letter| !letter.is_whitespace());
        if matches!(
            (marks.next(), marks.next()),
            (Some('{'), Some('"' | '}') | None) | (Some('['), Some('{' | '[' | ']'))
        ) {
            let is_notebook = text.starts_with('{') && text.contains("\"cells\"") && text.contains("\"cell_type\"");
            return Some(if is_notebook { Format::Notebook } else { Format::Json });
        }
        if table::recognized(text) || yolo::results(text).is_some() {
            return Some(Format::Table);
        }
        prints_metrics(text).then_some(Format::Log)
    }
}

/// Whether a text has lines with metrics.
fn prints_metrics(text: &str) -> bool {
    let mut printed = Printed::default();
    let is_score = |row: &super::Row| row.values.iter().any(|(name, _)| is_score_of_training(name));
    let has_metric =
        |rows: Vec<super::Row>| rows.iter().any(|row| row.has_any() || row.place.epoch.is_some() && is_score(row));
    text.split('\n').any(|line| has_metric(printed.line(line))) || has_metric(printed.finish())
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Table => "table",
            Format::Log => "printed log",
            Format::Json => "JSON",
            Format::Notebook => "notebook",
            Format::TensorBoard => "TensorBoard events",
            Format::Wandb => "W&B run",
        })
    }
}
