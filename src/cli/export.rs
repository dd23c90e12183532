//! `sweep export`: the network of a trial as a Python module for PyTorch, or the sweep for another tool.

mod mlflow;
mod tools;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use super::environment::Environment;
use super::opened::Opened;
use super::output;
use crate::export;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::TrialRecord;
use sweep_core::protocol::{BEST_WEIGHTS, WEIGHTS_FORMAT};
use sweep_core::recipe::Recipe;
use sweep_data::checkpoint;
use sweep_report::format;
use sweep_report::ranking::Ranking;

/// The file name of the module.
const MODULE: &str = "network.py";

/// Options of `sweep export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep export results/quickstart                  the best trial, next to its weights in trials/
  sweep export results/quickstart 3 --out model    network.py and best.safetensors of trial 3 into model/
  sweep export results/quickstart --to optuna      the sweep as a study, for optuna-dashboard
  sweep export results/quickstart --to tensorboard --follow    event files, while the sweep runs
  sweep export results/quickstart --to mlflow --url http://127.0.0.1:5000
  sweep export results/quickstart --to parquet     two tables for pandas, polars, or DuckDB

network.py needs PyTorch and safetensors: pip install torch safetensors")]
pub struct Args {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Number of the trial [default: the best trial]
    #[arg(value_name = "TRIAL")]
    trial: Option<u64>,
    /// What to export, and for which tool
    #[arg(long, value_enum, default_value = "pytorch")]
    to: Tool,
    /// Output folder, or file for Optuna and SQLite [default: the folder of the trial, or a name in DIR: tensorboard,
    /// wandb, parquet, optuna.jsonl, sweep.sqlite]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Address of the MLflow server; user and token are read from MLflow's own environment variables
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Export again as results arrive, until the sweep stops
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// The network of one trial, as a Python module with its weights
    Pytorch,
    /// All ended trials as a study, in a file of Optuna's JournalStorage
    Optuna,
    /// All trials as event files, with their parameters for the HParams tab
    Tensorboard,
    /// All ended trials as runs of an MLflow server
    Mlflow,
    /// All ended trials as folders of offline runs, for `wandb sync`
    Wandb,
    /// All trials and their epochs as two Parquet files
    Parquet,
    /// All trials and their epochs as two tables in one SQLite file
    Sqlite,
}

/// Exports what was asked for.
///
/// # Errors
/// Returns an error if there is no such sweep or trial, or if the files cannot be written.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let whole = args.to != Tool::Pytorch;
    if args.follow && !whole {
        return Err(Error::new(Exit::Usage, "--follow exports a sweep, not a network")
            .hint("name another tool, for example --to tensorboard"));
    }
    match (args.to, &args.url, &args.out) {
        (Tool::Mlflow, None, _) => {
            return Err(Error::new(Exit::Usage, "--to mlflow needs the address of the server")
                .hint("start one with `mlflow server`, and add its address: --url http://127.0.0.1:5000"));
        }
        (Tool::Mlflow, Some(_), Some(_)) => {
            return Err(Error::new(Exit::Usage, "--to mlflow writes no file").hint("leave out --out"));
        }
        (to, Some(_), _) if to != Tool::Mlflow => {
            return Err(Error::new(Exit::Usage, "--url is the address of an MLflow server").hint("add --to mlflow"));
        }
        _ => {}
    }
    if let (true, Some(trial)) = (whole, args.trial) {
        return Err(Error::new(Exit::Usage, format!("trial {trial}: only whole sweeps are exported to other tools"))
            .hint("leave out the number of the trial"));
    }
    if whole { tools::run(args, environment) } else { network(args) }
}

/// Writes the module and the weights beside it.
///
/// # Errors
/// Returns an error if the trial does not exist, it kept no weights, or a different file exists at the destination.
fn network(args: &Args) -> Result<Exit> {
    let opened = Opened::new(&args.folder)?;
    let trial = chosen(&opened, args.trial)?;
    let weights = opened.layout.trial(trial.id).join(BEST_WEIGHTS);
    let bytes = std::fs::read(&weights).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => no_weights(&opened, trial),
        _ => Error::storage(format!("{} cannot be read", weights.display()), error),
    })?;
    let damaged = |what: String| {
        let error = Error::new(Exit::Storage, format!("{}: {what}", weights.display()));
        error.hint("nothing was written")
    };
    let (header, tensors) = checkpoint::decode(&bytes, WEIGHTS_FORMAT).map_err(damaged)?;
    let shapes = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
    let recipe = Recipe::deserialize(&header["settings"]["recipe"]).map_err(|error| damaged(error.to_string()))?;
    let module = export::module(&recipe, &shapes, &about(&opened, trial)).map_err(damaged)?;
    let folder = args.out.clone().unwrap_or_else(|| opened.layout.trial(trial.id));
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::storage(format!("{} cannot be created", folder.display()), error))?;
    for (name, bytes) in [(MODULE, module.as_bytes()), (BEST_WEIGHTS, &bytes)] {
        put(&folder.join(name), bytes)?;
    }
    output::print(&format!(
        "wrote {}\nwith  {}, the weights of its best epoch",
        folder.join(MODULE).display(),
        folder.join(BEST_WEIGHTS).display()
    ))?;
    Ok(Exit::Success)
}

/// Returns the trial with this number, or the best one.
///
/// # Errors
/// Returns an error if there is no such trial.
pub fn chosen(opened: &Opened, number: Option<u64>) -> Result<&TrialRecord> {
    if let Some(number) = number {
        return opened.trial(number);
    }
    let ranking = Ranking::new(&opened.history, &opened.spec.metric);
    ranking.best().map(|best| best.trial).ok_or_else(|| {
        let error = Error::new(Exit::Usage, format!("no trial of {} has ended yet", opened.layout.root().display()));
        error.hint("give the number of a trial, or wait until the first trial has ended")
    })
}

/// Writes a file, unless one with the same content exists.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    match std::fs::read(path) {
        Ok(there) if there == bytes => Ok(()),
        Ok(_) => Err(Error::new(Exit::Usage, format!("{} already exists and has other contents", path.display()))
            .hint("move the file, or choose another folder with --out")),
        Err(_) => Ok(sweep_store::replace(path, bytes)?),
    }
}

/// Returns a sentence that names a trial and its best epoch.
pub fn about(opened: &Opened, trial: &TrialRecord) -> String {
    let mut about = format!("Trial {} of the sweep {}", trial.id, format::clean(&opened.history.name));
    if let Some(best) = opened.spec.metric.best(&trial.curve) {
        let said = ["val_loss", "val_accuracy"].into_iter().filter_map(|name| {
            best.get(name).map(|value| format!(", {} {}", name.replace('_', " "), format::value(name, Some(value))))
        });
        about += &format!(", epoch {}{}", best.epoch, said.collect::<String>());
    }
    about + "."
}

/// Returns the error for a trial without weights.
pub fn no_weights(opened: &Opened, trial: &TrialRecord) -> Error {
    let kept = |trial: &&TrialRecord| opened.layout.trial(trial.id).join(BEST_WEIGHTS).is_file();
    let kept: Vec<String> = opened.history.trials.iter().filter(kept).map(|trial| trial.id.to_string()).collect();
    let error = Error::new(Exit::Usage, format!("trial {} has no {BEST_WEIGHTS}", trial.id));
    match kept.is_empty() {
        true => error.hint("sweep keeps the weights of the best `keep_best` trials; a program saves its own weights"),
        false => {
            error.hint(format!("`keep_best: {}` kept the weights of trials {}", opened.spec.keep_best, kept.join(", ")))
        }
    }
}
