//! The command line, with one file per subcommand.

mod agent;
mod agents;
mod check;
mod cluster;
mod data;
mod diagnose;
mod doctor;
pub mod environment;
mod evaluation;
mod export;
mod extend;
mod extension;
mod gpus;
mod help;
mod import;
mod init;
mod lint;
pub mod opened;
pub mod output;
mod overview;
mod plan;
mod plot;
mod predict;
mod program;
mod report;
mod resume;
mod run;
mod running;
mod serve;
mod sheet;
mod show;
mod status;
mod steer;
pub mod sweep_file;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use environment::Environment;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::nearest::nearest;
use sweep_spec::SETTINGS;

/// The command line of `sweep`.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, about, long_about = None, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a sweep file and show what it would run, without starting or writing anything
    Plan(plan::Args),
    /// Check the images and the networks for problems before training
    Check(check::Args),
    /// Compare, line by line, what a sweep file means here and in W&B
    Lint(lint::Args),
    /// Write a sweep file: a first example, or that of a Python script that calls wandb.sweep and wandb.agent
    Init(init::Args),
    /// Run a sweep in a new folder
    Run(run::Args),
    /// Continue an interrupted sweep
    Resume(resume::Args),
    /// Change the sweep file of an existing sweep, for example to add values, and run only new configurations
    Extend(extend::Args),
    /// Rebuild the CSV files, charts, and report of a sweep from its journal
    Report(report::Args),
    /// Show running, waiting, finished, and failed trials, the best trial so far, and the time left
    Status(status::Args),
    /// Show sweeps in the browser, while they run and afterwards
    Serve(serve::Args),
    /// List the sweeps in a folder
    List(overview::List),
    /// Compare sweeps: their best trials, and the parameters that differ
    Compare(overview::Compare),
    /// Stop trials of a sweep; they are ranked by their best epochs
    #[command(after_help = "Example:\n  sweep stop results/quickstart 3 7")]
    Stop(steer::Trials),
    /// Leave out trials of a sweep, also those that have not begun; they are not ranked
    #[command(after_help = "Example:\n  sweep skip results/quickstart 12")]
    Skip(steer::Trials),
    /// Run failed, stopped, or skipped trials of a sweep again
    Retry(steer::Retry),
    /// Save the running trials of a sweep, and start none until `sweep continue`
    #[command(after_help = "Example:\n  sweep pause results/quickstart")]
    Pause(steer::Folder),
    /// Continue a paused sweep
    #[command(after_help = "Example:\n  sweep continue results/quickstart")]
    Continue(steer::Folder),
    /// Run some trials of a sweep before the others
    First(steer::First),
    /// Change the number of slots that a running sweep uses
    Slots(steer::Slots),
    /// Show the other hosts of a sweep: their slots, running trials, and why a host left
    Agents(agents::Args),
    /// Add hosts to a running sweep
    Join(steer::Join),
    /// Save the trials on another host, and remove the host from the sweep
    Leave(steer::Leave),
    /// Train on this host for a sweep that another host controls
    Agent(agent::Args),
    /// Attach a text to a trial of a sweep
    Tag(steer::Tag),
    /// Show one trial, by default the best: parameters, curve, outcome, error, and files
    Show(show::Args),
    /// Export the network of a trial, with its trained weights, as a PyTorch module
    Export(export::Args),
    /// Import the finished trials of an older study into a sweep
    Import(import::Args),
    /// Classify images with the network of a trial
    Predict(predict::Args),
    /// List the GPUs of this machine, and the slots that a sweep would use
    Gpus(gpus::Args),
    /// Check what training on this machine needs: trainer, libtorch, GPUs, disk
    Doctor(doctor::Args),
    /// List and download published data sets
    Data(data::Args),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  sweep completions bash > ~/.local/share/bash-completion/completions/sweep")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages of `sweep` and its commands into a folder
    #[command(after_help = "Example:\n  sweep man ~/.local/share/man/man1")]
    Man {
        /// The folder; it is created if it does not exist
        #[arg(value_name = "FOLDER")]
        folder: std::path::PathBuf,
    },
    /// Diagnose a network from its learning curve, written by any tool, and suggest fixes
    Diagnose(diagnose::Args),
}

impl Cli {
    /// Parses the arguments. If they are invalid, the process exits with a message.
    pub fn read() -> Cli {
        let matches = help::reflowed(Cli::command()).try_get_matches();
        let read = matches.and_then(|matches| Cli::from_arg_matches(&matches));
        read.unwrap_or_else(|error| of_setting(error).exit())
    }

    /// Runs the subcommand.
    ///
    /// # Errors
    /// Returns the error to print for the user, with its exit code.
    pub fn run(self, environment: &Environment) -> Result<Exit> {
        match self.command {
            Command::Plan(args) => plan::run(&args, environment),
            Command::Check(args) => check::run(&args, environment),
            Command::Lint(args) => lint::run(&args, environment),
            Command::Init(args) => init::run(&args, environment),
            Command::Run(args) => run::run(&args, environment),
            Command::Resume(args) => resume::run(&args, environment),
            Command::Extend(args) => extend::run(&args, environment),
            Command::Report(args) => report::run(&args, environment),
            Command::Status(args) => status::run(&args, environment),
            Command::Serve(args) => serve::run(&args, environment),
            Command::List(args) => overview::list(&args, environment),
            Command::Compare(args) => overview::compare(&args),
            Command::Stop(args) => steer::stop(&args, environment),
            Command::Skip(args) => steer::skip(&args, environment),
            Command::Retry(args) => steer::retry(&args, environment),
            Command::Pause(args) => steer::pause(&args, environment),
            Command::Continue(args) => steer::go_on(&args, environment),
            Command::First(args) => steer::first(&args, environment),
            Command::Slots(args) => steer::slots(&args, environment),
            Command::Agents(args) => agents::run(&args),
            Command::Join(args) => steer::join(&args, environment),
            Command::Leave(args) => steer::leave(&args, environment),
            Command::Agent(args) => agent::run(&args, environment),
            Command::Tag(args) => steer::tag(&args, environment),
            Command::Show(args) => show::run(&args, environment),
            Command::Export(args) => export::run(&args, environment),
            Command::Import(args) => import::run(&args, environment),
            Command::Predict(args) => predict::run(&args, environment),
            Command::Gpus(args) => gpus::run(&args, environment),
            Command::Doctor(args) => doctor::run(&args, environment),
            Command::Data(args) => data::run(&args, environment),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "sweep", &mut std::io::stdout());
                Ok(Exit::Success)
            }
            Command::Man { folder } => {
                let written = std::fs::create_dir_all(&folder)
                    .and_then(|()| clap_mangen::generate_to(help::reflowed(Cli::command()), &folder));
                written
                    .map(|()| Exit::Success)
                    .map_err(|error| Error::storage(format!("{} cannot be written", folder.display()), error))
            }
            Command::Diagnose(args) => diagnose::run(&args),
        }
    }
}

/// Adds a hint if an unknown option is the name of a parameter, because parameters belong in the sweep file.
fn of_setting(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return error };
    let name = option.trim_start_matches('-').split('=').next().unwrap_or_default().replace('-', "_");
    let names = SETTINGS.iter().map(|setting| setting.name);
    let Some(setting) = nearest(&name, names).and_then(|name| SETTINGS.iter().find(|one| one.name == name)) else {
        return error;
    };
    let tip = format!(
        "set this in the sweep file: `{}` under `{}:`, or under `parameters:` to vary it",
        setting.name,
        setting.section.key()
    );
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}
