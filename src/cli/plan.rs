//! `sweep plan FILE`: everything that is known about a sweep before it runs. It starts nothing and writes only the
//! chart that `--chart` requests.

mod chart;
mod estimate;
mod figures;
mod page;
mod stages;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use serde_json::json;

use super::cluster::{self, On};
use super::environment::Environment;
use super::output;
use super::running;
use super::sweep_file::{Dir, SweepFile};
use crate::agent::Device;
use figures::Figures;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::trial::TrialId;
use sweep_report::format;
use sweep_scheduler::search::Search;
use sweep_spec::{Spec, plain};

/// Options of `sweep plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep plan quickstart.yaml
  sweep plan quickstart.yaml --list | head
  sweep plan sweeps/preset-thin.yaml --chart schedule.svg
  sweep plan quickstart.yaml --json | jq .trials")]
pub struct Args {
    /// The sweep file
    file: PathBuf,
    #[command(flatten)]
    dir: Dir,
    #[command(flatten)]
    on: On,
    /// Print every trial with its parameters, one line each
    #[arg(long)]
    list: bool,
    /// Print the plan, or with --list the trials, as JSON
    #[arg(long)]
    json: bool,
    /// Draw the learning rate schedules of the trials, as FILE.svg or FILE.png
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

/// Checks a sweep file and prints what it would run.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let file = SweepFile::open(&args.file, args.dir.place(), environment)?;
    if let Some(path) = &args.chart {
        chart::write(&file, path)?;
    }
    let mut out = output::Harmless::new(BufWriter::new(io::stdout().lock()));
    let written = if args.list {
        if Search::new(file.spec.search_terms()).len().is_none() {
            return Err(Error::new(
                Exit::Usage,
                format!("{} cannot be listed: its search has no end", args.file.display()),
            )
            .hint("set `run_cap`, for example to 20"));
        }
        list(&file.spec, args.json, &mut out)
    } else {
        let figures = Figures::new(&file, environment);
        if args.json {
            writeln!(out, "{:#}", figures.json(&file))
        } else {
            let each = figures.estimate.as_ref().map_or(0, |estimate| estimate.memory());
            let targets = args.on.targets(&file.spec, &[])?;
            let slots = match targets.is_empty() {
                true => slots(&file.spec, each, environment),
                false => format!(
                    "on other hosts; nothing is started now\n  {}",
                    cluster::planned(&targets, &file.spec, environment).join("\n  ")
                ),
            };
            page::write(&file, &figures, &slots, &mut out)
        }
    };
    match written.and_then(|()| out.flush()) {
        // A broken pipe means that the reader needs no more output: `sweep plan --list FILE | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Error::storage("cannot write to stdout", error)),
        Ok(()) => Ok(Exit::Success),
    }
}

/// The slots that the sweep would use on this machine. If the GPUs are on another machine, the text mentions that they
/// are missing, which is not an error. `each` is the memory that a trial needs at most, in bytes.
fn slots(spec: &Spec, each: u64, environment: &Environment) -> String {
    match running::slots(&spec.devices, environment) {
        Ok((slots, _)) => {
            let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
            let listed = format!("{} on this machine: {}", names.len(), names.join(" "));
            if !slots.iter().any(|slot| matches!(slot.device, Device::Cpu { .. })) {
                return listed;
            }
            let (memory, all) = (environment.memory(), each.saturating_mul(names.len() as u64));
            let short =
                if all > memory { format!(", but all together may need {}", format::bytes(all)) } else { "".into() };
            format!("{listed}, with {} of memory{short}", format::bytes(memory))
        }
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// Writes one line per trial, in order: `0001 learning_rate=0.001 dropout=0.2`, with `repeat=1` if there are repeats.
fn list(spec: &Spec, json: bool, out: &mut impl Write) -> io::Result<()> {
    let mut search = Search::new(spec.search_terms());
    for trial in (1..).map(TrialId) {
        let Some(settings) = search.settings(trial) else { break };
        let repeat = (spec.repeats > 1).then(|| (trial.0 - 1) % u64::from(spec.repeats) + 1);
        if json {
            let mut line = json!({"trial": trial, "settings": settings});
            if let Some(repeat) = repeat {
                line["repeat"] = repeat.into();
            }
            writeln!(out, "{line}")?;
            continue;
        }
        write!(out, "{trial}")?;
        for (name, value) in &settings {
            write!(out, " {name}={}", plain(value))?;
        }
        if let Some(repeat) = repeat {
            write!(out, " repeat={repeat}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
