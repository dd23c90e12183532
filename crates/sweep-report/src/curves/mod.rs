//! Learning curves that other tools wrote, read into our own words so that they can be judged.
//!
//! A file is recognised by what is in it. Every reader hands (curve, epoch or step, name, value) to `gather`, which
//! knows what names mean and what an epoch is. Nothing here opens files; foreign text is never trusted, and whatever
//! can grow is bounded.

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
pub use format::Format;
pub use problem::Problem;

use gather::Gather;
use sweep_core::trial::EpochMetrics;
use sweep_verdict::Divergence;

/// A larger file is refused: curves are small, and the whole file is held in memory.
pub const LARGEST_FILE: u64 = 256 << 20;

/// One file of a run, in memory.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file's name, for messages.
    pub name: String,
    /// Put before the names of its metrics, with a slash: Keras' TensorBoard logs have `train` and `validation` only
    /// in the folder's name.
    pub prefix: Option<String>,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What the file was taken for.
    pub format: Format,
    /// At least one curve, each with at least one epoch.
    pub curves: Vec<ForeignCurve>,
    /// What a careful reader should know of how the numbers were taken, each a sentence without a full stop.
    pub notes: Vec<String>,
}

/// One curve of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignCurve {
    /// Tells the curves of one file apart; empty where there is only one.
    pub name: String,
    /// Epochs by number, from 1.
    pub epochs: Vec<EpochMetrics>,
    /// Where the training loss ceased to be finite for good.
    pub divergence: Option<Divergence>,
}

/// Reads the files of one run, all of one format: given, or told from the first. `choices` name columns that cannot
/// be recognised by themselves.
///
/// # Errors
/// Where the files are no curve: what was looked for, and what is there instead.
pub fn read(sources: &[Source], format: Option<Format>, choices: &[Choice]) -> Result<Reading, Problem> {
    let first = sources.first().ok_or_else(|| Problem::new("no file was named"))?;
    let format = match format {
        Some(format) => format,
        None => Format::of(&first.bytes).ok_or_else(|| Problem::unrecognised(&first.name))?,
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
