//! Where every random draw comes from: counter-based streams keyed by what the draw is for.
//!
//! A stream is a pure function of its key, so numbers do not depend on the order in which trials ran, and no
//! generator's state has to be saved to go on after an interruption.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a draw decides. Two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// A point of the search.
    Point = 1,
    /// Which pictures are held out, and which are left out by `train_examples`.
    Split = 2,
    /// The initial weights.
    Weights = 3,
    /// The order of the pictures in an epoch.
    Shuffle = 4,
    /// Dropout masks.
    Dropout = 5,
    /// Augmentation.
    Augment = 6,
    /// Whether a trial runs on that would be stopped.
    Audit = 7,
    /// How Sobol's sequence is scrambled.
    Sobol = 8,
}

/// The stream for one purpose. `trial` and `epoch` are 0 where the draw belongs to the whole sweep or trial.
/// For draws made step by step or layer by layer, `set_stream` of the result chooses one of 2^64 further streams.
///
/// The generator is ChaCha with 8 rounds (Bernstein 2008), whose 256-bit key is the four numbers as they are.
pub fn stream(seed: u64, trial: u64, epoch: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, trial, epoch, purpose as u64]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
