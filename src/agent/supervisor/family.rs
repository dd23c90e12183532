//! All processes that descend from the supervisor. The kernel makes it the parent of those whose parent has ended.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, set_child_subreaper, waitpid};

use crate::agent::processes::{children, kill};

/// Time for killed processes to disappear. The kernel ends a process in an uninterruptible call only after that.
const LONGEST_END: Duration = Duration::from_secs(1);

/// Makes this process the parent of all orphans below it.
pub fn adopt() {
    // On a kernel that cannot, orphans go to `init`, and only the program's group is ended.
    let _ = set_child_subreaper(Pid::from_raw(std::process::id() as i32));
}

/// Sends a signal to the group that the program leads.
pub fn signal(program: u32, signal: Signal) {
    if let Some(group) = Pid::from_raw(program as i32) {
        let _ = kill_process_group(group, signal);
    }
}

/// Frees the ids of orphans that have ended. `program` is left to whoever waits for it.
pub fn bury(program: u32) {
    for child in children(std::process::id()).iter().filter(|child| child.is_over && child.pid != program) {
        let _ = waitpid(Pid::from_raw(child.pid as i32), WaitOptions::NOHANG);
    }
}

/// Kills the program's group and everything else below this process. Children of a killed process become children of
/// this one, and are killed next.
pub fn kill_all(program: u32) {
    signal(program, Signal::KILL);
    let began = Instant::now();
    loop {
        bury(program);
        let alive: Vec<u32> =
            children(std::process::id()).iter().filter(|child| !child.is_over).map(|child| child.pid).collect();
        if alive.is_empty() || began.elapsed() > LONGEST_END {
            return;
        }
        alive.into_iter().for_each(kill);
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
