//! The command line and environment of a trainer.
#![allow(unsafe_code, reason = "a child can be tied to its parent's life only between fork and exec")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::process::Command;

use super::libtorch::Libtorch;
use super::slots::Device;

/// Starts trainers on this host.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    libtorch: Option<PathBuf>,
    mps: Option<PathBuf>,
    /// The command that starts the trainer, if it is not started itself.
    wrap: Vec<String>,
}

impl Launcher {
    /// Creates a launcher of trainers that run `program`, with the libtorch in the given folder or else the one that
    /// their run path finds.
    pub fn new(program: PathBuf, libtorch: Option<PathBuf>) -> Launcher {
        Launcher { program, libtorch, mps: None, wrap: Vec::new() }
    }

    /// Makes trainers use the CUDA MPS daemon with its pipes in this folder, if one runs.
    pub fn with_mps(self, mps: Option<PathBuf>) -> Launcher {
        Launcher { mps, ..self }
    }

    /// Makes another command start the trainers, such as that of a container.
    pub fn wrapped(self, wrap: Vec<String>) -> Launcher {
        Launcher { wrap, ..self }
    }

    /// The trainer's program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The folder of the libtorch that the user named, if any.
    pub fn named(&self) -> Option<&Path> {
        self.libtorch.as_deref()
    }

    /// The libtorch that trainers will load. `None` if it is missing, or if the run path names another folder.
    pub fn libtorch(&self) -> Option<Libtorch> {
        Libtorch::find(&self.program, self.libtorch.as_deref())
    }

    /// The command of a trainer that does one job and exits.
    pub fn once(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        self.load(&mut command);
        tune(&mut command);
        command
    }

    /// Makes the dynamic linker find the given libtorch first. Its libraries find each other.
    fn load(&self, command: &mut std::process::Command) {
        if let Some(folder) = &self.libtorch {
            command.env("LD_LIBRARY_PATH", folder.join("lib"));
        }
    }

    /// The command that starts a trainer on a device, with piped stdin, stdout and stderr. The trainer leads its own
    /// process group, so that the terminal's Ctrl-C does not reach it. It dies with the thread that spawns it.
    pub fn command(&self, device: &Device) -> Command {
        let mut command = match self.wrap.split_first() {
            None => on(device, &self.program),
            Some((first, others)) => {
                let mut command = on(device, Path::new(first));
                command.args(others).arg(&self.program);
                command
            }
        };
        die_with_parent(command.as_std_mut(), Signal::KILL);
        ignore(command.as_std_mut(), &TO_ALL);
        let (name, threads) = match device {
            Device::Cpu { threads } => ("cpu", *threads),
            Device::Gpu { .. } => ("cuda", 1),
        };
        command.arg("--device").arg(name).arg("--threads").arg(threads.to_string()).stdin(Stdio::piped());
        self.load(command.as_std_mut());
        if let Some(folder) = &self.mps {
            command.env(super::mps::VARIABLE, folder);
        }
        tune(command.as_std_mut());
        command
    }
}

/// Sets what libtorch and glibc read when they are loaded.
fn tune(command: &mut std::process::Command) {
    // glibc keeps freed memory. Otherwise the activations of every step cause page faults, which take a twentieth of its
    // time.
    command.env("MALLOC_MMAP_MAX_", "0").env("MALLOC_TRIM_THRESHOLD_", (32_u64 << 30).to_string());
    command.env("MALLOC_TOP_PAD_", (64_u64 << 20).to_string());
    // Libtorch's threads busy-wait for its next operation and compete with the trainer's own threads in between. With
    // two threads, that made a step a third longer. On cores that are shared, the evaluation of the best trial took more
    // time for waiting than for everything else. A few microseconds of waiting are enough.
    command.env("GOMP_SPINCOUNT", "2000");
}

/// The command that starts a program on a device. Its stdout and stderr are pipes, and its stdin is empty. It leads its
/// own process group.
pub fn on(device: &Device, program: &Path) -> Command {
    let mut command = Command::new(program);
    let threads = match device {
        Device::Cpu { threads } => {
            command.env("CUDA_VISIBLE_DEVICES", "");
            *threads
        }
        Device::Gpu { uuids } => {
            command.env("CUDA_VISIBLE_DEVICES", uuids.join(",")).env("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
            1
        }
    };
    // Libraries size their thread pools by this variable when they are loaded, before any call could.
    command.env("OMP_NUM_THREADS", threads.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command
}

/// Signals that a scheduler or a user may send to all processes of a job.
const TO_ALL: [i32; 5] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];

/// Signals by which a scheduler announces the end of a job's time. A process that does not know them dies of them.
pub const NOTICES: [i32; 2] = [libc::SIGUSR1, libc::SIGUSR2];

/// Makes the child ignore these signals, unless it handles them. The controller, which receives them, too, tells trainers
/// and programs what to do.
pub fn ignore(command: &mut std::process::Command, signals: &'static [i32]) {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed, and `signal` is one. An ignored signal
    // stays ignored by the program that `exec` starts.
    unsafe {
        command.pre_exec(move || {
            for signal in signals {
                libc::signal(*signal, libc::SIG_IGN);
            }
            Ok(())
        });
    }
}

/// Whether SIGHUP was ignored when this process started, as `nohup` has it.
pub fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal 1 is the lowest bit.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Makes the child lead a session of its own, so that it lives on when the terminal or the connection of this process is
/// closed.
pub(super) fn leave_session(command: &mut std::process::Command) {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed, and `setsid` is one.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into));
    }
}

/// Makes the kernel send the child this signal when the thread that spawns it ends.
pub(super) fn die_with_parent(command: &mut std::process::Command, signal: Signal) {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. These are two plain system calls, and
    // their errors contain a number and no allocated memory.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(signal))?;
            // The parent may have died before the call above.
            if getppid() == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        });
    }
}
