//! Metrics as training scripts and other tools write them.
//!
//! The content of a file determines its format. Every reader turns it into rows: numbers by name, with an epoch or a step.
//! `sweep run` takes the rows while they come; for `sweep diagnose`, `gather` makes curves of them: it interprets the names
//! and assigns values to epochs. This crate opens no files. It treats their text as untrusted, and everything that can grow
//! has a limit.

#[cfg(test)]
mod apart;
mod bare;
mod cells;
mod clock;
mod doubts;
mod events;
#[cfg(test)]
mod excerpts;
mod expression;
mod format;
mod gather;
#[cfg(test)]
mod homemade;
mod json;
mod line;
mod literals;
#[cfg(test)]
mod logs;
mod names;
mod notebook;
mod prefix;
mod printed;
mod problem;
#[cfg(test)]
mod published;
mod python;
mod rows;
#[cfg(test)]
mod said;
mod scan;
mod special;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tools;
mod wandb;
#[cfg(test)]
mod whole;
mod wire;
mod yolo;

pub use events::record;
pub use expression::Expression;
pub use format::Format;
pub use json::{is_no_number, object as json_object};
pub use names::{Choice, Target, is_validation, meaning, names_part, same_name, set_of_folder};
pub use printed::Printed;
pub use problem::Problem;
pub use rows::{Place, Row, is_same_metric};
pub use special::mlflow;

use std::borrow::Cow;
use std::io::Read;

use gather::Gather;
use sweep_core::trial::{EpochMetrics, METRICS};

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
    /// Notes on how the files were read, each a sentence without a final period.
    pub notes: Vec<String>,
}

/// A loss that stopped being finite for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The epoch, from 1.
    pub epoch: u32,
    /// What became non-finite: `training loss is NaN`.
    pub what: String,
}

/// One curve of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForeignCurve {
    /// The name that distinguishes the curves of one file. It is empty if there is only one.
    pub name: String,
    /// Epochs by number, from 1.
    pub epochs: Vec<EpochMetrics>,
    /// The epoch at which the training loss stopped being finite for good.
    pub divergence: Option<Divergence>,
    /// Names of numbers that were not understood.
    pub unused: Vec<String>,
    /// Names of single numbers beside a curve that were not understood, such as settings.
    pub once: Vec<String>,
    /// What to write for `--columns` if one of the unused names may be the validation metric.
    pub may_be_validation: Option<String>,
    /// Whether lines beside it have numbers that were not read and may be those of the validation metric.
    pub unread_validation: bool,
    /// Its metrics whose names in the file say more than the metric, with these names.
    pub names: Vec<(&'static str, String)>,
    /// The name of the score that is shown as the accuracy, if it is no share of right answers.
    pub score: Option<String>,
    /// Whether its training metrics are those of single batches.
    pub single_batches: bool,
    /// Notes on how its numbers were interpreted, each a sentence without a final period.
    pub notes: Vec<String>,
}

impl ForeignCurve {
    /// Whether there is one epoch.
    fn is_single(&self) -> bool {
        self.divergence.is_none() && self.epochs.len() == 1
    }

    /// Whether there are two epochs with the same numbers: in a log, a result that was printed twice.
    fn repeats_one(&self) -> bool {
        let is_same = |pair: &[EpochMetrics]| METRICS.iter().all(|name| pair[0].get(name) == pair[1].get(name));
        self.divergence.is_none() && self.epochs.len() == 2 && self.epochs.windows(2).all(is_same)
    }

    /// Whether there is one number, which is no curve.
    fn is_single_value(&self) -> bool {
        let values = |epoch: &EpochMetrics| METRICS.iter().filter(|name| epoch.get(name).is_some()).count();
        self.is_single() && self.epochs.iter().all(|epoch| values(epoch) < 2)
    }
}

/// Reads the files of one run. If `format` is `None`, each file determines its own. `choices` names columns that cannot be
/// recognized automatically.
///
/// # Errors
/// Returns an error if the files contain no curve. It states what was expected and what was found.
pub fn read(sources: &[Source], format: Option<Format>, choices: &[Choice]) -> Result<Reading, Problem> {
    let first = sources.first().ok_or_else(|| Problem::new("no file was given"))?;
    let mut gather = Gather::default();
    let mut found = format;
    let mut events = Vec::new();
    for source in sources {
        let within = |problem: Problem| problem.within(&source.name);
        let bytes = without_zeros(plain(&source.bytes).map_err(within)?, &mut gather);
        let (format, bytes) = match format.or_else(|| Format::of(&bytes)) {
            None if let Some((table, said)) = bare::as_table(&source.name, &bytes).map_err(within)? => {
                said.into_iter().for_each(|said| gather.note(said));
                (Format::Table, Cow::Owned(table.into_bytes()))
            }
            found => (format.map_or_else(|| detected(source, &bytes, found, choices), Ok)?, bytes),
        };
        found.get_or_insert(format);
        if let Some(end) = special::end_of_source(&source.name).filter(|_| format == Format::Log) {
            gather.note(format!("it is a source file (.{end}) with the log of a training, and the log was read"));
        }
        if format == Format::TensorBoard {
            events.push(events::File::new(source, &bytes).map_err(within)?);
            continue;
        }
        gather.prefix = source.prefix.clone();
        parse((format, &source.name), &bytes, choices, &mut gather).map_err(within)?;
    }
    gather.prefix = None;
    events::gather(&events, &mut gather).map_err(|problem| problem.within(&first.name))?;
    let format = found.expect("there is a file");
    let (curves, notes) = gather.finish(choices).map_err(|problem| problem.within(&first.name))?;
    Ok(Reading { format, curves, notes })
}

/// The format of a file whose format the user did not name. Sources of programs have none.
fn detected(source: &Source, bytes: &[u8], found: Option<Format>, choices: &[Choice]) -> Result<Format, Problem> {
    let chosen = (!choices.is_empty()).then_some(Format::Log);
    let found = found.or(chosen).ok_or_else(|| Problem::unrecognized(&source.name, bytes))?;
    match found {
        Format::Log | Format::Table => Problem::of_binary(&source.name, bytes)
            .or_else(|| special::of_program(&source.name, &String::from_utf8_lossy(bytes))),
        _ => None,
    }
    .map_or(Ok(found), |problem| Err(problem.within(&source.name)))
}

fn parse((format, name): (Format, &str), bytes: &[u8], choices: &[Choice], gather: &mut Gather) -> Result<(), Problem> {
    match format {
        Format::Table => table::read(bytes, name, choices, gather),
        Format::Log => gather.printed(&String::from_utf8_lossy(bytes), ""),
        Format::Json => json::read(bytes, name, gather),
        Format::Notebook => notebook::read(bytes, gather),
        Format::TensorBoard => events::read(bytes)?.iter().try_for_each(|scalar| gather.row(&scalar.row(""))),
        Format::Wandb => wandb::read(bytes, gather),
    }
}

/// The rows of a file, and its format.
///
/// # Errors
/// Returns an error if the format is not recognized or the file is damaged.
pub fn rows(source: &Source) -> Result<(Format, Vec<Row>), Problem> {
    let bytes = plain(&source.bytes)?;
    let format = Format::of(&bytes).ok_or_else(|| Problem::unrecognized(&source.name, &bytes))?;
    let mut gather = Gather::raw(source.prefix.clone());
    parse((format, &source.name), &bytes, &[], &mut gather)?;
    Ok((format, gather.into_rows()))
}

/// The content of a file that may be compressed by gzip.
fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Problem> {
    if let [0xff, 0xfe, text @ ..] | [0xfe, 0xff, text @ ..] = bytes {
        // PowerShell writes UTF-16.
        let number = if bytes[0] == 0xff { u16::from_le_bytes } else { u16::from_be_bytes };
        let letters: Vec<u16> = text.chunks_exact(2).map(|pair| number([pair[0], pair[1]])).collect();
        return Ok(Cow::Owned(String::from_utf16_lossy(&letters).into_bytes()));
    }
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut plain = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes).take(LARGEST_FILE + 1).read_to_end(&mut plain);
    if plain.len() as u64 > LARGEST_FILE {
        return Err(Problem::new(format!("it is larger than {} MiB when unpacked", LARGEST_FILE >> 20)));
    }
    // A file that is still being written has no end.
    match read {
        Err(error) if plain.is_empty() => Err(Problem::new(format!("it cannot be unpacked: {error}"))),
        _ => Ok(Cow::Owned(plain)),
    }
}

/// A text without the runs of NUL bytes that a program leaves if it goes on with a file that was emptied meanwhile.
fn without_zeros<'a>(bytes: Cow<'a, [u8]>, gather: &mut Gather) -> Cow<'a, [u8]> {
    const RUN: [u8; 8] = [0; 8];
    if !bytes.windows(RUN.len()).any(|run| run == RUN) {
        return bytes;
    }
    let rest: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let is_binary = |letter: char| letter.is_control() && !"\n\r\t\u{8}\u{c}\u{1b}".contains(letter);
    match std::str::from_utf8(&rest) {
        Ok(text) if !text.trim().is_empty() && !text.contains(is_binary) => {
            gather.note(format!("{} NUL bytes were left out", bytes.len() - rest.len()));
            Cow::Owned(rest)
        }
        _ => bytes,
    }
}

/// The number in a JSON text, also one that JSON does not have.
fn json_number(json: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(json).ok()?.trim();
    text.trim_matches('"').parse().ok()
}
