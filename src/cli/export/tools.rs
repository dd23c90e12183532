//! `sweep export --to TOOL`: writes the files of another tool, once or while the sweep runs.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mlflow::Server;
use super::{Args, Tool};
use crate::cli::environment::Environment;
use crate::cli::opened::Opened;
use crate::cli::output;
use crate::export::{optuna, parquet, sqlite, table, tensorboard, wandb};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;
use sweep_report::format::trials;
use sweep_spec::Spec;
use sweep_store::Layout;

/// Time between two exports with `--follow`, at least.
const PAUSE: Duration = Duration::from_secs(2);

/// With `--follow`, an export may take this share of the time at most.
const SHARE: u32 = 10;

/// Exports the sweep.
///
/// # Errors
/// Returns an error if there is no sweep, or if the files cannot be written. With `--follow`, a failure after the first
/// export is reported, and the export is tried again while the sweep runs.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let mut server = Server::new(args.url.as_deref().unwrap_or_default(), environment);
    let (mut exported, mut failure) = (None, String::new());
    loop {
        // Asked before the journal is read, so that the last entries are not missed.
        let goes_on = args.follow && sweep_store::held(&Layout::new(&args.folder));
        let length = Layout::new(&args.folder).journal().metadata().map(|file| file.len()).ok();
        let began = Instant::now();
        if !goes_on || length != exported {
            let told = Opened::new(&args.folder).and_then(|opened| export(args, &opened, &mut server, environment));
            match told {
                Ok(told) if !goes_on => return output::print(&told).map(|()| Exit::Success),
                Ok(_) => (exported, failure) = (length, String::new()),
                Err(error) if goes_on && exported.is_some() => {
                    let text = error.to_string();
                    if text != failure {
                        output::tell(&format!("the export failed, and will be tried again: {text}"));
                        failure = text;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "the journal is another process's file, and file systems do not tell"
        )]
        std::thread::sleep(PAUSE.max(began.elapsed() * SHARE));
    }
}

/// Exports what is known. Returns what was exported, and how to open it.
fn export(args: &Args, opened: &Opened, server: &mut Server, environment: &Environment) -> Result<String> {
    let (spec, history) = (&opened.spec, &opened.history);
    let out = |name: &str| args.out.clone().unwrap_or_else(|| opened.layout.root().join(name));
    let short = |out: &Path| environment.short(out).display().to_string();
    let below = |out: &Path, files: Vec<(String, Vec<u8>)>| {
        files.into_iter().try_for_each(|(name, bytes)| bring_up_to_date(&out.join(name), &bytes))
    };
    let all = trials(history.trials.len());
    let open = history.trials.iter().filter(|trial| trial.outcome().is_none()).count();
    let ended = match open {
        0 => all.clone(),
        open => format!("{}; {open} that have not ended are left out", trials(history.trials.len() - open)),
    };
    Ok(match args.to {
        Tool::Optuna => {
            let out = out("optuna.jsonl");
            bring_up_to_date(&out, optuna::journal(spec, history).as_bytes())?;
            format!("wrote {0}: {ended}\nto open it: optuna-dashboard {0}", short(&out))
        }
        Tool::Wandb => {
            let out = out("wandb");
            below(&out, wandb::files(spec, history))?;
            format!("wrote {0}/: {ended}\nto upload it: wandb sync {0}/offline-run-*", short(&out))
        }
        Tool::Mlflow => {
            let sent = server.send(opened)?;
            let known = if sent.known == 0 { String::new() } else { format!("; {} had been sent before", sent.known) };
            let left = if open == 0 { String::new() } else { format!("; {open} have not ended and are left out") };
            format!("sent {}{known}{left}\nto open it: {}", trials(sent.new), sent.page)
        }
        Tool::Parquet => {
            let out = out("parquet");
            for table in table::tables(spec, history) {
                let bytes = parquet::file(&table)
                    .map_err(|error| Error::new(Exit::Internal, "a Parquet file cannot be made").source(error))?;
                replace(&out.join(format!("{}.parquet", table.name)), |new| std::fs::write(new, bytes))?;
            }
            let out = short(&out);
            format!("wrote {out}/trials.parquet, {out}/epochs.parquet: {all}{}", without(spec, history))
        }
        Tool::Sqlite => {
            let out = out("sweep.sqlite");
            let tables = table::tables(spec, history);
            replace(&out, |new| sqlite::write(new, &tables).map_err(std::io::Error::other))?;
            let left = without(spec, history);
            format!("wrote {0}: {all}{left}\nto open it: sqlite3 {0} 'SELECT * FROM trials'", short(&out))
        }
        Tool::Tensorboard | Tool::Pytorch => {
            let out = out("tensorboard");
            below(&out, tensorboard::files(spec, history))?;
            format!("wrote {0}/: {all}\nto open it: tensorboard --logdir {0}", short(&out))
        }
    })
}

/// What the table of trials lacks.
fn without(spec: &Spec, history: &History) -> String {
    match table::left_out(spec, history) {
        0 => String::new(),
        left => {
            format!("; {left} metrics are only in the table of epochs, because there are too many for a column each")
        }
    }
}

/// Makes a file contain these bytes. A file that begins with the same bytes is extended, because the other tool may have
/// read it so far.
fn bring_up_to_date(path: &Path, bytes: &[u8]) -> Result<()> {
    let bring = || {
        if let Ok(there) = std::fs::read(path)
            && bytes.starts_with(&there)
        {
            let rest = &bytes[there.len()..];
            return if rest.is_empty() { Ok(()) } else { OpenOptions::new().append(true).open(path)?.write_all(rest) };
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, bytes)
    };
    bring().map_err(|error| cannot_write(path, error))
}

/// Replaces a file whole, so that a reader never sees a part of it.
fn replace(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new: PathBuf = path.with_file_name(name);
    let replace = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // One that was left by a killed export.
        let _ = std::fs::remove_file(&new);
        write(&new)?;
        std::fs::rename(&new, path)
    };
    replace().map_err(|error| cannot_write(path, error))
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::storage(format!("{} cannot be written", path.display()), error)
}
