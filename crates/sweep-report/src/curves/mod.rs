//! Learning curves that other tools wrote, converted to this project's metrics for diagnosis.
//!
//! The content of a file determines its format. Every reader passes (curve, epoch or step, name, value) to `gather`,
//! which interprets the names and assigns values to epochs. This module opens no files. It treats their text as
//! untrusted, and everything that can grow has a limit.

mod columns;
mod crc;
mod events;
mod format;
mod gather;
mod json;
mod log;
mod problem;
mod table;
#[cfg(test)]
mod tests;
mod wire;

pub use columns::{Choice, Target};
pub use events::record;
pub use format::Format;
pub use problem::Problem;

use gather::Gather;
use sweep_core::trial::EpochMetrics;
use sweep_verdict::Divergence;

/// Maximum file size in bytes. Curves are small, and the whole file is kept in memory.
pub const LARGEST_FILE: u64 = 256 << 20;

/// One file of a training run, in memory.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file's name, for messages.
    pub name: String,
    /// Prefix for the names of its metrics, separated by a slash. In Keras' TensorBoard logs, only the folder's name
    /// contains `train` or `validation`.
    pub prefix: Option<String>,
    /// The file's content.
    pub bytes: Vec<u8>,
}

/// The result of reading a run's files.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The format of the files, given or detected.
    pub format: Format,
    /// At least one curve. Each has at least one epoch.
    pub curves: Vec<ForeignCurve>,
    /// Notes on how the numbers were interpreted, each a sentence without a final period.
    pub notes: Vec<String>,
}

/// One curve of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignCurve {
    /// The name that distinguishes the curves of one file. It is empty if there is only one.
    pub name: String,
    /// Epochs by number, from 1.
    pub epochs: Vec<EpochMetrics>,
    /// The epoch at which the training loss stopped being finite for good.
    pub divergence: Option<Divergence>,
}

/// Reads the files of one run, all of one format. If `format` is `None`, the first file determines it. `choices` names
/// columns that cannot be recognized automatically.
///
/// # Errors
/// Returns an error if the files contain no curve. It states what was expected and what was found.
pub fn read(sources: &[Source], format: Option<Format>, choices: &[Choice]) -> Result<Reading, Problem> {
    let first = sources.first().ok_or_else(|| Problem::new("no file was given"))?;
    let format = match format {
        Some(format) => format,
        None => Format::of(&first.bytes).ok_or_else(|| Problem::unrecognized(&first.name))?,
    };
    let mut gather = Gather::default();
    for source in sources {
        gather.prefix = source.prefix.clone();
        let parsed = match format {
            Format::Table => table::read(&source.bytes, choices, &mut gather),
            Format::Log => log::read(&source.bytes, &mut gather),
            Format::Json => json::read(&source.bytes, &mut gather),
            Format::TensorBoard => events::read(&source.bytes, &mut gather),
        };
        parsed.map_err(|problem| problem.within(&source.name))?;
    }
    let (curves, notes) = gather.finish(choices).map_err(|problem| problem.within(&first.name))?;
    Ok(Reading { format, curves, notes })
}
