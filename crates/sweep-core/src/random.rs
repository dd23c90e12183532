//! The source of every random draw: counter-based streams keyed by the purpose of the draw.
//!
//! A stream is a pure function of its key. The numbers therefore do not depend on the order in which trials ran. No
//! generator state has to be saved to continue after an interruption.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a draw decides. Two purposes never share a stream.
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
