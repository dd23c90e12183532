//! Processes of this machine, as `/proc` shows them.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

pub use sweep_store::process::{Seen, boot, own, see};

/// All processes.
pub fn all() -> impl Iterator<Item = Seen> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| see(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

/// The processes whose parent is this one, also those that have ended.
pub fn children(parent: u32) -> Vec<Seen> {
    all().filter(|process| process.parent == parent).collect()
}

/// Whether a process has this file open that does not have this variable in its environment, as far as this user may see.
pub fn have_open(path: &Path, unless: &str) -> bool {
    let has = |process: &Seen| {
        let files = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|file| std::fs::read_link(file).is_ok_and(|to| to == path))
    };
    all().any(|process| has(&process) && variable(process.pid, unless).is_none())
}

/// The names of the variables in the environment with which a process was started, if this user may read it.
pub fn variables(pid: u32) -> Vec<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variables = environment.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
    let name = |variable: &[u8]| variable.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
    variables.map(|variable| String::from_utf8_lossy(&name(variable)).into_owned()).collect()
}

/// The value of a variable in the environment with which a process was started, if this user may read it.
pub fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |variable: &[u8]| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
    let value = environment.split(|byte| *byte == 0).find_map(value)?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

/// Sends SIGKILL. The process may have ended meanwhile.
pub fn kill(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_all() {
        let this = see(std::process::id()).expect("it is running");
        assert!(all().any(|seen| seen == this));
    }
}
