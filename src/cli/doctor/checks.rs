//! What the facts about a machine mean for sweeps, and what to do. Pure.

use std::path::PathBuf;

use serde::Serialize;

use crate::agent::gpu::{self, Gpu};
use crate::agent::libtorch::{self, Fit, Libtorch};
use sweep_core::describe::gibibytes;
use sweep_report::format;

/// Free disk space in bytes below which a note is shown. A sweep of networks writes about a gigabyte.
const LITTLE_DISK: u64 = 1 << 30;

/// What is done without a GPU.
const NO_GPU: &str = "if there is an NVIDIA GPU, install its driver; sweeps on the CPU need none";

/// The versions of a driver and of the newest CUDA that it supports, as far as it tells them.
pub type Driver = (Option<String>, Option<(u32, u32)>);

/// What a trainer answered: device and library, or the reason why it does not start.
pub type Start = Result<(String, String), String>;

/// What was seen on the machine.
#[derive(Debug)]
pub struct Facts {
    /// The path of `sweep`.
    pub program: PathBuf,
    /// The name and version of the C library, if it says so.
    pub c_library: Option<String>,
    /// Number of CPU cores.
    pub cores: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// The current folder.
    pub folder: PathBuf,
    /// Whether it can be written.
    pub writable: bool,
    /// Free space there in bytes.
    pub free: u64,
    /// The driver, or the reason why there is none.
    pub driver: Result<Driver, String>,
    /// The GPUs, or the reason why there is none.
    pub gpus: Result<Vec<Gpu>, String>,
    /// The value of CUDA_VISIBLE_DEVICES.
    pub visible: Option<String>,
    /// What is wrong with that value, if anything.
    pub wrong: Option<String>,
    /// The path of the trainer.
    pub trainer: PathBuf,
    /// The libtorch that the trainer will load, if its folder is known.
    pub libtorch: Option<Libtorch>,
    /// The folder of the libtorch that the environment names.
    pub named: Option<PathBuf>,
    /// What the trainer answered on each slot. Empty if there is no trainer.
    pub starts: Vec<(String, Start)>,
    /// The published data sets on this machine.
    pub data: Vec<&'static str>,
}

/// Whether a check found a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All is well.
    Ok,
    /// Sweeps run, but not all that can be wished for is there.
    Note,
    /// Something does not work.
    Problem,
}

impl State {
    /// The word that a line begins with.
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Note => "note",
            State::Problem => "problem",
        }
    }
}

/// One examined part of the machine.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The name of the part.
    pub name: &'static str,
    /// Whether it works.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, unless all is well.
    pub fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, state: State::Ok, found: found.into(), fix: None }
    }

    fn note(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name, state: State::Note, found: found.into(), fix: Some(fix.into()) }
    }

    fn problem(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name, state: State::Problem, found: found.into(), fix: Some(fix.into()) }
    }
}

/// All checks, in the order in which parts depend on each other.
pub fn all(facts: &Facts) -> Vec<Check> {
    let program = format!("{} ({})", env!("CARGO_PKG_VERSION"), facts.program.display());
    let mut checks = vec![Check::ok("sweep", program)];
    checks.extend([c_library(facts), cpu(facts), folder(facts), driver(facts), gpus(facts)]);
    checks.extend(libtorch(facts));
    checks.extend(trainer(facts));
    checks.push(Check::ok(
        "data",
        match facts.data.as_slice() {
            [] => "digits (built in); `sweep data list` shows what can be downloaded".to_owned(),
            sets => format!("digits (built in), {}", sets.join(", ")),
        },
    ));
    checks
}

fn c_library(facts: &Facts) -> Check {
    match &facts.c_library {
        Some(version) => Check::ok("C library", version),
        None => Check::note("C library", "of unknown version", "use a system with glibc 2.28 or newer"),
    }
}

fn cpu(facts: &Facts) -> Check {
    Check::ok("CPU", format!("{} cores, {} of memory", facts.cores, gibibytes(facts.memory)))
}

fn folder(facts: &Facts) -> Check {
    let path = facts.folder.display();
    let disk = format!("{} free in {path}", gibibytes(facts.free));
    match (facts.writable, facts.free < LITTLE_DISK) {
        (false, _) => Check::problem("folder", format!("{path} cannot be written"), "change to another folder"),
        (true, true) => Check::note("folder", disk, "free some space, or choose another disk with --results"),
        (true, false) => Check::ok("folder", disk),
    }
}

fn driver(facts: &Facts) -> Check {
    match &facts.driver {
        Err(reason) => Check::note("GPU driver", reason, NO_GPU),
        Ok((version, cuda)) => {
            let version = version.as_deref().map_or("of unknown version".to_owned(), format::clean);
            let cuda = cuda.map_or("an unknown CUDA".to_owned(), |(major, minor)| format!("CUDA {major}.{minor}"));
            Check::ok("GPU driver", format!("{version}, supports {cuda}; NVML answers"))
        }
    }
}

fn gpus(facts: &Facts) -> Check {
    let gpus = match (&facts.gpus, &facts.wrong) {
        (Err(_), _) if facts.driver.is_err() => return Check::ok("GPUs", "none; trials run on the CPU"),
        (Err(reason), _) => return Check::problem("GPUs", reason, "check the output of `nvidia-smi`"),
        (Ok(gpus), _) if gpus.is_empty() => {
            return Check::note("GPUs", "the driver reports none", "check `nvidia-smi`");
        }
        (_, Some(wrong)) => {
            let fix = "list each GPU once, by its index or its full UUID; `sweep gpus` lists them";
            return Check::problem("GPUs", format!("CUDA_VISIBLE_DEVICES: {wrong}"), fix);
        }
        (Ok(gpus), None) => gpus,
    };
    let visible = gpu::visible(gpus, facts.visible.as_deref());
    let names: Vec<String> = visible.iter().map(|gpu| format!("{} {}", gpu.slot(), format::clean(&gpu.name))).collect();
    match gpus.len() - visible.len() {
        0 => Check::ok("GPUs", names.join(", ")),
        hidden if names.is_empty() => {
            Check::note("GPUs", format!("CUDA_VISIBLE_DEVICES hides all {hidden}"), "unset it to use them")
        }
        hidden => {
            let found = format!("{}; CUDA_VISIBLE_DEVICES hides {hidden} more", names.join(", "));
            Check::note("GPUs", found, "unset it to use all of them")
        }
    }
}

/// libtorch, if its folder is known or must be.
fn libtorch(facts: &Facts) -> Option<Check> {
    const NAME: &str = "libtorch";
    let Some(found) = &facts.libtorch else {
        if let Some(folder) = &facts.named {
            return Some(Check::problem(NAME, libtorch::missing(folder), libtorch::NAME_IT));
        }
        // Where the trainer starts, its answer says what it loaded.
        let missing = facts.starts.iter().any(|(_, start)| start.is_err());
        return missing.then(|| {
            let fix = format!("{}, or set {} to its folder", libtorch::install(), libtorch::VARIABLE);
            Check::problem(NAME, "not found beside the trainer", fix)
        });
    };
    let version = found.version.as_deref().unwrap_or("of unknown version");
    let cuda = found.cuda.as_ref().map_or("without CUDA".to_owned(), |cuda| format!("for CUDA {cuda}"));
    let text = format!("{version}, {cuda} ({})", found.folder.display());
    let has_gpu = facts.gpus.as_ref().is_ok_and(|gpus| !gpus.is_empty());
    Some(match (found.fit(&facts.trainer), cuda_fits(facts, found)) {
        (Fit::TooOld, _) => Check::problem(NAME, found.too_old(&facts.trainer), libtorch::install()),
        (_, Err(reason)) => {
            Check::problem(NAME, format!("{text}: {reason}"), "update NVIDIA's driver, or use --gpus none")
        }
        (Fit::Untried, _) => {
            Check::note(NAME, format!("{text}; not tried with this version of sweep"), libtorch::install())
        }
        (Fit::Tried, _) if has_gpu && found.cuda.is_none() => {
            Check::problem(NAME, text, "install a PyTorch with CUDA, or use --gpus none")
        }
        (Fit::Tried, _) => Check::ok(NAME, text),
    })
}

/// Whether the driver supports the CUDA that a libtorch was built for. A driver supports all versions with the same or a
/// smaller first number.
fn cuda_fits(facts: &Facts, found: &Libtorch) -> Result<(), String> {
    let Ok((_, Some((major, minor)))) = facts.driver else { return Ok(()) };
    let needed = found.cuda.as_deref().and_then(|cuda| cuda.split('.').next()?.parse::<u32>().ok());
    match needed {
        Some(needed) if needed > major => Err(format!("the driver supports CUDA up to {major}.{minor}")),
        _ => Ok(()),
    }
}

/// The trainer on each slot. Slots with the same answer share a line.
fn trainer(facts: &Facts) -> Vec<Check> {
    const NAME: &str = "trainer";
    let path = facts.trainer.display();
    if facts.starts.is_empty() {
        let fix = "pip install 'sweep-hpo[torch]', or build it with `make demo`; your own programs do not need it";
        return vec![Check::problem(NAME, format!("{path} does not exist"), fix)];
    }
    let check = |(slot, start): &(String, Result<(String, String), String>)| match start {
        Ok((device, backend)) => Check::ok(NAME, format!("starts on {slot} ({device}) with {backend}")),
        Err(reason) => {
            let found = format!("does not start on {slot}: {}", format::clean(reason));
            Check::problem(NAME, found, "fix the problems above first; if there are none, install PyTorch again")
        }
    };
    facts.starts.iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            program: "/env/sweep".into(),
            c_library: Some("glibc 2.31".into()),
            cores: 2,
            memory: 8 << 30,
            folder: "/home/a".into(),
            writable: true,
            free: 20 << 30,
            driver: Ok((Some("580.1".into()), Some((13, 0)))),
            gpus: Ok(vec![Gpu { uuid: "GPU-0".into(), name: "NVIDIA H200".into(), ..Gpu::default() }]),
            visible: None,
            wrong: None,
            trainer: "/env/sweep-trainer".into(),
            libtorch: Some(Libtorch {
                folder: "/env/torch".into(),
                version: Some("2.13.0+cu130".into()),
                cuda: Some("13.0".into()),
            }),
            named: None,
            starts: vec![("gpu:0".into(), Ok(("NVIDIA H200".into(), "libtorch 2.13.0".into())))],
            data: vec!["cifar10"],
        }
    }

    fn problems(facts: &Facts) -> Vec<(&'static str, String)> {
        let checks = all(facts).into_iter().filter(|check| check.state != State::Ok);
        checks.map(|check| (check.name, format!("{} -> {}", check.found, check.fix.unwrap_or_default()))).collect()
    }

    fn problem(facts: &Facts, name: &str) -> String {
        problems(facts).into_iter().find(|(found, _)| *found == name).expect("it is reported").1
    }

    #[test]
    fn a_machine_with_everything_has_no_problem() {
        assert_eq!(problems(&facts()), []);
    }

    #[test]
    fn a_driver_that_is_older_than_libtorchs_cuda_is_reported() {
        let text = problem(&Facts { driver: Ok((None, Some((12, 8)))), ..facts() }, "libtorch");
        assert!(text.contains("for CUDA 13.0") && text.contains("the driver supports CUDA up to 12.8"), "{text}");
        assert_eq!(problems(&Facts { driver: Ok((None, Some((14, 1)))), ..facts() }), []);
    }

    #[test]
    fn a_libtorch_of_another_version_is_reported_with_the_versions_that_work() {
        let of = |version: &str| {
            let libtorch = Libtorch { version: Some(version.into()), ..facts().libtorch.expect("there is one") };
            Facts { libtorch: Some(libtorch), ..facts() }
        };
        let text = problem(&of("2.12.1"), "libtorch");
        assert!(text.contains("works with PyTorch 2.13 to 2.15, but /env/torch is 2.12.1"), "{text}");
        assert!(text.ends_with("pip install 'torch>=2.13,<2.16'"), "{text}");
        assert!(problem(&of("2.16.0"), "libtorch").contains("not tried with this version of sweep"));
    }

    #[test]
    fn without_a_gpu_nothing_is_wrong_but_a_note_says_so() {
        let cpu = vec![("cpu:0".into(), Ok(("cpu".into(), "libtorch 2.13.0".into())))];
        let (driver, gpus) = (Err("there is no NVIDIA driver".to_owned()), Err("there is no NVIDIA driver".to_owned()));
        let facts = Facts { driver, gpus, starts: cpu, ..facts() };
        assert_eq!(problems(&facts).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["GPU driver"]);
    }

    #[test]
    fn a_full_disk_a_folder_of_others_and_a_missing_trainer_are_reported() {
        assert!(problem(&Facts { free: 5 << 20, ..facts() }, "folder").contains("0.0 GiB free"));
        assert!(problem(&Facts { writable: false, ..facts() }, "folder").contains("cannot be written"));
        let text = problem(&Facts { starts: Vec::new(), ..facts() }, "trainer");
        assert!(text.contains("/env/sweep-trainer does not exist -> pip install"), "{text}");
    }
}
