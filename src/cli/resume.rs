//! `sweep resume DIR`

use std::path::PathBuf;

use super::opened::Opened;
use super::running::Options;
use super::surroundings::Surroundings;
use crate::error::{Exit, Result};
use crate::store::{self, Journal, Layout};

/// Options of `sweep resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep resume results/quickstart
  sweep resume results/quickstart --retry-failed

Finished trials stay as they are; unfinished ones go on from their last checkpoint.")]
pub struct Args {
    /// The sweep's folder
    folder: PathBuf,
    /// Also try failed and diverged trials once more, from their start
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    options: Options,
}

/// Goes on with a sweep.
pub fn run(args: &Args, surroundings: &Surroundings) -> Result<Exit> {
    let Opened { layout, spec, .. } = Opened::read(&surroundings.folder.join(&args.folder))?;
    // Only under the lock is the journal read for good: until then another controller may be writing it.
    let begin = |layout: &Layout| {
        let (history, length) = store::read(layout)?;
        Ok((history, Journal::append(layout, length)?))
    };
    args.options.go(surroundings, layout, spec, begin, args.retry_failed)
}
