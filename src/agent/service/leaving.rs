//! When an agent leaves, and what becomes of its job of Slurm.

use std::time::Duration;

use tokio::time::Instant;

/// Time for Slurm to end a job that waits for its end. Sites give an hour at most, and most of them a minute.
const LONGEST_LINGER: Duration = Duration::from_secs(3600);

/// An agent that is about to end.
pub struct Leaving {
    pub why: String,
    /// When trainers are killed that have not saved.
    pub until: Instant,
    /// Whether the files of the trials are removed.
    pub done: bool,
    pub job: Job,
}

/// What comes of a job of Slurm whose agent leaves.
#[derive(Debug, Clone, Copy)]
pub enum Job {
    /// Its node is given back.
    Needless,
    /// Its time ends, or it is about to be preempted.
    Ends,
    /// It is about to be preempted, or a user has canceled it. Only Slurm knows.
    MayEnd,
}

/// What an agent's decisions about its time depend on.
pub struct Times {
    pub began: Instant,
    pub was_connected: bool,
    /// When a trial was last here.
    pub busy: Instant,
    /// When its trials are saved because its job ends.
    pub end: Option<Instant>,
}

impl Times {
    /// `time`: the time for trials until the job ends.
    pub fn new(time: Option<Duration>) -> Times {
        let began = Instant::now();
        let end = time.map(|time| began + time);
        Times { began, was_connected: false, busy: began, end }
    }
}

/// Ends a job of Slurm.
pub async fn give_up(id: &str, job: Job) {
    match job {
        Job::Needless => {}
        Job::Ends => {
            let requeued = tokio::process::Command::new("scontrol").args(["requeue", id]).output().await;
            match requeued {
                Ok(output) if output.status.success() => tokio::time::sleep(LONGEST_LINGER).await,
                Ok(output) => {
                    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                    tracing::warn!("the job is not queued again: {said}");
                }
                Err(error) => tracing::warn!("the job is not queued again: scontrol: {error}"),
            }
        }
        // Slurm queues a preempted job again only if it had to end it.
        Job::MayEnd => tokio::time::sleep(LONGEST_LINGER).await,
    }
}
