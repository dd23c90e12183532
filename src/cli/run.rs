//! `sweep run FILE`

use std::path::PathBuf;

use super::running::{self, Options};
use super::surroundings::Surroundings;
use crate::error::{Error, Exit, Result};
use crate::history::History;
use crate::spec::Spec;
use crate::store::{self, Journal, Layout};

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
    let path = surroundings.folder.join(&args.file);
    let text = super::opened::sweep_file_text(&path)?;
    let base = path.parent().unwrap_or(&surroundings.folder).to_owned();
    let (mut spec, notes) = Spec::read(&text, &args.file.display().to_string(), &base)?;
    for note in notes {
        eprintln!("note: {note}");
    }
    if let Some(name) = &args.name {
        spec.name = crate::spec::folder_name(name).map_err(|rule| {
            Error::new(Exit::Usage, format!("--name {name}: {rule}"))
        })?;
    }
    spec.inspect()?;
    let layout = Layout::new(surroundings.folder.join(&args.results).join(&spec.name));
    if layout.journal().exists() {
        return Err(already_begun(&layout, &spec, surroundings));
    }
    std::fs::create_dir_all(layout.root())
        .map_err(|error| Error::storage(format!("{} cannot be made", layout.root().display()), error))?;
    let first = running::first_entry(&spec, &base);
    let begin = |layout: &Layout| {
        if layout.journal().exists() {
            return Err(Error::new(Exit::Usage, format!("{} has just begun elsewhere", layout.root().display())));
        }
        store::replace(&layout.sweep_file(), text.as_bytes())?;
        let mut history = History::default();
        history.apply(&first).expect("the first entry has this version's format");
        Ok((history, Journal::create(layout, &first)?))
    };
    args.options.go(surroundings, layout.clone(), spec, begin, false)
}

fn already_begun(layout: &Layout, spec: &Spec, surroundings: &Surroundings) -> Error {
    let folder = surroundings.short(layout.root());
    let state = match store::read(layout) {
        Ok((history, _)) if history.complete => format!("has been run: all {} trials are done", history.trials.len()),
        Ok((history, _)) => {
            let done = history.trials.iter().filter(|trial| trial.outcome().is_some()).count();
            format!("has begun: {done} trials are done")
        }
        Err(error) => format!("has begun ({error})"),
    };
    Error::new(Exit::Usage, format!("{} {state}", folder.display())).hint(format!(
        "go on with `sweep resume {}`, or start another with `--name {}-2`",
        folder.display(),
        spec.name
    ))
}
