//! All processes that descend from the supervisor. The kernel makes it the parent of those whose parent has ended.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, set_child_subreaper, waitid, waitpid,
};

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

/// Whether there are children, and whether one of them has ended.
#[derive(Debug, PartialEq)]
enum Children {
    None,
    AllRun,
    SomeEnded,
}

/// Looks at the children of this process, or at one of them, and leaves them as they are. It is one system call, where
/// [`children`] reads a file of every process of the machine.
fn look(at: WaitId<'_>) -> Children {
    match waitid(at, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT) {
        Err(Errno::CHILD) => Children::None,
        Ok(None) => Children::AllRun,
        // If the kernel cannot tell, /proc can.
        Ok(Some(_)) | Err(_) => Children::SomeEnded,
    }
}

/// Frees the ids of orphans that have ended. `program` is left to whoever waits for it. Once it has ended, nothing is
/// freed here, because [`kill_all`] follows.
pub fn bury(program: u32) {
    let has_ended = || Pid::from_raw(program as i32).map(|pid| look(WaitId::Pid(pid))) == Some(Children::SomeEnded);
    if look(WaitId::All) == Children::SomeEnded && !has_ended() {
        free(program);
    }
}

fn free(program: u32) {
    for child in children(std::process::id()).iter().filter(|child| child.is_over && child.pid != program) {
        let _ = waitpid(Pid::from_raw(child.pid as i32), WaitOptions::NOHANG);
    }
}

/// Kills the program's group and everything else below this process. Children of a killed process become children of
/// this one, and are killed next.
pub fn kill_all(program: u32) {
    signal(program, Signal::KILL);
    let began = Instant::now();
    while look(WaitId::All) != Children::None {
        free(program);
        let alive: Vec<u32> =
            children(std::process::id()).iter().filter(|child| !child.is_over).map(|child| child.pid).collect();
        if alive.is_empty() || began.elapsed() > LONGEST_END {
            return;
        }
        alive.into_iter().for_each(kill);
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn orphans_are_freed_and_the_program_keeps_its_status() {
        let start = |script: &str| Command::new("sh").args(["-c", script]).spawn().expect("there is a shell");
        let mut program = start("exec sleep 60");
        let orphan = Pid::from_raw(start("exit 3").id() as i32);
        let ended = |pid| look(WaitId::Pid(pid)) == Children::SomeEnded;
        while !ended(orphan.unwrap()) {
            std::thread::yield_now();
        }
        bury(program.id());
        assert_eq!(look(WaitId::Pid(orphan.unwrap())), Children::None, "it was freed");
        program.kill().unwrap();
        while !ended(Pid::from_raw(program.id() as i32).unwrap()) {
            std::thread::yield_now();
        }
        bury(program.id());
        assert!(!program.wait().unwrap().success(), "its status was not taken");
    }
}
