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
}

impl Launcher {
    /// Creates a launcher of trainers that run `program`, with the libtorch in the given folder or else the one that
    /// their run path finds.
    pub fn new(program: PathBuf, libtorch: Option<PathBuf>) -> Launcher {
        Launcher { program, libtorch, mps: None }
    }

    /// Makes trainers use the CUDA MPS daemon with its pipes in this folder, if one runs.
    pub fn with_mps(self, mps: Option<PathBuf>) -> Launcher {
        Launcher { mps, ..self }
    }

    /// The trainer's program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The libtorch that trainers will load. `None` if it is missing, or if the run path names another folder.
    pub fn libtorch(&self) -> Option<Libtorch> {
        Libtorch::find(&self.program, self.libtorch.as_deref())
    }

    /// The command of a trainer that does one job and exits.
    pub fn once(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        self.load(&mut command);
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
        let mut command = on(device, &self.program);
        let (name, threads) = match device {
            Device::Cpu { threads } => ("cpu", *threads),
            Device::Gpu { .. } => ("cuda", 1),
        };
        command.arg("--device").arg(name).arg("--threads").arg(threads.to_string()).stdin(Stdio::piped());
        self.load(command.as_std_mut());
        if let Some(folder) = &self.mps {
            command.env(super::mps::VARIABLE, folder);
        }
        // glibc keeps freed memory. Otherwise the activations of every step cause page faults, which take a twentieth
        // of its time.
        command.env("MALLOC_MMAP_MAX_", "0").env("MALLOC_TRIM_THRESHOLD_", (32_u64 << 30).to_string());
        command.env("MALLOC_TOP_PAD_", (64_u64 << 20).to_string());
        // Libtorch's threads busy-wait for its next operation and compete with the trainer's own threads in between.
        // With two threads, that made a step a third longer. A few microseconds of waiting are enough.
        command.env("GOMP_SPINCOUNT", "2000");
        command
    }
}

/// The command that starts a program on a device. Its stdout and stderr are pipes, and its stdin is empty. It leads its
/// own process group and dies with the thread that spawns it.
pub fn on(device: &Device, program: &Path) -> Command {
    let mut command = Command::new(program);
    let threads = match device {
        Device::Cpu { threads } => {
            command.env("CUDA_VISIBLE_DEVICES", "");
            *threads
        }
        Device::Gpu { uuid } => {
            command.env("CUDA_VISIBLE_DEVICES", uuid).env("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
            1
        }
    };
    // Libraries size their thread pools by this variable when they are loaded, before any call could.
    command.env("OMP_NUM_THREADS", threads.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    die_with_parent(command.as_std_mut(), Signal::KILL);
    command
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
