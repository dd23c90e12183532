//! How long the rest of a sweep will take.

use std::time::Duration;

use crate::history::{History, Status};

/// What is known of a sweep's work beforehand.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Trials in all; `None`: no end.
    pub total: Option<u64>,
    /// Trials that run at a time.
    pub slots: usize,
    /// Epochs of a trial that is not stopped early, on average.
    pub epochs: f64,
}

/// An estimate from the epochs seen so far: their mean duration, and the share of its epochs that an ended trial took.
/// `None` before the first epoch, or where there is no end.
pub fn time_left(history: &History, work: Work) -> Option<Duration> {
    let total = work.total?;
    let (mut seen, mut seconds) = (0_u64, 0.0);
    let (mut ended, mut ended_epochs, mut begun) = (0_u64, 0_u64, 0_u64);
    for trial in &history.trials {
        for epoch in &trial.curve {
            seen += 1;
            seconds += epoch.seconds.unwrap_or(0.0);
        }
        match trial.status {
            Status::Ended(_) => {
                ended += 1;
                ended_epochs += trial.curve.len() as u64;
            }
            _ => begun += trial.curve.len() as u64,
        }
    }
    if seen == 0 {
        return None;
    }
    let a_trial = if ended > 0 { ended_epochs as f64 / ended as f64 } else { work.epochs };
    let left = ((total.saturating_sub(ended)) as f64 * a_trial - begun as f64).max(0.0);
    let lanes = (work.slots as u64).clamp(1, total.saturating_sub(ended).max(1));
    Duration::try_from_secs_f64(left * seconds / seen as f64 / lanes as f64).ok()
}
