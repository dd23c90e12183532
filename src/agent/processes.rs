//! Processes of this machine, as `/proc` shows them.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use sweep_core::group::Process;

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub pid: u32,
    /// The id of its parent.
    pub parent: u32,
    /// The id of its process group.
    pub group: u32,
    /// When it started, in clock ticks since the machine did. With the id, this tells a process from a later one.
    pub start: u64,
    /// Whether it has ended, and only its parent has not asked for its exit code.
    pub is_over: bool,
}

/// The process with this id, if there is one.
pub fn see(pid: u32) -> Option<Seen> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// This process.
pub fn own() -> Process {
    let pid = std::process::id();
    Process { pid, start: see(pid).map_or(0, |seen| seen.start) }
}

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

/// Names the time since the machine started, in which ids and start times are unique. Empty if the kernel does not tell.
pub fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Sends SIGKILL. The process may have ended meanwhile.
pub fn kill(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn parse(pid: u32, stat: &str) -> Option<Seen> {
    // The name may contain any characters. What is wanted follows it.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let is_over = matches!(fields.next()?, "Z" | "X");
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Seen { pid, parent, group, start: fields.nth(16)?.parse().ok()?, is_over })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat = "7 (a) b) S 3 5 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 5000000 90 18446744073709551615";
        assert_eq!(parse(7, stat), Some(Seen { pid: 7, parent: 3, group: 5, start: 1234, is_over: false }));
        assert!(parse(7, &stat.replace(" S ", " Z ")).is_some_and(|seen| seen.is_over));
        assert_eq!(parse(7, "7 (a"), None);
        let own = see(std::process::id()).expect("it is running");
        assert!(own.start > 0 && !own.is_over && all().any(|seen| seen == own));
    }
}
