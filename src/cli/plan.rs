//! `sweep plan FILE`: everything that is known of a sweep before it runs. Starts and writes nothing.

mod figures;
mod page;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use serde_json::json;

use super::surroundings::Surroundings;
use super::sweep_file::SweepFile;
use crate::error::{Error, Exit, Result};
use crate::search::Search;
use crate::spec::{Spec, plain};
use crate::trial::TrialId;
use figures::Figures;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sweep file
    file: PathBuf,
    /// Print every trial with its settings, a line each
    #[arg(long)]
    list: bool,
    /// Print the plan, or with --list the trials, as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, surroundings: &Surroundings) -> Result<Exit> {
    let file = SweepFile::open(&args.file, surroundings)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let written = if args.list {
        if Search::new(&file.spec).len().is_none() {
            return Err(Error::new(Exit::Usage, format!("{} has no last trial to list", args.file.display()))
                .hint("give it a `run_cap: 20`, say"));
        }
        list(&file.spec, args.json, &mut out)
    } else {
        let figures = Figures::new(&file);
        if args.json { writeln!(out, "{:#}", figures.json(&file)) } else { page::write(&file, &figures, &mut out) }
    };
    match written.and_then(|()| out.flush()) {
        // The reader has seen enough: `sweep plan --list FILE | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Error::storage("stdout cannot be written", error)),
        Ok(()) => Ok(Exit::Success),
    }
}

/// One trial a line, as they come: `0001 learning_rate=0.001 dropout=0.2`.
fn list(spec: &Spec, json: bool, out: &mut impl Write) -> io::Result<()> {
    let mut search = Search::new(spec);
    for trial in (1..).map(TrialId) {
        let Some(settings) = search.settings(trial) else { break };
        if json {
            writeln!(out, "{}", json!({"trial": trial, "settings": settings}))?;
            continue;
        }
        write!(out, "{trial}")?;
        for (name, value) in &settings {
            write!(out, " {name}={}", plain(value))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
