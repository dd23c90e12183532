//! Shared parts of `run`, `resume` and `extend`: the options of a running sweep, the path of the trainer, the devices.
//! `go` runs the sweep, and `summary` has its last lines.

mod go;
mod preparation;
mod summary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::agent;
use super::cluster::{self, On, Role};
use super::environment::{Environment, now};
use crate::agent::gpu::{self, Gpu};
use crate::agent::libtorch::{self, Fit};
use crate::agent::{Launcher, SlotDevice, find};
use crate::progress::{self, Screen};
use sweep_core::error::{Error, Exit, Result};
use sweep_spec::{Devices, Gpus, Spec, parse_time};
use sweep_store::Layout;

pub use go::{Planned, Retry};

/// Options of `run`, `resume` and `extend --run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// GPUs to use instead of those in the sweep file: `all`, `none`, or indices and UUIDs, for example `0,2`
    #[arg(long, value_name = "GPUS")]
    gpus: Option<String>,
    /// Progress display; `auto` draws bars on a terminal and prints lines elsewhere
    #[arg(long, value_enum, default_value = "auto")]
    progress: Progress,
    /// Print an event per line as JSON, for scripts (docs/reference/events.md)
    #[arg(long, conflicts_with = "progress")]
    pub json: bool,
    /// Path of the trainer [default: sweep-trainer next to sweep]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// Timeout in seconds: a trial without output for this time is ended and retried [default for networks: ten times
    /// the longest epoch, but at least 60 s, and 600 s before the first epoch; for programs: none]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    silence: Option<u32>,
    /// Save the running trials and end after this time, for example 8h; the sweep can be resumed [default: `max_time` in
    /// the sweep file]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    run_for: Option<Duration>,
    /// Stop a trial that has run for this time, for example 2h; its best epoch counts [default: `max_time` in the sweep
    /// file]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    max_time: Option<Duration>,
    /// Skip the checks of the images and the networks
    #[arg(long)]
    pub no_check: bool,
    #[command(flatten)]
    pub on: On,
    /// Under srun: train on all nodes of the allocation. Start one task per node; the first one controls the sweep
    #[arg(long)]
    here: bool,
    /// Also show the sweep in the browser while it runs, like `sweep serve`; prints the address
    #[arg(long)]
    page: bool,
}

/// What starts the trainer: the given program, or else the one beside `sweep`.
pub fn launcher(named: Option<&Path>, environment: &Environment) -> Launcher {
    let libtorch = environment.variable(libtorch::VARIABLE);
    let libtorch = libtorch.map(|folder| libtorch::folder(environment.folder.join(folder)));
    let beside = || libtorch::trainer_for(environment.program.with_file_name("sweep-trainer"), libtorch.as_deref());
    let program = named.map_or_else(beside, |path| environment.folder.join(path));
    Launcher::new(program, libtorch)
}

/// What starts the trainer, if it can be started.
///
/// # Errors
/// Returns [`Exit::NoTrainer`] if there is no such program, or if the libtorch that it would load is too old.
pub fn trainer(named: Option<&Path>, environment: &Environment) -> Result<Launcher> {
    let launcher = launcher(named, environment);
    let trainer = launcher.program();
    if !trainer.is_file() {
        return Err(Error::new(Exit::NoTrainer, format!("the trainer {} does not exist", trainer.display())).hint(
            "install both programs (`pip install 'sweep-hpo[torch]'`), build it (`make demo`), or give its path with \
             --trainer",
        ));
    }
    match (launcher.libtorch(), launcher.named()) {
        (None, Some(folder)) => Err(Error::new(Exit::NoTrainer, libtorch::missing(folder)).hint(libtorch::NAME_IT)),
        (Some(found), _) if found.fit(trainer) == Fit::TooOld => {
            Err(Error::new(Exit::NoTrainer, found.too_old(trainer))
                .hint(format!("install a version that works: {}", libtorch::install())))
        }
        _ => Ok(launcher),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Progress {
    Auto,
    Bars,
    Plain,
    Json,
    None,
}

impl Options {
    fn screen(&self, environment: &Environment) -> Screen {
        match self.progress {
            _ if self.json => Screen::new(progress::Kind::Events(now)),
            Progress::Bars => Screen::bars(),
            Progress::Auto if environment.draws => Screen::bars(),
            Progress::Auto | Progress::Plain => Screen::new(progress::Kind::Lines),
            Progress::Json => Screen::new(progress::Kind::Json),
            Progress::None => Screen::new(progress::Kind::Quiet),
        }
    }

    /// Trains for the controller of the sweep in this folder, if that is this process's part under srun.
    ///
    /// # Errors
    /// Returns an error of the agent, or that this is not an allocation.
    pub fn join(&self, layout: &Layout, environment: &Environment) -> Result<Option<Exit>> {
        if !self.here {
            return Ok(None);
        }
        match cluster::role(environment)? {
            Role::Controls => Ok(None),
            Role::Idle => Ok(Some(Exit::Success)),
            Role::Joins(name) => {
                let args = agent::Args::named(name, self.trainer.clone());
                agent::dial(&args, &cluster::address(layout), environment)?;
                Ok(Some(Exit::Success))
            }
        }
    }
}

/// The devices that the file requests, with the GPUs of `--gpus` instead of its own.
pub fn devices(spec: &Spec, gpus: Option<&str>) -> Devices {
    let mut devices = spec.devices.clone();
    if let Some(gpus) = gpus {
        devices.gpus = match gpus {
            "all" => Gpus::All,
            "none" => Gpus::None,
            names => Gpus::These(names.split(',').map(|name| name.trim().to_owned()).collect()),
        };
    }
    devices
}

/// The slots of this machine that `devices` requests, and the GPUs.
///
/// # Errors
/// Returns an error if `devices` names a GPU that does not exist.
pub fn slots(devices: &Devices, environment: &Environment) -> Result<(Vec<SlotDevice>, Vec<Gpu>)> {
    let gpus = if devices.gpus == Gpus::None { Err("they are not asked for".into()) } else { gpu::list() };
    let visible = environment.visible_gpus();
    let slots = find(devices, &gpus, visible.as_deref(), environment.cores())?;
    Ok((slots, gpus.unwrap_or_default()))
}
