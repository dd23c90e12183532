//! Chance while training: the order of the pictures, dropout's masks, augmentation's numbers, each a pure function of
//! (seed, trial, epoch, step), so that a resumed epoch draws what the uninterrupted one would have drawn.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::Device;

use sweep_core::random::{Purpose, stream};
use sweep_kernels::Chance;

/// The order of an epoch's pictures.
pub fn shuffled(rows: &[u32], seed: u64, trial: u64, epoch: u32) -> Vec<u32> {
    let mut rows = rows.to_vec();
    rows.shuffle(&mut stream(seed, trial, epoch.into(), Purpose::Shuffle));
    rows
}

/// The draws of one training step.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    seed: u64,
    trial: u64,
    epoch: u32,
    step: u64,
}

impl Draws {
    /// `step` counts from 0 in its epoch. On a GPU this seeds libtorch's own generator for the step.
    pub fn new(seed: u64, trial: u64, epoch: u32, step: u64, device: Device) -> Draws {
        if device.is_cuda() {
            let mut random = stream(seed, trial, epoch.into(), Purpose::Dropout);
            random.set_stream(step);
            tch::manual_seed(random.next_u64() as i64);
        }
        Draws { seed, trial, epoch, step }
    }

    /// The step's stream of numbers for augmentation.
    pub fn augment(self) -> ChaCha8Rng {
        let mut random = stream(self.seed, self.trial, self.epoch.into(), Purpose::Augment);
        random.set_stream(self.step);
        random
    }

    /// The step's bits for the dropout of a layer, by its index in the network.
    pub fn chance(self, layer: usize) -> Chance {
        let mut random = stream(self.seed, self.trial, self.epoch.into(), Purpose::Dropout);
        random.set_stream(self.step << 16 | layer as u64);
        Chance::new([random.next_u32(), random.next_u32()])
    }
}
