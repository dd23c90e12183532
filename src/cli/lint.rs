//! `sweep lint FILE`: compares what a sweep file means here and in W&B. It reads only the file. It starts and writes
//! nothing.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use serde_json::json;

use super::environment::Environment;
use super::output;
use super::sweep_file;
use sweep_core::error::{Error, Exit, Result};
use sweep_spec::{Report, Verdict, lint};

/// Options of `sweep lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep lint wandb-sweep.yaml
  sweep lint wandb-sweep.yaml --json | jq '.findings[] | select(.verdict != \"same\")'

Exits with 0 if the file runs here, and with 3 if not.")]
pub struct Args {
    /// The sweep file
    file: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Checks a sweep file line by line.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let text = sweep_file::read(&args.file)?;
    let path = environment.folder.join(&args.file);
    let base = path.parent().unwrap_or(&environment.folder);
    let file = args.file.display().to_string();
    let report = lint(&text, &file, base);
    let mut out = output::Harmless::new(BufWriter::new(io::stdout().lock()));
    let written = if args.json {
        writeln!(out, "{:#}", json!({"file": file, "runs": report.runs, "findings": report.findings}))
    } else {
        write(&report, &mut out)
    };
    match written.and_then(|()| out.flush()) {
        // A broken pipe means that the reader needs no more output.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::storage("cannot write to stdout", error)),
        _ => Ok(if report.runs { Exit::Success } else { Exit::BadFile }),
    }
}

/// Writes one line per finding, such as `  4  differs    parameters.dropout: ...`, and then whether the file runs.
fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for finding in &report.findings {
        let verdict = match finding.verdict {
            Verdict::Same => "same",
            Verdict::Differs => "differs",
            Verdict::NoEffect => "no effect",
            Verdict::NotHere => "not here",
        };
        let line = if finding.line == 0 { String::new() } else { finding.line.to_string() };
        let key = if finding.key.is_empty() { String::new() } else { format!("{}: ", finding.key) };
        writeln!(out, "{line:>4}  {verdict:9}  {key}{}", finding.text)?;
    }
    let count = report.findings.iter().filter(|finding| finding.verdict == Verdict::NotHere).count();
    match report.runs {
        true => writeln!(out, "The file runs here; `sweep plan` shows what it runs."),
        false => writeln!(out, "The file does not run here; see the {count} lines marked `not here`."),
    }
}
