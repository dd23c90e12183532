//! `sweep import`: imports the finished trials of an older study into a sweep.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use clap::ValueEnum;

use super::environment::Environment;
use super::opened::Opened;
use super::output;
use super::run;
use super::sweep_file::{Dir, SweepFile};
use crate::import::{self, Study};
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History, Import, Known};
use sweep_core::trial::{Goal, fingerprint};
use sweep_report::format;
use sweep_spec::Spec;
use sweep_store::{Journal, Layout, Lock};

/// Maximum size of a file.
const LARGEST: u64 = 1 << 30;

/// Maximum number of reasons for leaving trials out that are printed.
const REASONS: usize = 5;

/// Options of `sweep import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep import optuna study.jsonl sweep.yaml        begin a sweep with the study's trials; then `sweep resume`
  sweep import optuna study.db results/mine         for an existing sweep
  sweep import csv results/old/trials.csv sweep.yaml

Imported trials are not trials of the sweep: they have no number and no rank. `method: tpe` and `bayes` learn from
them, and the report mentions them.")]
pub struct Args {
    /// What the file is
    #[arg(value_enum)]
    kind: Kind,
    /// The file of the older study
    file: PathBuf,
    /// The sweep: a sweep file, to begin a new sweep, or the folder of a sweep that no process runs
    #[arg(value_name = "SWEEP")]
    sweep: PathBuf,
    /// Column with the values, in a CSV file [default: the metric of the sweep, `best_` and the metric, or `value`]
    #[arg(long, value_name = "COLUMN")]
    metric: Option<String>,
    /// Name of the study, if an Optuna file has several
    #[arg(long, value_name = "NAME")]
    study: Option<String>,
    /// Folder for all results, if a new sweep begins
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    results: PathBuf,
    #[command(flatten)]
    dir: Dir,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A study of Optuna: a file of JournalStorage, or a SQLite database
    Optuna,
    /// A table with a row per trial and a column per parameter
    Csv,
}

/// Imports the file.
///
/// # Errors
/// Returns an error if the file or the sweep cannot be read, if another process runs the sweep, or if nothing fits.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let is_new = args.sweep.is_file();
    let (layout, spec, text) = if is_new {
        let SweepFile { text, spec, notes, .. } = SweepFile::open(&args.sweep, args.dir.place(), environment)?;
        notes.iter().for_each(|note| output::tell(&format!("note: {note}")));
        let layout = Layout::new(environment.folder.join(&args.results).join(&spec.name));
        run::is_new(&layout, environment)?;
        (layout, spec, text)
    } else {
        let Opened { layout, spec, text, .. } = Opened::new(&args.sweep)?;
        (layout, spec, text)
    };
    let study = read(args, &spec)?;
    let (unfinished, all) = (study.unfinished, study.trials.len());
    let (known, left_out) = import::fit(&spec, study);
    let reasons = reasons(&left_out);
    if known.is_empty() {
        return Err(Error::new(Exit::Usage, format!("no trial of {} fits the sweep{reasons}", args.file.display()))
            .hint(format!(
                "{all} finished trials were read; each needs a value for every parameter of the sweep file"
            )));
    }
    std::fs::create_dir_all(layout.root())
        .map_err(|error| Error::storage(format!("{} cannot be created", layout.root().display()), error))?;
    let lock = Lock::take(&layout, &environment.holder())?;
    let (history, mut journal) = if is_new {
        run::create(&layout, &text, &run::first(&spec, &text, false, environment), environment)?
    } else {
        let (history, length) = sweep_store::read(&layout)?;
        (history, Journal::append(&layout, length)?)
    };
    let (known, double) = unknown(&history, &spec.metric.name, known);
    if !known.is_empty() {
        let source = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let import = Import { source, metric: spec.metric.name.clone(), trials: known.clone() };
        journal.write(&[Entry::Imported { at: environment.now(), import }], true)?;
    }
    drop(lock);
    let folder = environment.short(layout.root());
    let mut said = format!(
        "imported {} of {} into {}{reasons}",
        format::trials(known.len()),
        args.file.display(),
        folder.display()
    );
    if double > 0 {
        said += &format!("\nleft out {}, which the sweep already has", format::trials(double));
    }
    if unfinished > 0 {
        said += &format!("\nleft out {} without a finite value, or that did not finish", format::trials(unfinished));
    }
    if !spec.method.learns() {
        said += "\nnote: only `method: tpe` and `bayes` learn from them; in this sweep, only the report mentions them";
    }
    if is_new {
        said += &format!("\nto run it: sweep resume {}", argument(folder));
    }
    output::print(&said).map(|()| Exit::Success)
}

/// Reads the file.
fn read(args: &Args, spec: &Spec) -> Result<Study> {
    let shown = args.file.display();
    let cannot = |error| Error::new(Exit::Usage, format!("{shown} cannot be read")).source(error);
    let length = std::fs::metadata(&args.file).map_err(cannot)?.len();
    if length > LARGEST {
        return Err(Error::new(Exit::Usage, format!("{shown} is larger than {}", format::bytes(LARGEST))));
    }
    let bytes = std::fs::read(&args.file).map_err(cannot)?;
    let study = match args.kind {
        Kind::Csv => {
            import::table(&String::from_utf8_lossy(&bytes), args.metric.as_deref().unwrap_or(&spec.metric.name))
        }
        Kind::Optuna if import::is_database(&bytes) => import::study(&args.file, args.study.as_deref()),
        Kind::Optuna => import::journal(&String::from_utf8_lossy(&bytes), args.study.as_deref()),
    };
    let study = study.map_err(|problem| {
        Error::new(Exit::Usage, format!("{shown}: {problem}")).hint(match args.kind {
            Kind::Csv => "name the column with --metric COLUMN",
            Kind::Optuna => "give a file of Optuna's JournalStorage, or its SQLite database",
        })
    })?;
    let word = |goal: Goal| if goal == Goal::Minimize { "minimizes" } else { "maximizes" };
    match study.goal {
        Some(goal) if goal != spec.metric.goal => Err(Error::new(
            Exit::Usage,
            format!("{shown} {} its value, and the sweep {} {}", word(goal), word(spec.metric.goal), spec.metric.name),
        )
        .hint("import it into a sweep whose `metric` has the same `goal`")),
        _ => Ok(study),
    }
}

/// The trials that were not imported before, and the number of the others.
fn unknown(history: &History, metric: &str, known: Vec<Known>) -> (Vec<Known>, usize) {
    let all = known.len();
    let mark = |known: &Known| (fingerprint(&known.settings), known.value.to_bits());
    let before: HashSet<_> = history.imported(metric).map(mark).collect();
    let new: Vec<Known> = known.into_iter().filter(|one| !before.contains(&mark(one))).collect();
    let double = all - new.len();
    (new, double)
}

/// Why trials were left out, one reason per line.
fn reasons(left_out: &BTreeMap<String, usize>) -> String {
    let mut sorted: Vec<(&String, &usize)> = left_out.iter().collect();
    sorted.sort_by_key(|(_, trials)| std::cmp::Reverse(**trials));
    let lines = sorted.iter().take(REASONS);
    let mut text: String = lines
        .map(|(reason, trials)| format!("\nleft out {}: {}", format::trials(**trials), format::clean(reason)))
        .collect();
    if sorted.len() > REASONS {
        let rest: usize = sorted[REASONS..].iter().map(|(_, trials)| **trials).sum();
        text += &format!("\nleft out {} for other reasons", format::trials(rest));
    }
    text
}
