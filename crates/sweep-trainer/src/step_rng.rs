//! Random numbers for training: the order of the images, dropout masks, and augmentation. Each is a pure function of
//! (seed, trial, epoch, step), so a resumed epoch draws the same numbers as an uninterrupted one.

use std::cell::OnceCell;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, TchError};

use super::device::takes_gpu_path;
use super::libtorch::Generator;
use sweep_core::random::{Purpose, stream};
use sweep_kernels::Chance;

/// Calls `work` with this thread's random number generator for a device.
///
/// # Errors
/// Returns libtorch's error, or that of `work`.
pub fn with_generator<T>(device: Device, work: impl FnOnce(&Generator) -> Result<T, TchError>) -> Result<T, TchError> {
    thread_local! {
        static GENERATORS: [OnceCell<Generator>; 2] = const { [const { OnceCell::new() }; 2] };
    }
    GENERATORS.with(|generators| {
        let place = &generators[usize::from(device.is_cuda())];
        if place.get().is_none() {
            let _ = place.set(Generator::new(device)?);
        }
        work(place.get().expect("it was made just now"))
    })
}

/// Returns the rows in the order in which an epoch uses them.
pub fn shuffled(rows: &[u32], seed: u64, trial: u64, epoch: u32) -> Vec<u32> {
    let mut rows = rows.to_vec();
    rows.shuffle(&mut stream(seed, trial, epoch.into(), Purpose::Shuffle));
    rows
}

/// The random numbers of one training step.
#[derive(Debug, Clone, Copy)]
pub struct StepRng {
    seed: u64,
    trial: u64,
    epoch: u32,
    step: u64,
}

impl StepRng {
    /// Creates the random numbers of a step, which counts from 0 in its epoch.
    pub fn new(seed: u64, trial: u64, epoch: u32, step: u64) -> StepRng {
        StepRng { seed, trial, epoch, step }
    }

    /// Seeds this thread's generator on the device for the step and returns the same numbers. A GPU draws with that
    /// generator.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn seeded(self, device: Device) -> Result<StepRng, TchError> {
        if takes_gpu_path(device) {
            let mut random = stream(self.seed, self.trial, self.epoch.into(), Purpose::Dropout);
            random.set_stream(self.step);
            let seed = random.next_u64();
            with_generator(device, |generator| generator.seed(seed))?;
        }
        Ok(self)
    }

    /// Returns the step's random stream for augmentation.
    pub fn augment(self) -> ChaCha8Rng {
        self.augment_from(0)
    }

    /// Returns a second stream of the step for augmentation.
    pub fn further(self) -> ChaCha8Rng {
        self.augment_from(1 << 62)
    }

    /// Returns a third stream of the step for augmentation, from which an image may draw any number of values.
    pub fn mixing(self) -> ChaCha8Rng {
        self.augment_from(1 << 63)
    }

    /// Returns a fourth stream of the step for augmentation.
    pub fn shaping(self) -> ChaCha8Rng {
        self.augment_from(3 << 62)
    }

    fn augment_from(self, first: u64) -> ChaCha8Rng {
        let mut random = stream(self.seed, self.trial, self.epoch.into(), Purpose::Augment);
        random.set_stream(first | self.step);
        random
    }

    /// Returns the step's random bits for the dropout of a layer, given by its index in the network.
    pub fn chance(self, layer: usize) -> Chance {
        let mut random = stream(self.seed, self.trial, self.epoch.into(), Purpose::Dropout);
        random.set_stream(self.step << 16 | layer as u64);
        Chance::new([random.next_u32(), random.next_u32()])
    }

    /// Returns the keys of [`StepRng::chance`] for this many layers. Each key is two 32-bit words, returned as `f32` with
    /// the same bits.
    pub fn keys(self, layers: usize) -> impl Iterator<Item = f32> {
        (0..layers).flat_map(move |layer| self.chance(layer).key()).map(f32::from_bits)
    }
}
