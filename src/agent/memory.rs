//! Detects whether the kernel has killed processes for lack of memory.

/// What is added to how a process was killed if the count of [`kills`] grew meanwhile.
pub const WORDS: &str = " while the kernel was killing processes because memory ran out";

/// Number of out-of-memory kills since the machine started, or 0 if the kernel does not report it.
pub fn kills() -> u64 {
    std::fs::read_to_string("/proc/vmstat").ok().and_then(|text| count(&text)).unwrap_or(0)
}

fn count(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn the_kernel_counts_what_it_ended() {
        assert_eq!(count("nr_free_pages 17\noom_kill_disable 4\noom_kill 3\nnuma_hit 1\n"), Some(3));
        assert_eq!(count("nr_free_pages 17\n"), None);
    }
}
