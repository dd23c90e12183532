//! The end of the job of Slurm that this process is in.

use std::process::{Command, Stdio};
use std::time::Duration;

/// Time before the end of a job at which trials are asked to save.
const TO_SAVE: Duration = Duration::from_secs(60);

/// The part of a short job that is used for this at most.
const PART_TO_SAVE: u32 = 4;

/// The time for trials until the job ends. `None` if this process is not in a job, or if the job has no time limit.
pub fn time_for_trials(variable: impl Fn(&str) -> Option<String>, now: f64) -> Option<Duration> {
    let job = variable("SLURM_JOB_ID")?;
    // Slurm before 23.02 does not tell a job its end.
    let end = variable("SLURM_JOB_END_TIME").or_else(|| asked(&job))?;
    let left = Duration::try_from_secs_f64(end.trim().parse::<f64>().ok()? - now).unwrap_or_default();
    Some(left - TO_SAVE.min(left / PART_TO_SAVE))
}

fn asked(job: &str) -> Option<String> {
    let mut squeue = Command::new("squeue");
    squeue.args(["--noheader", "--format=%e", "--jobs", job]).env("SLURM_TIME_FORMAT", "%s").stdin(Stdio::null());
    String::from_utf8(squeue.output().ok()?.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_save_a_minute_before_the_end() {
        let job = |end: &'static str| {
            move |name: &str| Some(if name == "SLURM_JOB_ID" { "1".to_owned() } else { end.to_owned() })
        };
        assert_eq!(time_for_trials(job("1600"), 1000.0), Some(Duration::from_secs(540)));
        assert_eq!(time_for_trials(job("1100"), 1000.0), Some(Duration::from_secs(75)), "most of a short job is used");
        assert_eq!(time_for_trials(job("900"), 1000.0), Some(Duration::ZERO));
        assert_eq!(time_for_trials(job("Unknown"), 1000.0), None);
        assert_eq!(time_for_trials(|_| None, 1000.0), None, "this is no job");
    }
}
