//! What squeue says about the jobs of a sweep. Pure.

/// The format to ask for: array, task, state, reason, node. For a job that is not an array, some of these fields are
/// not numbers.
pub const FORMAT: &str = "%F|%K|%T|%r|%N";

/// One task of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub array: u64,
    pub task: u32,
    pub state: State,
    /// Why it waits or has ended, in Slurm's words.
    pub reason: String,
    /// The node's name, if it has one.
    pub node: String,
}

/// The state of a job, reduced to what matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Pending,
    Running,
    /// It ends, and some of its processes may be left.
    Ending,
    /// It has ended, and Slurm has killed its processes. The word is Slurm's: `TIMEOUT`.
    Ended(String),
    /// Its node is lost, and its processes may be running there.
    Lost(String),
}

impl State {
    fn of(word: &str) -> State {
        match word {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
                State::Pending
            }
            "RUNNING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "RESIZING" | "SIGNALING" => State::Running,
            "COMPLETING" | "STAGE_OUT" => State::Ending,
            "NODE_FAIL" | "BOOT_FAIL" | "REVOKED" => State::Lost(word.to_owned()),
            word => State::Ended(word.to_owned()),
        }
    }

    /// Whether the job counts for the nodes that the user asked for.
    pub fn is_alive(&self) -> bool {
        matches!(self, State::Pending | State::Running)
    }
}

/// Reads what squeue prints with [`FORMAT`]. Lines about jobs that are no tasks of an array are skipped.
pub fn read(printed: &str) -> Vec<Job> {
    let job = |line: &str| {
        let fields: [&str; 5] = line.split('|').collect::<Vec<_>>().try_into().ok()?;
        let [array, task, state, reason, node] = fields.map(str::trim);
        let (reason, node) = (reason.to_owned(), node.to_owned());
        Some(Job { array: array.parse().ok()?, task: task.parse().ok()?, state: State::of(state), reason, node })
    };
    printed.lines().filter_map(job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Slurm 22.05: task 2's node was lost, task 3 was preempted, and both were requeued.
    const PRINTED: &str = "\
7|5|PENDING|Resources|
7|2|PENDING|BeginTime|
7|1|RUNNING|None|node1
7|4|COMPLETING|None|node4
1|5|TIMEOUT|TimeLimit|node3
1|6|NODE_FAIL|None|node1
9|N/A|RUNNING|None|node2
";

    #[test]
    fn tasks_are_read_and_what_is_no_task_is_skipped() {
        let jobs = read(PRINTED);
        let states: Vec<_> = jobs.iter().map(|job| (job.array, job.task, job.state.clone())).collect();
        let expected = [
            (7, 5, State::Pending),
            (7, 2, State::Pending),
            (7, 1, State::Running),
            (7, 4, State::Ending),
            (1, 5, State::Ended("TIMEOUT".into())),
            (1, 6, State::Lost("NODE_FAIL".into())),
        ];
        assert_eq!(states, expected);
        assert_eq!((jobs[0].reason.as_str(), jobs[2].node.as_str()), ("Resources", "node1"));
        assert!(read("slurm_load_jobs error: Unable to contact slurm controller").is_empty());
    }
}
