//! Detection of a file's format from its content.

use std::fmt;

use serde::Serialize;

use super::{events, log};

/// Number of bytes that detection reads.
const LOOKED_AT: usize = 1 << 20;

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A table with a header: CSV, semicolons or tabs
    Table,
    /// What a training script prints: Keras, or lines with an epoch and name: value
    Log,
    /// JSON: lists by metric (Keras' History), or one object an epoch, also as JSON lines
    Json,
    /// TensorBoard's event files
    #[value(name = "tensorboard")]
    #[serde(rename = "tensorboard")]
    TensorBoard,
}

impl Format {
    /// Detects the format, or returns `None` if the content matches none.
    pub fn of(bytes: &[u8]) -> Option<Format> {
        if events::recognised(bytes) {
            return Some(Format::TensorBoard);
        }
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(LOOKED_AT)]);
        let text = start.trim_start_matches('\u{feff}').trim_start();
        // A log line may also begin with a bracket: `[INFO] …`.
        let mut marks = text.chars().filter(|letter| !letter.is_whitespace());
        if matches!(
            (marks.next(), marks.next()),
            (Some('{'), Some('"' | '}') | None) | (Some('['), Some('{' | '[' | ']'))
        ) {
            return Some(Format::Json);
        }
        if log::recognised(text) {
            return Some(Format::Log);
        }
        let header = text.lines().next()?;
        let fields: Vec<&str> = header.split([',', ';', '\t']).map(|field| field.trim().trim_matches('"')).collect();
        let names = fields.iter().filter(|field| !field.is_empty() && field.parse::<f64>().is_err()).count();
        (fields.len() > 1 && names > 1 && !header.contains('\0')).then_some(Format::Table)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Table => "table",
            Format::Log => "printed log",
            Format::Json => "JSON",
            Format::TensorBoard => "TensorBoard events",
        })
    }
}
