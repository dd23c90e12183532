//! The command line and environment of a trainer.
#![allow(unsafe_code, reason = "a child can be tied to its parent's life only between fork and exec")]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::process::Command;

use super::slots::Device;

/// How trainers are started on this host.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
}

impl Launcher {
    /// Trainers are processes of this program.
    pub fn new(program: PathBuf) -> Launcher {
        Launcher { program }
    }

    /// The trainer's program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The trainer for a device: stdin, stdout and stderr are pipes, it leads a process group of its own (so that the
    /// terminal's Ctrl-C does not reach it), and it dies with the thread that spawns it.
    pub fn command(&self, device: &Device) -> Command {
        let mut command = Command::new(&self.program);
        let threads = match device {
            Device::Cpu { threads } => {
                command.arg("--device").arg("cpu").env("CUDA_VISIBLE_DEVICES", "");
                *threads
            }
            Device::Gpu { uuid } => {
                command.arg("--device").arg("cuda");
                command.env("CUDA_VISIBLE_DEVICES", uuid).env("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
                1
            }
        };
        command.arg("--threads").arg(threads.to_string());
        // Libraries size their pools by this when they are loaded, before any call could.
        command.env("OMP_NUM_THREADS", threads.to_string());
        // glibc keeps freed memory: else every step's activations are faulted in again, a twentieth of its time.
        command.env("MALLOC_MMAP_MAX_", "0").env("MALLOC_TRIM_THRESHOLD_", (32_u64 << 30).to_string());
        command.env("MALLOC_TOP_PAD_", (64_u64 << 20).to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; these are two plain system calls,
        // and the errors they make hold a number, no memory.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // The parent may have died before the call above.
                if getppid() == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
            });
        }
        command
    }
}
