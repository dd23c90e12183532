//! `sweep run FILE`

use std::path::PathBuf;

use super::check;
use super::running::Options;
use super::surroundings::Surroundings;
use super::sweep_file::SweepFile;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, FORMAT, History};
use sweep_spec::is_folder_name;
use sweep_store::{Journal, Layout};

/// Options of `sweep run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep run sweeps/quickstart.yaml
  sweep run sweeps/quickstart.yaml --name second-try
  sweep run sweeps/quickstart.yaml --gpus 0,2 --progress plain > log

Ctrl-C saves the running trials and ends; `sweep resume` goes on from there.")]
pub struct Args {
    /// The sweep file
    file: PathBuf,
    /// The folder's name under the results [default: the file's `name`]
    #[arg(long)]
    name: Option<String>,
    /// Where the results go
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    results: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// Runs a sweep from its beginning.
pub fn run(args: &Args, surroundings: &Surroundings) -> Result<Exit> {
    let SweepFile { text, mut spec, notes, .. } = SweepFile::open(&args.file, surroundings)?;
    for note in notes {
        eprintln!("note: {note}");
    }
    if let Some(name) = &args.name {
        if !is_folder_name(name) {
            return Err(Error::new(Exit::Usage, format!("--name {name}: this cannot name a folder"))
                .hint("use letters, digits, `-`, `_` and `.`, a letter or digit first"));
        }
        spec.name.clone_from(name);
    }
    let layout = Layout::new(surroundings.folder.join(&args.results).join(&spec.name));
    let untouched = |layout: &Layout| if layout.journal().exists() { Err(begun(layout, surroundings)) } else { Ok(()) };
    untouched(&layout)?;
    let pictures = if args.options.no_check { None } else { check::warn(&spec) };
    let first = Entry::Sweep {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        name: spec.name.clone(),
        at: surroundings.now(),
        base: spec.base.clone(),
        pictures,
    };
    let begin = |layout: &Layout| {
        // Another controller may have started the sweep meanwhile. With the lock held, none can.
        untouched(layout)?;
        sweep_store::replace(&layout.sweep_file(), text.as_bytes())?;
        let mut history = History::default();
        history.apply(&first).expect("the first entry has this version's format");
        Ok((history, Journal::create(layout, &first)?))
    };
    args.options.go(surroundings, layout, spec, begin, false)
}

/// The error for a sweep that already exists.
fn begun(layout: &Layout, surroundings: &Surroundings) -> Error {
    let folder = surroundings.short(layout.root());
    let shown = folder.display();
    let another = format!("start another with `--name {}-2`", folder.file_name().unwrap_or_default().to_string_lossy());
    let held = sweep_store::held(layout);
    let (state, next) = match sweep_store::read(layout) {
        _ if held => ("is being run by another process".into(), format!("watch it with `sweep status {shown}`")),
        Ok((history, _)) if history.complete => {
            let all = history.trials.len();
            match history.trials.iter().filter(|trial| trial.failed()).count() {
                0 => (
                    format!("has been run: all {all} trials are done"),
                    format!("see {shown}/report.html (`sweep resume {shown}` has nothing left to do)"),
                ),
                failed => (
                    format!("has been run: all {all} trials are done, {failed} of them without success"),
                    format!("try those once more with `sweep resume {shown} --retry-failed`"),
                ),
            }
        }
        Ok((history, _)) => {
            let done = history.trials.iter().filter(|trial| trial.outcome().is_some()).count();
            (format!("has begun: {done} trials are done"), format!("go on with `sweep resume {shown}`"))
        }
        Err(error) => (format!("has begun ({error})"), format!("go on with `sweep resume {shown}`")),
    };
    let exit = if held { Exit::Storage } else { Exit::Usage };
    Error::new(exit, format!("{shown} {state}")).hint(format!("{next}, or {another}"))
}
