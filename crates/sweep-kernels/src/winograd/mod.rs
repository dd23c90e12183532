//! Convolutions with stride 1 by Winograd's method, which needs a quarter to a third of the multiplications.
//!
//! Images are cut into overlapping tiles of 6x6 pixels, and tiles and kernels are transformed (`transform`). For each of
//! the 36 values of a transformed tile, the sums over channels are a product of matrices (`product`). The work is done in
//! parts whose transformed tiles fit into a core's cache. The gradients are those of exactly this computation.
//!
//! Sources: Winograd, *Arithmetic complexity of computations* (1980); Lavin and Gray, *Fast algorithms for convolutional
//! neural networks* (2015), <https://arxiv.org/abs/1509.09308>.

mod frame;
mod passes;
mod planes;
mod product;
mod transform;
mod weights;

use std::arch::x86_64::__cpuid_count;
use std::sync::LazyLock;

use tch::{Kind, TchError, Tensor};

use super::convolution::{Convolution, Part};
use super::memory::{dense, values, values_mut, with_element};
use super::{avx2_at_most, is_intel, run, wide};
use frame::Frame;
use passes::{Backward, Forward};
use planes::plane;
use product::PANEL;
use transform::POINTS;
use weights::Kernels;

/// Number of values of a transformed tile.
const PLANES: usize = POINTS * POINTS;
/// Number of transformed values in a part. They fill half of a typical core's L2 cache.
const AT_ONCE: usize = (1 << 20) / size_of::<f32>();
/// Minimum number of tiles in a part. Each part reads all weights, so wide layers need more tiles.
const FEWEST_TILES: usize = 32;
/// Minimum number of channels and of filters for which the products outweigh the transforms. In float32, AVX-512 needs
/// twice as many, because direct convolutions gain more from it.
const NARROWEST: i64 = 16;
/// Minimum factor by which the number of multiplications must fall.
const WORTHWHILE: f64 = 2.0;

/// A convolution of images `[n, c, h, w]`.
#[derive(Debug, Clone, Copy)]
pub struct Winograd {
    kernel: usize,
    images: usize,
    input: Frame,
    output: Frame,
}

impl Winograd {
    /// Returns the method for this convolution of `xs` with weights `[o, c, kernel, kernel]`. `None` if a direct
    /// convolution is likely to be faster, or if the processor lacks the instructions.
    pub fn new(of: Convolution, xs: &Tensor, weight: &Tensor) -> Option<Winograd> {
        let able = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let narrowest = match xs.kind() {
            Kind::Float if is_x86_feature_detected!("avx512f") && !avx2_at_most() => 2 * NARROWEST,
            Kind::Float => NARROWEST,
            Kind::BFloat16 if slow_bfloat16() => NARROWEST,
            _ => return None,
        };
        let narrow = xs.size()[1].min(weight.size()[0]) < narrowest;
        if able && !narrow { Winograd::sized(of, xs, weight) } else { None }
    }

    fn sized(of: Convolution, xs: &Tensor, weight: &Tensor) -> Option<Winograd> {
        if of.stride != 1 || !(2..POINTS).contains(&of.kernel) {
            return None;
        }
        let [images, channels, height, width] = [0, 1, 2, 3].map(|axis| xs.size()[axis] as usize);
        let filters = weight.size()[0] as usize;
        let distance = POINTS + 1 - of.kernel;
        let outside = |axis: usize| ([height, width][axis] + 2 * of.padding[axis] + 1).saturating_sub(of.kernel);
        let image = [outside(0), outside(1)];
        let tiles = image.map(|side| side.div_ceil(distance));
        let fewer = (image[0] * image[1] * of.kernel.pow(2)) as f64 / (tiles[0] * tiles[1] * PLANES) as f64;
        if fewer < WORTHWHILE {
            return None;
        }
        let lanes = |channels: usize| channels.next_multiple_of(PANEL);
        Some(Winograd {
            kernel: of.kernel,
            images,
            input: Frame {
                distance,
                side: POINTS,
                tiles,
                before: of.padding,
                image: [height, width],
                channels,
                lanes: lanes(channels),
            },
            output: Frame {
                distance,
                side: distance,
                tiles,
                before: [0; 2],
                image,
                channels: filters,
                lanes: lanes(filters),
            },
        })
    }

    /// Computes outputs `[n, o, y, x]`, channels-last and of the kind of `xs`.
    ///
    /// # Errors
    /// Returns libtorch's error if memory runs out.
    pub fn pass(&self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, TchError> {
        let weights = self.transformed(&weight.f_permute([2, 3, 1, 0])?)?;
        let bias = bias.map(|bias| bias.f_to_kind(Kind::Float)).transpose()?;
        let Frame { image: [height, width], channels, .. } = self.output;
        let size = [self.images, height, width, channels].map(|side| side as i64);
        let mut ys = Tensor::f_empty(size, (xs.kind(), xs.device()))?.f_permute([0, 3, 1, 2])?;
        let xs = dense(xs)?;
        with_element!(xs.kind(), T => run(Forward::<T> {
            of: *self,
            xs: values(&xs),
            weights: values(&weights),
            bias: bias.as_ref().map(values),
            ys: values_mut(&mut ys),
        }));
        Ok(ys)
    }

    /// Computes the gradients of the loss with respect to the input (if `wanted`) and to the weights. `gradient`, with
    /// respect to the output, is `[n, o, y, x]`. The rounding errors of the latter depend on the number of threads.
    ///
    /// # Errors
    /// Returns libtorch's error if memory runs out.
    pub fn gradients(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        gradient: &Tensor,
        wanted: bool,
    ) -> Result<(Option<Tensor>, Tensor), TchError> {
        let (xs, gradient) = (dense(xs)?, dense(gradient)?);
        let weights = if wanted { Some(self.transformed(&weight.f_permute([2, 3, 0, 1])?)?) } else { None };
        let mut inputs = if wanted { Some(xs.f_empty_like()?) } else { None };
        let size = [self.input.channels, self.output.lanes];
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
        let mut sums = vec![0.0; threads * PLANES * plane(size)];
        with_element!(xs.kind(), T => run(Backward::<T> {
            of: *self,
            xs: values(&xs),
            gradient: values(&gradient),
            weights: weights.as_ref().map_or(&[], values),
            inputs: inputs.as_mut().map(values_mut),
            sums: &mut sums,
        }));

        let (first, others) = sums.split_at_mut(PLANES * plane(size));
        for other in others.chunks_exact(first.len()) {
            first.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
        }
        let [side, rows, columns] = [self.kernel, size[0], size[1]].map(|side| side as i64);
        let mut weights = Tensor::f_empty([side, side, rows, columns], (Kind::Float, xs.device()))?;
        wide(Kernels { side: self.kernel, size, from: first, to: values_mut(&mut weights), back: true });
        let weights = weights.f_narrow(3, 0, self.output.channels as i64)?.f_permute([3, 2, 0, 1])?;
        Ok((inputs, dense(&weights.f_to_kind(xs.kind())?)?))
    }

    /// Transforms weights `[kernel, kernel, rows, columns]`. Each plane of the result has panels of columns,
    /// `[panels, rows, PANEL]`.
    fn transformed(&self, weights: &Tensor) -> Result<Tensor, TchError> {
        let columns = weights.size()[3];
        let missing = (columns as usize).next_multiple_of(PANEL) as i64 - columns;
        let weights = weights.f_to_kind(Kind::Float)?.f_constant_pad_nd([0, missing])?.f_contiguous()?;
        let size = [2, 3].map(|axis: usize| weights.size()[axis] as usize);
        let mut transformed = Tensor::f_empty([(PLANES * plane(size)) as i64], (Kind::Float, weights.device()))?;
        let to = values_mut(&mut transformed);
        wide(Kernels { side: self.kernel, size, from: values(&weights), to, back: false });
        Ok(transformed)
    }

    /// Splits the work into parts. Their rows are rows of tiles.
    fn parts(&self) -> Vec<Part> {
        let [down, across] = self.output.tiles;
        let lanes = self.input.lanes + self.output.lanes;
        let tiles = (AT_ONCE / PLANES / lanes).max(lanes / 8).max(FEWEST_TILES);
        Part::split(self.images, down, (tiles / across).max(1))
    }

    fn halves(self) -> (Winograd, Winograd) {
        let images = self.images / 2;
        (Winograd { images, ..self }, Winograd { images: self.images - images, ..self })
    }

    /// Returns the number of values of all inputs and of all outputs.
    fn sizes(&self) -> [usize; 2] {
        [self.input, self.output].map(|frame| self.images * frame.numbers())
    }

    /// Converts the work to the unit of the other passes: one of their values costs about ten products.
    fn size(&self) -> usize {
        self.sizes()[1] * self.input.channels * self.kernel.pow(2) / 40
    }
}

/// Returns whether direct convolutions in bfloat16 are slower than Winograd's in float32. On Intel's processors, the
/// AVX-512 instruction for products of bfloat16 does half as many of them as the one for float32. With AMX, and on AMD's
/// processors, bfloat16 is faster.
fn slow_bfloat16() -> bool {
    static SLOW: LazyLock<bool> = LazyLock::new(|| {
        const AMX_BFLOAT16: u32 = 1 << 22;
        is_intel() && __cpuid_count(7, 0).edx & AMX_BFLOAT16 == 0
    });
    *SLOW
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Compares with libtorch in float64. The cases cover all kernels, sides that are no multiple of a tile, channels and
    /// filters that fill no panel, and parts of one image and of several.
    #[test]
    fn outputs_and_gradients_are_those_of_libtorch() {
        if !is_x86_feature_detected!("fma") {
            return;
        }
        let cases = [
            // images, channels, height, width, filters, kernel, padding
            [3, 16, 8, 8, 16, 3, 1],
            [5, 32, 32, 32, 32, 3, 1],
            [2, 17, 11, 14, 40, 3, 0],
            [2, 40, 17, 9, 33, 4, 2],
            [3, 24, 13, 16, 16, 5, 2],
            [9, 64, 4, 4, 128, 3, 1],
            [2, 64, 15, 15, 32, 2, 0],
            [1, 96, 40, 52, 64, 3, 1],
        ];
        for case in cases {
            let [n, c, h, w, o, k, padding] = case;
            tch::manual_seed(1);
            let lain = |size: [i64; 4], kind| {
                let tensor = Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(kind);
                tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
            };
            for (kind, precision) in [(Kind::Float, 2e-6), (Kind::BFloat16, 4e-3)] {
                let (xs, weight) = (lain([n, c, h, w], kind), lain([o, c, k, k], kind));
                let bias = Tensor::randn([o], (Kind::Float, Device::Cpu)).to_kind(kind);
                let double = |xs: &Tensor| xs.to_kind(Kind::Double).set_requires_grad(true);
                let (exact_xs, exact_weight) = (double(&xs), double(&weight));
                let bias64 = bias.to_kind(Kind::Double);
                let ys = exact_xs.conv2d(&exact_weight, Some(&bias64), [1, 1], [padding; 2], [1; 2], 1);
                let gradient = lain(ys.size().try_into().unwrap(), kind);
                let slopes = (&ys * gradient.to_kind(Kind::Double)).sum(Kind::Double);
                let mut expected = Tensor::run_backward(&[slopes], &[&exact_xs, &exact_weight], false, false);
                expected.push(ys.detach());

                let of = Convolution { kernel: k as usize, stride: 1, padding: [padding as usize; 2] };
                let winograd = Winograd::sized(of, &xs, &weight).unwrap();
                let ys = winograd.pass(&xs, &weight, Some(&bias)).unwrap();
                let (inputs, weights) = winograd.gradients(&xs, &weight, &gradient, true).unwrap();
                for (found, expected) in [inputs.unwrap(), weights, ys].iter().zip(&expected) {
                    assert_eq!((found.size(), found.kind()), (expected.size(), kind));
                    let off = (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
                    let scale = expected.square().mean(Kind::Double).sqrt().double_value(&[]);
                    assert!(off <= 10.0 * precision * scale, "{case:?} {kind:?}: {} of {scale}", off / scale);
                }
            }
        }
    }
}
