//! The controller's side of a supervisor.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::{Command, MARK, Order, Report, WORD, family};
use crate::agent::child::Lines;
use crate::agent::launch::on;
use crate::agent::processes::{boot, see};
use crate::agent::program::Job;
use crate::agent::slots::Device;
use sweep_core::group::{Group, Process};

/// The running program of this process, also after its file was replaced.
const SELF: &str = "/proc/self/exe";

/// A supervisor and its program.
pub struct Supervisor {
    process: Child,
    commands: Option<ChildStdin>,
    reports: Lines<ChildStdout>,
    program: Option<u32>,
}

impl Supervisor {
    /// Starts a supervisor and gives it the order. It does not die with this process, because it has to end the program.
    ///
    /// # Errors
    /// If no process can be started.
    pub async fn start(device: &Device, job: &Job, order: &Order, trial: &Path) -> std::io::Result<Supervisor> {
        let mut command = on(device, Path::new(SELF));
        command.arg0("sweep").arg(WORD).envs(&job.variables).current_dir(&job.folder);
        command.env(MARK, trial.canonicalize().unwrap_or_else(|_| trial.to_owned()));
        // What the supervisor itself has to say, such as a panic.
        let own =
            OpenOptions::new().create(true).append(true).open(&order.log).map_or_else(|_| Stdio::null(), Stdio::from);
        command.stdin(Stdio::piped()).stderr(own).kill_on_drop(false);
        let mut process = command.spawn()?;
        let (mut commands, reports) = (process.stdin.take(), Lines::new(process.stdout.take()));
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        if let Some(pipe) = &mut commands {
            pipe.write_all(&line).await?;
        }
        Ok(Supervisor { process, commands, reports, program: None })
    }

    /// The supervisor's process id, or 0 if it has ended.
    pub fn id(&self) -> u32 {
        self.process.id().unwrap_or(0)
    }

    /// The next report. `None` if the supervisor has ended. Cancellation loses nothing.
    pub async fn next(&mut self) -> Option<Report> {
        loop {
            let line = self.reports.next().await?;
            let Ok(report) = serde_json::from_slice(&line) else { continue };
            if let Report::Started { pid } = report {
                self.program = Some(pid);
            }
            return Some(report);
        }
    }

    /// Sends a command. A supervisor that has ended needs none.
    pub async fn command(&mut self, command: Command) {
        if let Some(pipe) = &mut self.commands {
            let _ = pipe.write_all(&[command.byte()]).await;
        }
    }

    /// Waits for the end of the supervisor, after its last report.
    pub async fn end(mut self) {
        let _ = self.process.wait().await;
    }

    /// Kills a supervisor that does not answer, and the program's group.
    pub fn kill(&mut self) {
        let _ = self.process.start_kill();
        if let Some(program) = self.program {
            family::signal(program, Signal::KILL);
        }
    }

    /// The processes, for the journal.
    pub fn group(&self) -> Option<Group> {
        let process = |pid| see(pid).map(|seen| Process { pid, start: seen.start });
        Some(Group { boot: boot(), supervisor: process(self.id())?, program: process(self.program?)? })
    }
}
