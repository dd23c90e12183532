//! The command line, with one file per subcommand.

mod check;
mod data;
mod diagnose;
mod export;
mod extend;
mod gpus;
mod help;
mod lint;
pub mod opened;
pub mod output;
mod plan;
mod plot;
mod program;
mod report;
mod resume;
mod run;
mod running;
mod sheet;
mod show;
mod status;
pub mod surroundings;
pub mod sweep_file;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use surroundings::Surroundings;
use sweep_core::error::{Exit, Result};
use sweep_core::nearest::nearest;
use sweep_spec::SETTINGS;

/// Runs hyperparameter sweeps on the GPUs of this machine, and says why networks over- or underfit.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, about, long_about = None, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a sweep file and show what it would run; starts and writes nothing
    Plan(plan::Args),
    /// Look whether something is wrong with the pictures or the networks, before anything is trained in earnest
    Check(check::Args),
    /// Say line by line how a sweep file of W&B's, or one of ours, fares here and there
    Lint(lint::Args),
    /// Run a sweep into a folder of its own
    Run(run::Args),
    /// Go on with a sweep that was interrupted
    Resume(resume::Args),
    /// Give a sweep another file, with more values, say: only the points that were not tried run
    Extend(extend::Args),
    /// Make the CSV files, charts and report of a sweep again from its journal
    Report(report::Args),
    /// What is running, waiting, done and failed, the best so far, and the time left
    Status(status::Args),
    /// One trial: settings, curve, outcome, error, paths
    Show(show::Args),
    /// The network of a trial, with its trained weights, as a Python module for PyTorch
    Export(export::Args),
    /// The slots of this machine: its GPUs, or else its CPU cores
    Gpus(gpus::Args),
    /// Published data sets: which there are, and how they get here
    Data(data::Args),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  sweep completions bash > ~/.local/share/bash-completion/completions/sweep")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Say what is wrong with a network by its learning curve, whichever tool wrote it, and what to change
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
    pub fn run(self, surroundings: &Surroundings) -> Result<Exit> {
        match self.command {
            Command::Plan(args) => plan::run(&args, surroundings),
            Command::Check(args) => check::run(&args, surroundings),
            Command::Lint(args) => lint::run(&args, surroundings),
            Command::Run(args) => run::run(&args, surroundings),
            Command::Resume(args) => resume::run(&args, surroundings),
            Command::Extend(args) => extend::run(&args, surroundings),
            Command::Report(args) => report::run(&args, surroundings),
            Command::Status(args) => status::run(&args, surroundings),
            Command::Show(args) => show::run(&args, surroundings),
            Command::Export(args) => export::run(&args, surroundings),
            Command::Gpus(args) => gpus::run(&args, surroundings),
            Command::Data(args) => data::run(&args, surroundings),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "sweep", &mut std::io::stdout());
                Ok(Exit::Success)
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
        "settings stand in the sweep file: `{}` under `{}:`, or under `parameters:` if it is to vary",
        setting.name,
        setting.section.key()
    );
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}
