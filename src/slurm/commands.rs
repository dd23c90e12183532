//! Slurm's programs.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::queue::{self, Job};
use super::submission::{Submission, array_id, fewer, is_kept, is_too_many};
use sweep_core::error::{Error, Exit, Result};

/// Time for one of Slurm's programs. A busy slurmctld takes a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// Calls Slurm for the jobs of one sweep.
#[derive(Debug, Clone)]
pub struct Slurm {
    submission: Submission,
    /// The variables of this process's environment.
    variables: Vec<String>,
}

impl Slurm {
    /// Creates it. `variables` are the names of the variables of this process.
    pub fn new(submission: Submission, variables: impl IntoIterator<Item = String>) -> Slurm {
        Slurm { submission, variables: variables.into_iter().filter(|name| !is_kept(name)).collect() }
    }

    /// Submits some tasks, or fewer if Slurm refuses this number. Returns how many it accepted, and its message about
    /// the others.
    ///
    /// # Errors
    /// If it accepts none.
    pub async fn submit(&self, tasks: &[u32]) -> Result<(usize, Option<String>)> {
        let cannot = |error| Error::storage(format!("{} cannot be created", self.submission.logs().display()), error);
        std::fs::create_dir_all(self.submission.logs()).map_err(cannot)?;
        let (mut number, mut refusal) = (tasks.len(), None);
        loop {
            let output =
                self.call("sbatch", &self.submission.arguments(&tasks[..number]), &self.submission.script()).await?;
            let said = last_line(&output.stderr);
            if output.status.success() {
                let array = array_id(&String::from_utf8_lossy(&output.stdout));
                tracing::info!("Slurm: job {array:?} with {number} tasks");
                return Ok((number, refusal));
            }
            let all = String::from_utf8_lossy(&output.stderr);
            match fewer(number).filter(|_| is_too_many(&all)) {
                Some(fewer) => (number, refusal) = (fewer, Some(said)),
                None => {
                    let error = Error::new(Exit::Usage, format!("Slurm refuses the jobs: {said}"));
                    return Err(error.hint(
                        "everything after -- is passed to sbatch unchanged; `sweep plan` shows the whole \
                        command",
                    ));
                }
            }
        }
    }

    /// The jobs of this sweep in the queue, and those that ended in the last minutes.
    ///
    /// # Errors
    /// If Slurm does not answer.
    pub async fn queue(&self) -> Result<Vec<Job>> {
        let name = format!("--name={}", self.submission.name());
        let format = format!("--format={}", queue::FORMAT);
        let arguments = ["--noheader", "--array", "--states=all", &name, &format].map(str::to_owned);
        let output = self.call("squeue", &arguments, "").await?;
        if !output.status.success() {
            return Err(Error::new(Exit::Storage, format!("squeue: {}", last_line(&output.stderr))));
        }
        Ok(queue::read(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Cancels jobs.
    ///
    /// # Errors
    /// If Slurm does not answer.
    pub async fn cancel(&self, jobs: &[(u64, u32)]) -> Result<()> {
        let jobs: Vec<String> = jobs.iter().map(|(array, task)| format!("{array}_{task}")).collect();
        self.call("scancel", &jobs, "").await.map(drop)
    }

    /// Cancels all jobs of this sweep.
    ///
    /// # Errors
    /// If Slurm does not answer.
    pub async fn cancel_all(&self) -> Result<()> {
        self.call("scancel", &[format!("--name={}", self.submission.name())], "").await.map(drop)
    }

    async fn call(&self, program: &str, arguments: &[String], input: &str) -> Result<Output> {
        let called = async {
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            for name in &self.variables {
                command.env_remove(name);
            }
            let mut child = command.kill_on_drop(true).spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // A program that takes no input may have ended.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            child.wait_with_output().await
        };
        let called = timeout(PATIENCE, called).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        called.map_err(|error| {
            let error = Error::new(Exit::Usage, format!("{program} cannot be run")).source(error);
            error.hint("--on slurm needs Slurm's programs on this machine, usually a login node")
        })
    }
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    last.chars().filter(|c| !c.is_control()).take(300).collect()
}
