//! What became of a sweep's jobs between two queries of the queue. Pure.

use std::collections::BTreeMap;

use super::queue::{Job, State};

/// The jobs as they were last seen.
#[derive(Debug, Default)]
pub struct Pool {
    jobs: BTreeMap<(u64, u32), Job>,
    waiting: Option<String>,
}

/// Slurm's word for a job whose agent left by itself.
pub const BY_ITSELF: &str = "COMPLETED";

/// A change in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The agent of that name has ended with all its trainers. The word is Slurm's for the reason: `TIMEOUT`, or
    /// [`BY_ITSELF`].
    Ended { agent: String, word: String },
    /// Something to tell the user.
    Note(String),
}

impl Pool {
    /// Updates the jobs from the queue. Jobs that Slurm no longer lists have ended.
    pub fn update(&mut self, jobs: Vec<Job>) -> Vec<Change> {
        let mut changes = Vec::new();
        let now: BTreeMap<(u64, u32), Job> = jobs.into_iter().map(|job| ((job.array, job.task), job)).collect();
        for (id, job) in &now {
            let before = self.jobs.get(id);
            if before.is_some_and(|before| before.state == job.state) {
                continue;
            }
            // The node where it ran. A pending job has none.
            let node = if job.node.is_empty() { before.map_or("", |before| &before.node) } else { &job.node };
            let agent = format!("{node}.{}", job.task);
            match &job.state {
                // A job of an earlier controller, which ended before this one began.
                State::Ended(_) | State::Lost(_) if before.is_none() => {}
                State::Ended(word) if !node.is_empty() => {
                    changes.push(Change::Ended { agent, word: word.clone() });
                }
                State::Ended(word) => {
                    changes.push(Change::Note(format!("Slurm: job {}_{} ended without a node: {word}", id.0, id.1)));
                }
                State::Lost(word) => changes.push(Change::Note(format!("{agent}: Slurm has lost its node: {word}"))),
                State::Pending if before.is_some_and(|before| before.state != State::Pending) => {
                    changes.push(Change::Note(format!("{agent}: Slurm queued its job again ({})", job.reason)));
                }
                State::Pending | State::Running | State::Ending => {}
            }
        }
        self.jobs = now;
        let waiting = self.waiting();
        if waiting.is_some() && waiting != self.waiting {
            changes.extend(waiting.clone().map(Change::Note));
        }
        self.waiting = waiting;
        changes
    }

    /// How many jobs wait, and why.
    fn waiting(&self) -> Option<String> {
        let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.state == State::Pending) {
            *reasons.entry(&job.reason).or_default() += 1;
        }
        let each: Vec<String> = reasons.iter().map(|(reason, number)| format!("{number} ({reason})")).collect();
        (!each.is_empty()).then(|| format!("Slurm: queued jobs: {}", each.join(", ")))
    }

    /// Number of jobs that wait or run.
    pub fn alive(&self) -> u32 {
        self.jobs.values().filter(|job| job.state.is_alive()).count() as u32
    }

    /// Whether an agent may still join. A job that is ending may be about to be queued again.
    pub fn expects(&self) -> bool {
        self.jobs.values().any(|job| job.state.is_alive() || job.state == State::Ending)
    }

    /// The tasks to submit to reach this number of jobs. No job that may be alive has used their numbers.
    pub fn missing(&self, nodes: u32) -> Vec<u32> {
        let first = self.jobs.values().filter(|job| job.state.is_alive()).map(|job| job.task).max().unwrap_or(0) + 1;
        (first..first + nodes.saturating_sub(self.alive())).collect()
    }

    /// The waiting jobs that are not needed if this number of nodes is enough, the last ones first.
    pub fn surplus(&self, needed: u32) -> Vec<(u64, u32)> {
        let waiting = self.jobs.iter().rev().filter(|(_, job)| job.state == State::Pending);
        waiting.map(|(id, _)| *id).take(self.alive().saturating_sub(needed) as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::read;
    use super::*;

    fn update(pool: &mut Pool, printed: &str) -> Vec<Change> {
        pool.update(read(printed))
    }

    fn ended(agent: &str, word: &str) -> Change {
        Change::Ended { agent: agent.into(), word: word.into() }
    }

    fn note(text: &str) -> Change {
        Change::Note(text.into())
    }

    #[test]
    fn the_reason_why_each_job_ended_is_told_once() {
        let mut pool = Pool::default();
        let first = "7|1|RUNNING|None|node1\n7|2|RUNNING|None|node2\n7|3|RUNNING|None|node3\n7|4|RUNNING|None|node4\n\
                     6|1|TIMEOUT|TimeLimit|node9\n";
        assert!(update(&mut pool, first).is_empty(), "jobs of an earlier controller are no news");
        let second = "7|1|TIMEOUT|TimeLimit|node1\n7|2|NODE_FAIL|None|node2\n7|3|PENDING|BeginTime|\n\
                      7|4|COMPLETING|None|node4\n";
        let changes = update(&mut pool, second);
        let expected = [
            ended("node1.1", "TIMEOUT"),
            note("node2.2: Slurm has lost its node: NODE_FAIL"),
            note("node3.3: Slurm queued its job again (BeginTime)"),
            note("Slurm: queued jobs: 1 (BeginTime)"),
        ];
        assert_eq!(changes, expected, "processes of a job that is ending may be left");
        assert!(update(&mut pool, second).is_empty());
        assert!(pool.expects());
        update(&mut pool, "7|4|COMPLETING|None|node4\n");
        assert!(pool.expects() && pool.alive() == 0, "it may be queued again");
        update(&mut pool, second);
        assert_eq!(update(&mut pool, &second.replace("COMPLETING", "CANCELLED")), [ended("node4.4", "CANCELLED")]);
    }

    #[test]
    fn only_missing_jobs_are_submitted_and_only_waiting_ones_canceled() {
        let mut pool = Pool::default();
        assert_eq!(pool.missing(3), [1, 2, 3]);
        update(
            &mut pool,
            "7|1|RUNNING|None|node1\n7|2|PENDING|Resources|\n7|3|PENDING|Resources|\n7|4|TIMEOUT|x|node4\n",
        );
        assert_eq!(pool.missing(5), [4, 5]);
        assert!(pool.missing(2).is_empty());
        assert_eq!(pool.surplus(2), [(7, 3)]);
        assert_eq!(pool.surplus(0), [(7, 3), (7, 2)], "one that runs is left to its agent");
        assert!(pool.surplus(3).is_empty());
    }
}
