//! The one call of sbatch. Pure.

use std::path::{Path, PathBuf};

use sweep_core::describe::runs;

/// Time for which an agent without work keeps its node.
const IDLE: &str = "5m";

/// Time before a job's end at which Slurm sends SIGUSR1, in seconds. Slurm may be a minute early, and the agent knows the end
/// by itself.
const NOTICE: u32 = 30;

/// The jobs of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Identifies the sweep among all sweeps of the user.
    pub sweep: String,
    /// The sweep's folder, which all nodes can read.
    pub folder: PathBuf,
    /// The file by which agents find the controller.
    pub address: PathBuf,
    /// Path of `sweep` on the nodes.
    pub program: PathBuf,
    /// Lines for the node's shell before the agent, such as `module load cuda`.
    pub setup: Vec<String>,
    pub options: Vec<String>,
}

impl Submission {
    /// The name of all jobs, by which a later controller finds them.
    pub fn name(&self) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let sweep: String = self.sweep.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        format!("sweep-{sweep}")
    }

    /// The folder of the jobs' output.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("slurm")
    }

    /// The arguments of sbatch for some of the array's tasks. The script follows on stdin.
    pub fn arguments(&self, tasks: &[u32]) -> Vec<String> {
        let own = [
            "--parsable".to_owned(),
            format!("--job-name={}", self.name()),
            format!("--array={}", ranges(tasks)),
            "--nodes=1".into(),
            "--ntasks=1".into(),
            "--requeue".into(),
            // To the agent alone, which is the job's first process: it tells its trainers what to do.
            format!("--signal=B:USR1@{NOTICE}"),
            "--open-mode=append".into(),
            format!("--output={}", self.logs().join("%A_%a.log").display()),
        ];
        // sbatch takes the last of two equal options, so the user's win.
        own.into_iter().chain(self.options.iter().cloned()).collect()
    }

    /// The script of each job.
    pub fn script(&self) -> String {
        // A login shell defines `module` and the like.
        let shell = if self.setup.is_empty() { "#!/bin/sh" } else { "#!/bin/bash -l" };
        let mut lines = vec![shell.to_owned(), "# One agent of a sweep. `sweep` wrote this.".into()];
        lines.extend(self.setup.iter().map(|line| format!("{line} || exit 1")));
        let (program, address) = (path(&self.program), path(&self.address));
        let agent =
            format!("agent --dial {address} --name \"$SLURMD_NODENAME.$SLURM_ARRAY_TASK_ID\" --idle {IDLE} --requeue");
        lines.push(format!("exec {program} {agent}"));
        lines.push(String::new());
        lines.join("\n")
    }

    /// The whole call as a user would type it, for `plan`.
    pub fn shown(&self, nodes: u32) -> String {
        let tasks: Vec<u32> = (1..=nodes).collect();
        let words: Vec<String> = self.arguments(&tasks).iter().map(|word| quoted(word)).collect();
        format!("sbatch {} <<'END'\n{}END", words.join(" "), self.script())
    }
}

/// Returns whether Slurm's programs get this environment variable. Inside a job, the other variables would pass the
/// settings of this job to the new jobs.
pub fn is_kept(variable: &str) -> bool {
    variable == "SLURM_CONF"
        || !["SLURM_", "SLURMD_", "SBATCH_", "SRUN_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// Returns the id of the array from what `sbatch --parsable` prints: the id, and the cluster if there are several.
pub fn array_id(printed: &str) -> Option<u64> {
    printed.lines().rev().find_map(|line| line.split(';').next()?.trim().parse().ok())
}

/// Returns whether sbatch refused because there were too many jobs, so that fewer may be accepted.
pub fn is_too_many(said: &str) -> bool {
    // Slurm has no exit codes for this, and these words have been stable for many versions.
    let words = ["MaxSubmitJob", "MaxSubmit", "job submit limit", "Invalid job array specification", "MaxArraySize"];
    words.iter().any(|word| said.contains(word))
}

/// The next number of tasks to try after a refusal, or `None` if one was refused.
pub fn fewer(refused: usize) -> Option<usize> {
    Some(refused / 2).filter(|number| *number > 0)
}

/// Writes numbers as Slurm does: `1-4,7`.
fn ranges(tasks: &[u32]) -> String {
    let ranges = runs(tasks.iter().map(|task| u64::from(*task)));
    let text = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    text.collect::<Vec<_>>().join(",")
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission() -> Submission {
        Submission {
            sweep: "my sweep-0123".into(),
            folder: "/home/me/results/my sweep".into(),
            address: "/home/me/results/my sweep/.address".into(),
            program: "/opt/sweep/bin/sweep".into(),
            setup: vec!["module load cuda".into()],
            options: vec!["--partition".into(), "gpu".into(), "--comment=a b".into()],
        }
    }

    #[test]
    fn what_is_submitted_is_shown_word_for_word() {
        let shown = "\
sbatch --parsable '--job-name=sweep-my_sweep-0123' '--array=1-4' '--nodes=1' '--ntasks=1' --requeue '--signal=B:USR1@30' \
'--open-mode=append' '--output=/home/me/results/my sweep/slurm/%A_%a.log' --partition gpu '--comment=a b' <<'END'
#!/bin/bash -l
# One agent of a sweep. `sweep` wrote this.
module load cuda || exit 1
exec /opt/sweep/bin/sweep agent --dial '/home/me/results/my sweep/.address' \
--name \"$SLURMD_NODENAME.$SLURM_ARRAY_TASK_ID\" --idle 5m --requeue
END";
        assert_eq!(submission().shown(4), shown);
    }

    #[test]
    fn a_job_of_its_own_is_not_inherited() {
        let stripped = ["SLURM_JOB_ID", "SLURMD_NODENAME", "SBATCH_PARTITION", "SLURM_ARRAY_TASK_ID", "SRUN_DEBUG"];
        assert!(stripped.iter().all(|name| !is_kept(name)));
        assert!(["SLURM_CONF", "PATH", "CUDA_HOME"].iter().all(|name| is_kept(name)));
    }

    /// As sbatch of Slurm 22.05 and 23.11 says it.
    #[test]
    fn a_refusal_for_the_number_of_jobs_is_told_from_others() {
        for said in [
            "sbatch: error: Batch job submission failed: Invalid job array specification",
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates \
             accounting/QOS policy (job submit limit, user's size and/or time limits)",
            "sbatch: error: AssocMaxSubmitJobLimit",
        ] {
            assert!(is_too_many(said), "{said}");
        }
        assert!(!is_too_many("sbatch: error: invalid partition specified: nope"));
        let tried = std::iter::successors(Some(16), |number| fewer(*number)).collect::<Vec<_>>();
        assert_eq!(tried, [16, 8, 4, 2, 1]);
    }

    #[test]
    fn numbers_are_written_and_read_as_slurm_does() {
        assert_eq!(ranges(&[1, 2, 3, 4, 7, 9, 10]), "1-4,7,9-10");
        assert_eq!(array_id("4711\n"), Some(4711));
        assert_eq!(array_id("sbatch: note\n4711;cluster2\n"), Some(4711));
        assert_eq!(array_id("Submitted"), None);
    }
}
