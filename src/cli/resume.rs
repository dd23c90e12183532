//! `sweep resume DIR`

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::opened::Opened;
use super::output;
use super::program;
use super::running::{Options, Planned, Retry};
use super::sweep_file;
use sweep_core::error::{Error, Exit, Result};
use sweep_store::{Journal, Layout};

/// Options of `sweep resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep resume results/quickstart
  sweep resume results/quickstart --retry-failed

Finished trials are kept; unfinished ones continue from their last checkpoint.")]
pub struct Args {
    /// Folder of the sweep
    folder: PathBuf,
    /// Also retry failed, diverged, and out-of-memory trials; programs continue from their own checkpoints, networks
    /// start over
    #[arg(long)]
    retry_failed: bool,
    /// With --retry-failed, empty the folders of trials that run programs, so that they start over
    #[arg(long, requires = "retry_failed")]
    from_scratch: bool,
    #[command(flatten)]
    options: Options,
}

/// Resumes a sweep.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let retry = Retry { failed: args.retry_failed, from_scratch: args.from_scratch };
    on(&args.options, &args.folder, retry, environment)
}

/// Goes on with the sweep in a folder.
pub fn on(options: &Options, folder: &Path, retry: Retry, environment: &Environment) -> Result<Exit> {
    let Opened { layout, mut spec, text, history, length } = Opened::new(folder)?;
    if let Some(exit) = options.join(&Layout::new(environment.folder.join(layout.root())), environment)? {
        return Ok(exit);
    }
    let file = layout.sweep_file();
    let name = file.display().to_string();
    // Data and program may have been removed or changed since.
    program::look_up(&spec, &name, &text, environment)?;
    sweep_file::inspect(&mut spec, &name, &text)?;
    let (on, sweep) = (history.on.clone(), text.clone());
    // Only the lock guarantees that no other controller writes the journal. If one did meanwhile, the journal is read
    // again.
    let begin = |layout: &Layout| {
        let extensions = history.extensions.len();
        let is_as_read = sweep_store::is_as_read(layout, length);
        let (history, length) = if is_as_read { (history, length) } else { sweep_store::read(layout)? };
        if history.extensions.len() > extensions {
            return Err(
                Error::new(Exit::Storage, "the sweep was extended in the meantime").hint("run the same command again")
            );
        }
        // An extension that was killed may not have replaced the file.
        if !history.extensions.is_empty() {
            sweep_store::replace(&layout.sweep_file(), text.as_bytes())?;
        }
        let ours = env!("CARGO_PKG_VERSION");
        if !["", ours].contains(&history.version.as_str()) {
            output::tell(&format!(
                "note: sweep {} ran this sweep last, and this is {ours}; results may differ",
                history.version
            ));
        }
        Ok((history, Journal::append(layout, length)?))
    };
    let layout = Layout::new(environment.folder.join(layout.root()));
    options.go(environment, Planned { layout, spec, text: &sweep, so_far: Some(&on), retry }, begin)
}
