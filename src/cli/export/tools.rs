//! `sweep export --to TOOL`: writes the files of another tool, once or while the sweep runs.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Args, Tool};
use crate::cli::environment::Environment;
use crate::cli::opened::Opened;
use crate::cli::output;
use crate::export::{optuna, tensorboard};
use sweep_core::error::{Error, Exit, Result};
use sweep_store::Layout;

/// Time between two exports with `--follow`.
const PAUSE: Duration = Duration::from_secs(2);

/// Exports the sweep.
///
/// # Errors
/// Returns an error if there is no sweep, or if the files cannot be written.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    loop {
        // Asked before the journal is read, so that the last entries are not missed.
        let goes_on = args.follow && sweep_store::held(&Layout::new(&args.folder));
        let opened = Opened::new(&args.folder)?;
        let written = write(args, &opened)?;
        if !goes_on {
            let out = environment.short(&written);
            return output::print(&told(args.to, &opened, &out)).map(|()| Exit::Success);
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "the journal is another process's file, and file systems do not tell"
        )]
        std::thread::sleep(PAUSE);
    }
}

/// Writes the files. Returns the path that the other tool opens.
fn write(args: &Args, opened: &Opened) -> Result<PathBuf> {
    let (spec, history) = (&opened.spec, &opened.history);
    let out = |name: &str| args.out.clone().unwrap_or_else(|| opened.layout.root().join(name));
    let (out, files) = match args.to {
        Tool::Optuna => {
            let out = out("optuna.jsonl");
            (out.clone(), vec![(out, optuna::journal(spec, history).into_bytes())])
        }
        _ => {
            let out = out("tensorboard");
            let files = tensorboard::files(spec, history).into_iter();
            (out.clone(), files.map(|(name, bytes)| (out.join(name), bytes)).collect())
        }
    };
    for (path, bytes) in files {
        bring_up_to_date(&path, &bytes)
            .map_err(|error| Error::storage(format!("{} cannot be written", path.display()), error))?;
    }
    Ok(out)
}

/// Makes a file contain these bytes. A file that begins with the same bytes is extended, because the other tool may have
/// read it so far.
fn bring_up_to_date(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Ok(there) = std::fs::read(path)
        && bytes.starts_with(&there)
    {
        return OpenOptions::new().append(true).open(path)?.write_all(&bytes[there.len()..]);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)
}

/// What was exported, and how to open it.
fn told(tool: Tool, opened: &Opened, out: &Path) -> String {
    let trials = &opened.history.trials;
    let open = trials.iter().filter(|trial| trial.outcome().is_none()).count();
    let out = out.display();
    match (tool, open) {
        (Tool::Optuna, 0) => format!("wrote {out}: {} trials\nto open it: optuna-dashboard {out}", trials.len()),
        (Tool::Optuna, open) => format!(
            "wrote {out}: {} trials; {open} that have not ended are left out\nto open it: optuna-dashboard {out}",
            trials.len() - open
        ),
        _ => format!("wrote {out}/: {} trials\nto open it: tensorboard --logdir {out}", trials.len()),
    }
}
