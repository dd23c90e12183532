//! The jobs of a running sweep: submitted once, watched, and canceled at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::commands::Slurm;
use super::pool::{Change, Pool};
use sweep_core::error::Result;

/// Time between two queries of the queue. Sites ask their users for no less.
const POLL: Duration = Duration::from_secs(30);

/// Time for agents that have said goodbye to end by themselves.
const GOODBYE: Duration = Duration::from_secs(1);

/// Maximum number of changes that wait to be told.
const CAPACITY: usize = 256;

/// The jobs of a sweep.
#[derive(Debug)]
pub struct Jobs {
    slurm: Slurm,
    changes: mpsc::Receiver<Change>,
    counts: Arc<Counts>,
}

/// What the engine and the task that queries the queue tell each other.
#[derive(Debug)]
struct Counts {
    /// Whether a job waits, runs, or may be queued again.
    expects: AtomicBool,
    /// Number of nodes that are enough for the trials that are left.
    needed: AtomicU32,
}

impl Jobs {
    /// Submits the jobs that are missing to this number of nodes, or to `needed` if that is less, and begins to watch all
    /// of the sweep's.
    ///
    /// # Errors
    /// If Slurm does not answer, or accepts no job and there is none.
    pub async fn start(slurm: Slurm, nodes: u32, needed: u32) -> Result<Jobs> {
        let mut pool = Pool::default();
        pool.update(slurm.queue().await?);
        let (before, missing) = (pool.alive(), pool.missing(nodes.min(needed)));
        let (mut submitted, mut told) = (0, Vec::new());
        if before > 0 {
            told.push(format!("Slurm: jobs of this sweep that already exist: {before}"));
        }
        if !missing.is_empty() {
            let (accepted, refusal) = slurm.submit(&missing).await?;
            submitted = accepted as u32;
            let refused = refusal.map(|refusal| format!(" of {}, since it said: {refusal}", missing.len()));
            told.push(format!("Slurm: jobs submitted: {accepted}{}", refused.unwrap_or_default()));
        }
        if needed < nodes {
            told.push(format!("Slurm: {needed} of {nodes} jobs are enough for the trials that are left"));
        }
        let counts = Counts { expects: AtomicBool::new(before + submitted > 0), needed: AtomicU32::new(u32::MAX) };
        let (counts, (sender, changes)) = (Arc::new(counts), mpsc::channel(CAPACITY));
        told.into_iter().for_each(|note| drop(sender.try_send(Change::Note(note))));
        tokio::spawn(watch(slurm.clone(), pool, counts.clone(), sender));
        Ok(Jobs { slurm, changes, counts })
    }

    /// Waits for the next change. Cancellation loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// Whether agents may still join.
    pub fn expects(&self) -> bool {
        self.counts.expects.load(Ordering::Relaxed)
    }

    /// Sets how many nodes are enough. Queued jobs beyond this number are canceled at the next query.
    pub fn need(&self, nodes: u32) {
        self.counts.needed.store(nodes, Ordering::Relaxed);
    }

    /// Cancels all jobs that are left.
    pub async fn end(self) {
        tokio::time::sleep(GOODBYE).await;
        if let Err(error) = self.slurm.cancel_all().await {
            tracing::warn!("some jobs may not be canceled: {error}");
        }
    }
}

/// Queries the queue every 30 seconds, until the receiver of the changes is dropped.
async fn watch(slurm: Slurm, mut pool: Pool, counts: Arc<Counts>, changes: mpsc::Sender<Change>) {
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is now, and the queue was just looked at.
    polls.tick().await;
    let mut problem = String::new();
    loop {
        tokio::select! {
            _ = polls.tick() => {}
            () = changes.closed() => return,
        }
        let mut told = match slurm.queue().await {
            Ok(jobs) => {
                let told = pool.update(jobs);
                counts.expects.store(pool.expects(), Ordering::Relaxed);
                told
            }
            Err(error) if error.to_string() != problem => {
                problem = error.to_string();
                vec![Change::Note(format!("Slurm's queue is unknown for now: {problem}"))]
            }
            Err(_) => Vec::new(),
        };
        let surplus = pool.surplus(counts.needed.load(Ordering::Relaxed));
        if !surplus.is_empty() && slurm.cancel(&surplus).await.is_ok() {
            told.push(Change::Note(format!(
                "Slurm: queued jobs canceled, because few trials are left: {}",
                surplus.len()
            )));
        }
        for change in told {
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}
