//! Waits between attempts to connect.

use std::time::Duration;

/// The shortest and the longest wait.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// A wait that doubles with each failure. Half of it is random, so that a thousand agents do not dial at the same moment.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Starts again with the shortest wait.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns how long to wait after one more failure.
    pub fn wait(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        let random = crate::random::bytes().map_or(u32::MAX, u32::from_be_bytes);
        whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ() {
        let waits = |_| {
            std::iter::repeat_with({
                let mut backoff = Backoff::default();
                move || backoff.wait()
            })
            .take(40)
        };
        let all: Vec<Vec<Duration>> = (0..3).map(|run| waits(run).collect()).collect();
        for run in &all {
            assert!(run[0] <= FIRST && run[39] <= LONGEST && run[39] >= LONGEST / 2, "{run:?}");
        }
        assert!(all[0] != all[1] || all[1] != all[2]);
    }
}
