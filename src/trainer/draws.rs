//! Chance while training: the order of the pictures, dropout's masks, augmentation's numbers, each a pure function of
//! (seed, trial, epoch, step), so that a resumed epoch draws what the uninterrupted one would have drawn.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, TchError, Tensor};

use sweep::random::{Purpose, stream};

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

    /// Sets a share `rate` of the values to zero and scales the others up, so that the mean stays. `layer` is its
    /// index in the network.
    ///
    /// On the CPU, masks come from our own generator, 16 bits a value, which takes half of libtorch's time: the share
    /// is exact to 1/65536, and the scale is the one for the exact share.
    pub fn dropout(self, xs: &Tensor, rate: f64, layer: usize) -> Result<Tensor, TchError> {
        if rate == 0.0 {
            return Ok(xs.shallow_clone());
        }
        if xs.device().is_cuda() {
            return xs.f_dropout(rate, true);
        }
        let mut random = stream(self.seed, self.trial, self.epoch.into(), Purpose::Dropout);
        random.set_stream(self.step << 16 | layer as u64);
        let mut bits = vec![0; 2 * xs.numel()];
        random.fill_bytes(&mut bits);
        let dropped = (rate * 65536.0).round().min(65535.0);
        let (least, scale) = (dropped as u16, (65536.0 / (65536.0 - dropped)) as f32);
        let mask: Vec<f32> = bits
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&bytes| if u16::from_le_bytes(bytes) >= least { scale } else { 0.0 })
            .collect();
        // In the order in which the values lie in memory, so that the product is one straight pass.
        let mask = match *xs.size() {
            [n, c, h, w] => Tensor::f_from_slice(&mask)?.f_view([n, h, w, c])?.f_permute([0, 3, 1, 2])?,
            _ => Tensor::f_from_slice(&mask)?.f_view_as(xs)?,
        };
        xs.f_mul(&mask.f_to_kind(xs.f_kind()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn dropout_zeroes_its_share_keeps_the_mean_and_differs_by_step_and_layer() {
        let ones = Tensor::ones([64, 32, 16, 16], (Kind::Float, Device::Cpu));
        let draw = |step, layer| Draws::new(7, 1, 1, step, Device::Cpu).dropout(&ones, 0.2, layer).unwrap();
        let first = draw(0, 3);
        let (n, zeros) = (first.numel() as f64, first.eq(0.0).sum(Kind::Double).double_value(&[]));
        // Five standard deviations of a binomial share.
        let bound = 5.0 * (0.2 * 0.8 / n).sqrt();
        assert!((zeros / n - 0.2).abs() < bound, "{}", zeros / n);
        assert!((first.mean(Kind::Double).double_value(&[]) - 1.0).abs() < bound / 0.8);
        assert!(first.equal(&draw(0, 3)) && !first.equal(&draw(1, 3)) && !first.equal(&draw(0, 4)));
        assert!((first.max().double_value(&[]) - 1.25).abs() < 1e-4);
    }
}
