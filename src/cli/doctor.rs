//! `sweep doctor`: checks what training on this machine needs.

mod checks;

use std::path::Path;

use super::environment::Environment;
use super::output;
use super::running;
use crate::agent::cpu_slots;
use crate::agent::gpu::{self, Driver};
use crate::agent::{Device, Launcher, SlotDevice};
use crate::engine;
use checks::{Check, Facts, State};
use sweep_core::error::{Exit, Result};
use sweep_data::fetch::CATALOG;

/// The folder that `sweep data fetch` uses by default.
const DATA: &str = "data";

/// Options of `sweep doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep doctor
  sweep doctor --json | jq -r '.checks[] | select(.fix) | .fix'

Exit codes: 0 if the trainer starts on every GPU, or on the CPU if there is no GPU; 5 if the current folder is not
writable; 6 if the trainer is missing or does not start. Your own programs need no trainer.")]
pub struct Args {
    /// Path of the trainer [default: sweep-trainer next to sweep]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<std::path::PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Examines the machine, and prints what it found with a fix for each problem.
///
/// # Errors
/// Returns an error if the output cannot be written. What is missing is printed, and decides the exit code.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let checks = checks::all(&gather(args, environment));
    let fails = |name: &str| checks.iter().any(|check| check.name == name && check.state == State::Problem);
    let exit = match (fails("folder"), fails("libtorch") || fails("trainer")) {
        (true, _) => Exit::Storage,
        (false, true) => Exit::NoTrainer,
        (false, false) => Exit::Success,
    };
    if args.json {
        output::print_json(&serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "checks": checks}))?;
    } else {
        output::print(&(lines(&checks) + conclusion(exit)))?;
    }
    Ok(exit)
}

/// Collects the facts. This starts a trainer on each device that a sweep would use, one after the other.
fn gather(args: &Args, environment: &Environment) -> Facts {
    let driver = Driver::open();
    let gpus = driver.as_ref().map_err(Clone::clone).and_then(Driver::list);
    let visible = environment.variable("CUDA_VISIBLE_DEVICES");
    let devices = match gpu::visible(gpus.as_deref().unwrap_or_default(), visible.as_deref()) {
        none if none.is_empty() => cpu_slots(1, 1),
        gpus => gpus.iter().enumerate().map(|(place, gpu)| slot(place, gpu)).collect(),
    };
    let launcher = running::launcher(args.trainer.as_deref(), environment);
    let starts = |launcher: &Launcher| {
        let start = |slot: SlotDevice| (slot.name.clone(), engine::try_to_start(launcher.clone(), slot));
        devices.into_iter().map(start).collect()
    };
    let disk = rustix::fs::statvfs(&environment.folder);
    Facts {
        program: environment.program.clone(),
        c_library: environment.c_library(),
        cores: environment.cores(),
        memory: environment.memory(),
        folder: environment.folder.clone(),
        writable: rustix::fs::access(&environment.folder, rustix::fs::Access::WRITE_OK).is_ok(),
        free: disk.map_or(0, |disk| disk.f_bavail * disk.f_frsize),
        driver: driver.as_ref().map(Driver::versions).map_err(Clone::clone),
        wrong: gpu::wrong_names(gpus.as_deref().unwrap_or_default(), visible.as_deref()),
        gpus,
        visible,
        trainer: launcher.program().to_owned(),
        libtorch: launcher.libtorch(),
        named: launcher.named().map(Path::to_owned),
        starts: if launcher.program().is_file() { starts(&launcher) } else { Vec::new() },
        data: CATALOG
            .iter()
            .filter(|set| environment.folder.join(DATA).join(set.folder).is_dir())
            .map(|set| set.name)
            .collect(),
    }
}

fn slot(place: usize, gpu: &gpu::Gpu) -> SlotDevice {
    SlotDevice { name: gpu.slot(), place, device: Device::Gpu { uuids: vec![gpu.uuid.clone()] } }
}

/// One line per check, and below it what to do.
fn lines(checks: &[Check]) -> String {
    let line = |check: &Check| {
        let fix = check.fix.as_ref().map_or(String::new(), |fix| format!("{:>23}fix: {fix}\n", ""));
        format!("{:<8} {:<12}  {}\n{fix}", check.state.word(), check.name, check.found)
    };
    checks.iter().map(line).collect()
}

fn conclusion(exit: Exit) -> &'static str {
    match exit {
        Exit::Storage => "\nSweeps cannot run in this folder.",
        Exit::NoTrainer => "\nYour own programs can be tuned. Networks in a sweep file cannot be trained yet.",
        _ => "\nYour own programs can be tuned, and networks in a sweep file can be trained.",
    }
}
