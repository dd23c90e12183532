//! Timeouts for a trainer without output, after which it is considered hung.

use std::time::Duration;

use sweep_core::trial::EpochMetrics;

/// Timeout before a trial's first epoch. The trainer loads libtorch, a CUDA context, and the data set first, without a
/// heartbeat.
const BEFORE_THE_FIRST_EPOCH: Duration = Duration::from_secs(600);

/// Minimum timeout once epochs were reported, because a checkpoint may be written to a slow disk.
const LEAST: Duration = Duration::from_secs(60);

/// Timeout in epochs. A trainer sends a heartbeat several times per second, so that a pause of this length cannot be a
/// coincidence.
const EPOCHS: f64 = 10.0;

/// Gap between ticks after which the controller itself is assumed to have been suspended or swapped out. Ticks normally
/// come many times per second. After such a gap, messages from trainers may still be unread.
pub const AWAY: Duration = Duration::from_secs(5);

/// Returns the timeout, from the epochs that the trial has reported.
pub fn limit(curve: &[EpochMetrics]) -> Duration {
    let longest = curve.iter().filter_map(|epoch| epoch.seconds).fold(0.0, f64::max);
    let epochs = Duration::try_from_secs_f64(EPOCHS * longest).unwrap_or(Duration::MAX);
    epochs.max(if curve.is_empty() { BEFORE_THE_FIRST_EPOCH } else { LEAST })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_from_the_longest_epoch() {
        let epoch = |epoch, seconds| EpochMetrics { epoch, seconds: Some(seconds), ..EpochMetrics::default() };
        assert_eq!(limit(&[]), BEFORE_THE_FIRST_EPOCH);
        assert_eq!(limit(&[epoch(1, 0.5)]), LEAST);
        assert_eq!(limit(&[epoch(1, 90.0), epoch(2, 30.0)]), Duration::from_secs(900));
        assert_eq!(limit(&[EpochMetrics::default()]), LEAST, "a trainer need not tell how long it took");
        assert_eq!(limit(&[epoch(1, f64::MAX)]), Duration::MAX);
    }
}
