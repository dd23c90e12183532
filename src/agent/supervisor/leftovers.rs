//! Processes that a killed controller has left. A sweep does not resume beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::MARK;
use crate::agent::processes::{Seen, all, boot, kill, see, variable};
use sweep_core::group::Group;
use sweep_core::trial::TrialId;

/// Time for supervisors to end their programs, which they do within two seconds of the controller's death.
const PATIENCE: Duration = Duration::from_secs(3);

/// Time for killed processes to disappear.
const LONGEST_END: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(10);

/// Waits for programs of the sweep in `root` that end because their controller was killed. Returns what to tell the user.
pub fn wait_for_leftovers(root: &Path) -> Option<String> {
    let root = absolute(root);
    let found = find(&root, &[]);
    wait(PATIENCE, || find(&root, &[]).is_empty());
    (!found.is_empty()).then(|| format!("waited for {}, which a killed controller had left", words(&found)))
}

/// Ends all programs of the sweep in `root` that are still there. `recorded` are the processes in the journal whose end is
/// not. Returns what to tell the user. Call this with the sweep's lock held: its controller is dead, then.
///
/// # Errors
/// Returns which processes cannot be ended.
pub fn end_leftovers(root: &Path, recorded: &[(TrialId, Group)]) -> Result<Option<String>, String> {
    let root = absolute(root);
    let find = || find(&root, recorded);
    if wait(PATIENCE, || find().is_empty()) {
        return Ok(None);
    }
    let found = find();
    let is_gone = wait(LONGEST_END, || {
        let left = find();
        left.values().flatten().for_each(|pid| kill(*pid));
        left.is_empty()
    });
    if is_gone {
        Ok(Some(format!("ended {}, which a killed controller had left", words(&found))))
    } else {
        Err(format!("{} was left by a killed controller and does not end", words(&find())))
    }
}

fn absolute(root: &Path) -> PathBuf {
    root.canonicalize().unwrap_or_else(|_| root.to_owned())
}

/// Kills all that was started for the trial in a folder, whose supervisor was killed.
pub fn kill_marked(trial: &Path) {
    let mark = trial.canonicalize().unwrap_or_else(|_| trial.to_owned()).display().to_string();
    let of_trial = || all().filter(|process| !process.is_over && variable(process.pid, MARK).as_ref() == Some(&mark));
    wait(LONGEST_END, || {
        let left: Vec<u32> = of_trial().map(|process| process.pid).collect();
        left.iter().for_each(|pid| kill(*pid));
        left.is_empty()
    });
}

/// What is left, by the trial: a recorded process, a member of a recorded program's group, or whatever was started with
/// the mark of a trial's folder.
fn find(root: &Path, recorded: &[(TrialId, Group)]) -> BTreeMap<String, Vec<u32>> {
    let (boot, trials) = (boot(), format!("{}/trials/", root.display()));
    // Never this process, or what it was started by, such as a shell that a program has started.
    let parent = |process: &Seen| see(process.parent);
    let own: Vec<u32> = std::iter::successors(see(std::process::id()), parent).map(|process| process.pid).collect();
    let of = |process: &Seen| -> Option<String> {
        let is_recorded = |group: &Group| {
            let is = |one: sweep_core::group::Process| (one.pid, one.start) == (process.pid, process.start);
            let leads = || see(group.program.pid).is_some_and(|leader| leader.start == group.program.start);
            group.boot == boot
                && (is(group.supervisor) || is(group.program) || (process.group == group.program.pid && leads()))
        };
        match recorded.iter().find(|(_, group)| is_recorded(group)) {
            Some((trial, _)) => Some(trial.to_string()),
            None => Some(variable(process.pid, MARK)?.strip_prefix(&trials)?.to_owned()),
        }
    };
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for process in all().filter(|process| !process.is_over && !own.contains(&process.pid)) {
        if let Some(trial) = of(&process) {
            found.entry(trial).or_default().push(process.pid);
        }
    }
    found
}

fn wait(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if began.elapsed() > limit {
            return false;
        }
        std::thread::park_timeout(POLL);
    }
}

/// `the program of trial 0001 (process 17)`, for each trial.
fn words(found: &BTreeMap<String, Vec<u32>>) -> String {
    let of_trial = |(trial, pids): (&String, &Vec<u32>)| {
        let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
        format!("the program of trial {trial} (process {})", pids.join(", "))
    };
    found.iter().map(of_trial).collect::<Vec<_>>().join(" and ")
}
