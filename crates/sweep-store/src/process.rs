//! A process of this machine, as `/proc` shows it.

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
    /// Start time, in clock ticks since the machine started. With the id, this distinguishes a process from a later
    /// one.
    pub start: u64,
    /// Whether it is a zombie: it has ended, and its parent has not read its exit code.
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

/// Returns the boot ID. Process ids and start times are unique for one boot ID. Empty if the kernel does not report it.
pub fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
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
        let this = see(std::process::id()).expect("it is running");
        assert!(this.start > 0 && !this.is_over && own().start == this.start);
    }
}
