//! How long a trainer may say nothing before it is taken for hung.

use std::time::Duration;

use sweep_core::trial::EpochMetrics;

/// Loading libtorch, a CUDA context and the data set come before a trial's first epoch, without a sign of life.
const BEFORE_THE_FIRST_EPOCH: Duration = Duration::from_secs(600);

/// The least, once epochs were seen: a checkpoint may be written to a slow disk.
const LEAST: Duration = Duration::from_secs(60);

/// Silence of so many epochs is no coincidence: a trainer gives signs of life several times a second.
const EPOCHS: f64 = 10.0;

/// Ticks come many times a second. If none came for so long, the controller itself was stopped or swapped out, and what
/// trainers said meanwhile may not have been read yet.
pub const AWAY: Duration = Duration::from_secs(5);

/// The longest silence that is believed, by the epochs that the trial has shown.
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
