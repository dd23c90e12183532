//! Max-norm projection in one pass over memory.

use tch::Tensor;

use super::memory::values_mut;
use super::{Pass, run};

/// Added to a norm before the division, as in Keras.
const EPSILON: f32 = 1e-7;

/// Scales the incoming weights of each output to at most this norm. The weights of an output are contiguous (float32
/// `[outputs, ...]`).
///
/// # Panics
/// Panics if the weights are not contiguous in memory.
pub fn max_norm(weight: &mut Tensor, norm: f64) {
    let each = weight.numel() / weight.size()[0] as usize;
    run(MaxNorm { weight: values_mut::<f32>(weight), each, norm: norm as f32 });
}

struct MaxNorm<'a> {
    weight: &'a mut [f32],
    /// Number of weights per output.
    each: usize,
    norm: f32,
}

impl Pass for MaxNorm<'_> {
    fn size(&self) -> usize {
        self.weight.len()
    }

    fn halves(self) -> (Self, Self) {
        let MaxNorm { weight, each, norm } = self;
        let (first, second) = weight.split_at_mut(weight.len() / each / 2 * each);
        (MaxNorm { weight: first, each, norm }, MaxNorm { weight: second, each, norm })
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        for weights in self.weight.chunks_exact_mut(self.each) {
            let length = squares(weights).sqrt();
            let share = length.min(self.norm) / (length + EPSILON);
            for weight in weights {
                *weight *= share;
            }
        }
    }
}

/// Returns the sum of the squares, from enough partial sums to fill the vector units.
#[inline(always)]
fn squares(weights: &[f32]) -> f32 {
    let mut parts = [0.0_f32; 32];
    let (whole, rest) = weights.as_chunks::<32>();
    for weights in whole {
        for (part, weight) in parts.iter_mut().zip(weights) {
            *part += weight * weight;
        }
    }
    parts.iter().sum::<f32>() + rest.iter().map(|weight| weight * weight).sum::<f32>()
}
