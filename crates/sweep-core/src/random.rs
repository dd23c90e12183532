//! The source of every random draw: counter-based streams keyed by the purpose of the draw.
//!
//! A stream is a pure function of its key. The numbers therefore do not depend on the order in which trials ran. No
//! generator state has to be saved to continue after an interruption.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::trial::Settings;

/// What random numbers are used for. Two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// A configuration of the search.
    Point = 1,
    /// Which images are held out, and which ones `train_examples` leaves out.
    Split = 2,
    /// Initial weights.
    Weights = 3,
    /// Order of the images in an epoch.
    Shuffle = 4,
    /// Dropout masks.
    Dropout = 5,
    /// Augmentation.
    Augment = 6,
    /// Whether a trial that would be stopped continues.
    Audit = 7,
    /// Scrambling of the Sobol sequence.
    Sobol = 8,
    /// The seed that a trial's program gets.
    Seed = 9,
}

/// Returns the stream for one purpose. `trial` or `epoch` is 0 if the draw belongs to the whole sweep or trial. For
/// draws per step or per layer, `set_stream` of the result selects one of 2^64 further streams.
///
/// The generator is ChaCha with 8 rounds (Bernstein 2008). Its 256-bit key consists of the four numbers without change.
pub fn stream(seed: u64, trial: u64, epoch: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, trial, epoch, purpose as u64]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Computes a trial's own seed from the sweep's seed, the trial's parameters, and the number of the repeat, from 1. The
/// result is below 2^31, so every library accepts it as a seed.
pub fn trial_seed(sweep: u64, settings: &Settings, repeat: u32) -> u64 {
    // FNV-1a (Fowler, Noll, Vo) of the settings by name: the standard library's hash may change with its version.
    let sorted: std::collections::BTreeMap<_, _> = settings.iter().collect();
    let text = serde_json::to_string(&sorted).expect("its keys are text");
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    stream(sweep, hash, repeat.into(), Purpose::Seed).next_u64() >> 33
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: serde_json::Value) -> Settings {
        value.as_object().expect("settings are an object").clone()
    }

    #[test]
    fn a_trials_seed_depends_on_the_sweeps_seed_the_settings_and_the_repeat_alone() {
        let one = settings(json!({"lr": 0.1, "kind": "a"}));
        let seed = trial_seed(7, &one, 1);
        assert_eq!(seed, trial_seed(7, &settings(json!({"kind": "a", "lr": 0.1})), 1), "names have no order");
        let others = [
            trial_seed(8, &one, 1),
            trial_seed(7, &one, 2),
            trial_seed(7, &settings(json!({"lr": 0.2, "kind": "a"})), 1),
            trial_seed(7, &settings(json!({"lr": "0.1", "kind": "a"})), 1),
        ];
        assert!(others.iter().all(|other| *other != seed && *other < 1 << 31), "{seed} {others:?}");
        // Sweeps are resumed by later versions.
        assert_eq!(seed, 1_208_449_160);
    }
}
