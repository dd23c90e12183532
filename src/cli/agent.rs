//! `sweep agent`: the part of `sweep` that runs on other hosts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::{Environment, variable};
use super::program;
use super::running;
use super::sweep_file;
use crate::agent::service::{Facts, Greeting, Place, Prepared, Station, Terms, Way, bridge, serve};
use crate::log;
use crate::slurm;
use sweep_core::error::{Exit, Result};
use sweep_spec::{PerGpu, Spec};

/// Options of `sweep agent`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example:
  sweep run sweep.yaml --on 'command:kubectl exec -i worker-0 -- sweep agent'

`sweep run --on ssh:HOST` starts the agent itself. The agent talks to the controller on stdin and stdout. If these
are closed, it continues to train. It ends when the sweep no longer needs this host, or after the time `orphan`
without a controller.")]
pub struct Args {
    /// Name of this host in the sweep [default: the machine's name]
    #[arg(long)]
    name: Option<String>,
    /// Folder for trials that run here [default: ~/.cache/sweep/agents]
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// Path of the trainer [default: sweep-trainer next to sweep]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// Serve this sweep
    #[arg(long, value_name = "SWEEP", hide = true)]
    serve: Option<String>,
    /// Connect to the controller whose address is in this file: `.address` in the sweep's folder
    #[arg(long, value_name = "FILE", conflicts_with = "serve")]
    dial: Option<PathBuf>,
    /// Leave the sweep after this time without a trial, for example 5m
    #[arg(long, value_name = "TIME", value_parser = sweep_spec::parse_time, requires = "dial")]
    idle: Option<Duration>,
    /// Queue this job of Slurm again if it ends before the sweep does
    #[arg(long, hide = true, requires = "dial")]
    requeue: bool,
}

impl Args {
    /// An agent with this name and trainer.
    pub fn named(name: String, trainer: Option<PathBuf>) -> Args {
        Args { name: Some(name), trainer, ..Args::default() }
    }
}

/// Connects the controller to the agent of its sweep, or runs that agent.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    match (&args.serve, &args.dial) {
        (Some(sweep), _) => be(args, sweep, Way::Socket, environment)?,
        (None, Some(address)) => dial(args, &environment.folder.join(address), environment)?,
        (None, None) => bridge(
            |greeting| checked(args, greeting, environment),
            |greeting| place(args, &greeting.sweep, name(args, greeting).as_deref(), environment),
            |greeting| arguments(args, greeting),
        )?,
    }
    Ok(Exit::Success)
}

/// Runs the agent of a sweep whose controller listens on a port. `address` is the file with the controller's address.
pub fn dial(args: &Args, address: &Path, environment: &Environment) -> Result<()> {
    be(args, &address.display().to_string(), Way::Dial(address.to_owned()), environment)
}

fn be(args: &Args, sweep: &str, way: Way, environment: &Environment) -> Result<()> {
    let place = place(args, sweep, args.name.as_deref(), environment)?;
    // What cannot be created is told by the agent.
    let _ = std::fs::create_dir_all(&place.scratch);
    log::open(&place.scratch.join("agent.log"), log::level(environment.variable(log::VARIABLE).as_deref())?);
    let (trainer, own) = (args.trainer.clone(), environment.clone());
    let prepare = Box::new(move |terms: &Terms| prepare(terms, trainer.as_deref(), &own));
    let facts = facts(args.name.clone(), environment);
    let time = slurm::time_for_trials(variable, environment.now());
    serve(Station {
        way,
        idle: args.idle,
        job: environment.variable("SLURM_JOB_ID").filter(|_| args.requeue),
        time,
        place,
        facts,
        memory: environment.memory(),
        prepare,
        variable,
    })
}

/// The name given on this host, or otherwise the one that the controller gives.
fn name(args: &Args, greeting: &Greeting) -> Option<String> {
    args.name.clone().or_else(|| greeting.name.clone())
}

/// The arguments of the agent that a bridge starts.
fn arguments(args: &Args, greeting: &Greeting) -> Vec<String> {
    let mut words = vec!["agent".to_owned(), "--serve".to_owned(), greeting.sweep.clone()];
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let options = [
        ("--name", name(args, greeting)),
        ("--scratch", args.scratch.as_ref().map(path)),
        ("--trainer", args.trainer.as_ref().map(path)),
    ];
    for (option, value) in options {
        words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
    }
    words
}

fn place(args: &Args, sweep: &str, name: Option<&str>, environment: &Environment) -> Result<Place> {
    let machine = environment.host();
    let cache = environment.variable("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(environment.variable("HOME").unwrap_or("/tmp".to_owned())).join(".cache");
    let scratch = args.scratch.as_ref().map(|scratch| environment.folder.join(scratch));
    let folder = scratch.unwrap_or_else(|| cache.unwrap_or_else(home).join("sweep/agents"));
    Place::of(sweep, name.unwrap_or(&machine), &machine, &folder)
}

/// What is known about this machine without a sweep.
fn facts(name: Option<String>, environment: &Environment) -> Facts {
    Facts {
        version: env!("CARGO_PKG_VERSION").into(),
        node: name.unwrap_or_else(|| environment.host()),
        machine: environment.host(),
        architecture: std::env::consts::ARCH.into(),
        cores: environment.cores(),
        memory: environment.memory(),
        instructions: Facts::instructions(),
        ..Facts::default()
    }
}

/// What is known about this machine, and whether the sweep can run here.
fn checked(args: &Args, greeting: &Greeting, environment: &Environment) -> Facts {
    let mut facts = facts(name(args, greeting), environment);
    let Some(terms) = &greeting.check else { return facts };
    match prepare(terms, args.trainer.as_deref(), environment) {
        Ok(Prepared { launcher, slots, .. }) => {
            facts.slots = slots.iter().map(|slot| slot.name.clone()).collect();
            let version = launcher.and_then(|launcher| launcher.libtorch()?.version);
            facts.libtorch = version.map(|version| format!("libtorch {version}"));
        }
        Err(problem) => facts.problem = Some(problem),
    }
    facts
}

/// Looks for all that the sweep needs: its data, its program, a trainer, and slots.
fn prepare(terms: &Terms, trainer: Option<&Path>, environment: &Environment) -> std::result::Result<Prepared, String> {
    let problems = |problems: sweep_spec::Problems| sweep_core::error::Error::from(problems).to_string();
    let Terms { name, file, text, base, start, .. } = terms;
    let mut spec = Spec::read_again(text, file, name, base, start.as_deref()).map_err(problems)?;
    if spec.devices.per_gpu == PerGpu::Auto {
        // What trials need is measured on the controller's machine only.
        spec.devices.per_gpu = PerGpu::Most(1);
    }
    program::look_up(&spec, file, text, environment).map_err(problems)?;
    let told = |error: sweep_core::error::Error| error.to_string();
    sweep_file::inspect(&mut spec, file, text).map_err(told)?;
    let devices = running::devices(&spec, terms.gpus.as_deref());
    let (slots, gpus) = running::slots(&devices, environment).map_err(told)?;
    let trainer = trainer.or(terms.trainer.as_deref());
    let launcher = spec.network().map(|_| running::trainer(trainer, environment)).transpose().map_err(told)?;
    Ok(Prepared { spec, launcher, slots, gpus })
}
