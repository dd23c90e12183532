//! Synthetic learning curves with known problems.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use sweep_core::trial::EpochMetrics;

/// Types of curves. They have no noise of their own; a seed adds it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Good,
    Overfit,
    Underfit,
    OverRegularized,
    Improving,
    LowCeiling,
    Stuck,
    Exploded,
    Swinging,
}

/// Training loss, training accuracy, validation loss and validation accuracy at epoch `t` of `n`.
pub fn course(kind: Kind, t: f64, n: f64) -> [f64; 4] {
    let fall = |from: f64, to: f64, time: f64| to + (from - to) * (-(t - 1.0) / time).exp();
    match kind {
        Kind::Good => {
            [fall(1.8, 0.12, n / 8.0), fall(0.35, 0.965, n / 8.0), fall(1.6, 0.25, n / 8.0), fall(0.45, 0.925, n / 8.0)]
        }
        Kind::Overfit => {
            let up = 0.6 * ((t - 0.4 * n) / n).max(0.0);
            let val = fall(1.8, 0.75, n / 10.0);
            [fall(1.9, 0.05, n / 5.0), fall(0.3, 0.99, n / 5.0), val + up, fall(0.35, 0.75, n / 10.0)]
        }
        Kind::Underfit => {
            [fall(2.2, 1.5, n / 10.0), fall(0.2, 0.46, n / 10.0), fall(2.2, 1.52, n / 10.0), fall(0.2, 0.45, n / 10.0)]
        }
        Kind::OverRegularized => {
            [fall(2.2, 1.0, n / 10.0), fall(0.2, 0.64, n / 10.0), fall(2.2, 0.98, n / 10.0), fall(0.2, 0.645, n / 10.0)]
        }
        Kind::Improving => [fall(2.0, 0.3, n), fall(0.25, 0.92, n), fall(2.0, 0.35, n), fall(0.25, 0.9, n)],
        Kind::LowCeiling => [
            fall(2.2, 1.0, n / 3.0) - 0.2 * t / n,
            fall(0.2, 0.62, n / 4.0) + 0.05 * t / n,
            fall(2.2, 1.4, n / 10.0),
            fall(0.2, 0.55, n / 10.0),
        ],
        Kind::Stuck => [10_f64.ln(), 0.1, 10_f64.ln(), 0.1],
        Kind::Exploded if t < 0.7 * n => [fall(2.2, 0.5, n / 8.0), 0.8, fall(2.2, 0.6, n / 8.0), 0.78],
        Kind::Exploded => [2.4, 0.1, 2.4, 0.1],
        Kind::Swinging => {
            let swing = if (t as u64).is_multiple_of(2) { 1.0 } else { -1.0 };
            let good = course(Kind::Good, t, n);
            [good[0] * (1.0 + 0.4 * swing), good[1], good[2] * (1.0 + 0.5 * swing), good[3] - 0.08 * (1.0 + swing)]
        }
    }
}

/// A curve with this number of epochs. `noise` is the standard deviation of the validation loss, as a share of its
/// final value. The noise of the other metrics follows from it.
pub fn curve(kind: Kind, epochs: u32, noise: f64, seed: u64, evaluated: bool) -> Vec<EpochMetrics> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(0.0, 1.0).expect("one is a standard deviation");
    let end = course(kind, f64::from(epochs), f64::from(epochs));
    (1..=epochs)
        .map(|epoch| {
            let exact = course(kind, f64::from(epoch), f64::from(epochs));
            let mut draw = || normal.sample(&mut random);
            let train_loss = (exact[0] + draw() * noise * 0.3 * end[0]).max(1e-4);
            let train_accuracy = (exact[1] + draw() * noise * 0.1).clamp(0.0, 1.0);
            let mut metrics = EpochMetrics {
                epoch,
                val_loss: Some((exact[2] + draw() * noise * end[2]).max(1e-4)),
                val_accuracy: Some((exact[3] + draw() * noise * 0.3).clamp(0.0, 1.0)),
                ..EpochMetrics::default()
            };
            match evaluated {
                true => {
                    (metrics.train_eval_loss, metrics.train_eval_accuracy) = (Some(train_loss), Some(train_accuracy))
                }
                false => (metrics.train_loss, metrics.train_accuracy) = (Some(train_loss), Some(train_accuracy)),
            }
            metrics
        })
        .collect()
}
