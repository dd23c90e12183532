//! Batch norm in training, fused with ReLU: two passes over memory forward, and two backward.

use tch::{TchError, Tensor};

use super::fused_activation::lets_through;
use super::memory::{Element, values, values_mut, with_element};
use super::{Pass, run};

/// Number of values in a block, which fit into a core's L1 cache.
const BLOCK: usize = 8192;

/// Batch norm over all axes but the second one, followed by ReLU if `relu`.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether negative outputs are set to zero.
    pub relu: bool,
}

/// The statistics of a batch, for each channel.
#[derive(Debug, Clone)]
pub struct Moments {
    /// The means.
    pub mean: Vec<f64>,
    /// The variances over n, not n - 1.
    pub variance: Vec<f64>,
}

impl BatchNorm {
    /// Normalizes float32 or bfloat16 values `[n, c, ...]`. `scale` and `shift` are `f32 [c]`. Returns the outputs, in
    /// the layout of `xs`, and the statistics.
    ///
    /// # Errors
    /// Returns libtorch's error if memory runs out.
    ///
    /// # Panics
    /// Panics if the values are not contiguous in memory, with the channels of a pixel together.
    pub fn pass(&self, xs: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<(Tensor, Moments), TchError> {
        let channels = channels(xs);
        let moments = with_element!(xs.kind(), T => {
            let xs = values::<T>(xs);
            let mut found = room(channels, xs.len());
            run(Statistics { channels, xs, found: &mut found });
            moments(channels, xs.len(), &found)
        });
        let line = Line {
            mean: rounded(moments.mean.iter().copied()),
            slope: rounded(self.slopes(scale, &moments)),
            level: values::<f32>(shift).to_vec(),
        };
        let mut ys = xs.f_empty_like()?;
        with_element!(xs.kind(), T => {
            run(Forward { relu: self.relu, line: &line, xs: values::<T>(xs), ys: values_mut::<T>(&mut ys) });
        });
        Ok((ys, moments))
    }

    /// Turns the gradient with respect to the outputs `ys` into the gradient with respect to the inputs `xs`, in place.
    /// All three have the same memory layout. Returns the gradients with respect to `scale` and `shift`, `f32 [c]`.
    ///
    /// # Errors
    /// Returns libtorch's error if memory runs out.
    ///
    /// # Panics
    /// Panics if the layouts differ, or under the same conditions as [`BatchNorm::pass`].
    pub fn gradients(
        &self,
        gradient: &mut Tensor,
        [xs, ys]: [&Tensor; 2],
        scale: &Tensor,
        moments: &Moments,
    ) -> Result<[Tensor; 2], TchError> {
        let layout = |tensor: &Tensor| (tensor.kind(), tensor.size(), tensor.stride());
        assert!(layout(gradient) == layout(xs) && layout(xs) == layout(ys));
        let channels = channels(xs);
        let mean = rounded(moments.mean.iter().copied());
        let mut found = room(channels, xs.numel());
        with_element!(xs.kind(), T => {
            let (gradient, xs, ys) = (values::<T>(gradient), values::<T>(xs), values::<T>(ys));
            run(Sums { relu: self.relu, mean: &mean, gradient, xs, ys, found: &mut found });
        });
        let [sums, products] = totals(channels, &found);

        let count = (xs.numel() / channels) as f64;
        let of_scale: Vec<f64> = products
            .iter()
            .zip(&moments.variance)
            .map(|(product, variance)| product * self.inverse(*variance))
            .collect();
        let slopes: Vec<f64> = self.slopes(scale, moments).collect();
        let both = || slopes.iter().zip(&moments.variance).zip(of_scale.iter().zip(&sums));
        let line = Line {
            mean,
            slope: rounded(
                both().map(|((slope, variance), (of_scale, _))| -slope * self.inverse(*variance) * of_scale / count),
            ),
            level: rounded(both().map(|((slope, _), (_, sum))| -slope * sum / count)),
        };
        let slopes = rounded(slopes.iter().copied());
        with_element!(xs.kind(), T => {
            let (gradient, xs, ys) = (values_mut::<T>(gradient), values::<T>(xs), values::<T>(ys));
            run(Backward { relu: self.relu, slopes: &slopes, line: &line, gradient, xs, ys });
        });
        Ok([Tensor::f_from_slice(&rounded(of_scale))?, Tensor::f_from_slice(&rounded(sums))?])
    }

    /// Returns the inverse standard deviation.
    fn inverse(&self, variance: f64) -> f64 {
        (variance + self.epsilon).sqrt().recip()
    }

    /// Returns by what a value's distance from the mean is multiplied.
    fn slopes(&self, scale: &Tensor, moments: &Moments) -> impl Iterator<Item = f64> {
        let scales = values::<f32>(scale).iter().zip(&moments.variance);
        scales.map(|(scale, variance)| f64::from(*scale) * self.inverse(*variance))
    }
}

/// A straight line for each channel: `level + slope * (x - mean)`.
struct Line {
    mean: Vec<f32>,
    slope: Vec<f32>,
    level: Vec<f32>,
}

fn channels(xs: &Tensor) -> usize {
    let (size, stride) = (xs.size(), xs.stride());
    assert!(size[1] == 1 || stride[1] == 1, "{size:?} with strides {stride:?}");
    size[1] as usize
}

fn rounded(values: impl IntoIterator<Item = f64>) -> Vec<f32> {
    values.into_iter().map(|value| value as f32).collect()
}

/// Returns the number of values in a block of whole rows.
fn block(channels: usize) -> usize {
    (BLOCK / channels).max(1) * channels
}

/// Makes room for two numbers for each block and channel: `[block][2][channels]`. Blocks are summed one after the other,
/// so that the results do not depend on the number of threads.
fn room(channels: usize, length: usize) -> Vec<f32> {
    vec![0.0; length.div_ceil(block(channels)) * 2 * channels]
}

/// Returns the sums of both numbers over all blocks.
fn totals(channels: usize, found: &[f32]) -> [Vec<f64>; 2] {
    let mut totals = vec![0.0; 2 * channels];
    for found in found.chunks_exact(2 * channels) {
        totals.iter_mut().zip(found).for_each(|(total, number)| *total += f64::from(*number));
    }
    let second = totals.split_off(channels);
    [totals, second]
}

/// Combines the means of the blocks and the sums of their squared deviations (Chan, Golub and LeVeque, *Updating
/// formulae and a pairwise algorithm for computing sample variances*, 1979).
fn moments(channels: usize, length: usize, found: &[f32]) -> Moments {
    let (mut mean, mut squares, mut before) = (vec![0.0; channels], vec![0.0; channels], 0.0);
    for (index, found) in found.chunks_exact(2 * channels).enumerate() {
        let rows = (block(channels).min(length - index * block(channels)) / channels) as f64;
        let (means, deviations) = found.split_at(channels);
        for ((mean, squares), (its, deviation)) in mean.iter_mut().zip(&mut squares).zip(means.iter().zip(deviations)) {
            let distance = f64::from(*its) - *mean;
            *mean += distance * rows / (before + rows);
            *squares += f64::from(*deviation) + distance * distance * before * rows / (before + rows);
        }
        before += rows;
    }
    Moments { mean, variance: squares.iter().map(|sum| sum / before).collect() }
}

/// Finds the mean of each channel in a block, and the sum of its squared deviations.
struct Statistics<'a, T> {
    channels: usize,
    xs: &'a [T],
    found: &'a mut [f32],
}

impl<T: Element> Pass for Statistics<'_, T> {
    fn size(&self) -> usize {
        self.xs.len()
    }

    fn halves(self) -> (Self, Self) {
        let Statistics { channels, xs, found } = self;
        let blocks = found.len() / channels / 4;
        let (xs, found) = (xs.split_at(blocks * block(channels)), found.split_at_mut(blocks * 2 * channels));
        (Statistics { channels, xs: xs.0, found: found.0 }, Statistics { channels, xs: xs.1, found: found.1 })
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let channels = self.channels;
        for (xs, found) in self.xs.chunks(block(channels)).zip(self.found.chunks_exact_mut(2 * channels)) {
            let (mean, squares) = found.split_at_mut(channels);
            for xs in xs.chunks_exact(channels) {
                for (mean, x) in mean.iter_mut().zip(xs) {
                    *mean += x.value();
                }
            }
            let share = channels as f32 / xs.len() as f32;
            for mean in mean.iter_mut() {
                *mean *= share;
            }
            for xs in xs.chunks_exact(channels) {
                for ((squares, mean), x) in squares.iter_mut().zip(mean.iter()).zip(xs) {
                    let distance = x.value() - mean;
                    *squares += distance * distance;
                }
            }
        }
    }
}

struct Forward<'a, T> {
    relu: bool,
    line: &'a Line,
    xs: &'a [T],
    ys: &'a mut [T],
}

impl<T: Element> Pass for Forward<'_, T> {
    fn size(&self) -> usize {
        self.xs.len()
    }

    fn halves(self) -> (Self, Self) {
        let Forward { relu, line, xs, ys } = self;
        let channels = line.mean.len();
        let middle = xs.len() / channels / 2 * channels;
        let (xs, ys) = (xs.split_at(middle), ys.split_at_mut(middle));
        (Forward { relu, line, xs: xs.0, ys: ys.0 }, Forward { relu, line, xs: xs.1, ys: ys.1 })
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let Forward { relu, line: Line { mean, slope, level }, xs, ys } = self;
        for (xs, ys) in xs.chunks_exact(mean.len()).zip(ys.chunks_exact_mut(mean.len())) {
            for ((x, y), ((mean, slope), level)) in xs.iter().zip(ys).zip(mean.iter().zip(slope).zip(level)) {
                *y = T::nearest((x.value() - mean) * slope + level);
                *y = if lets_through(relu, *y) { *y } else { T::ZERO };
            }
        }
    }
}

/// Sums the gradients of a block, and their products with the inputs' distances from the mean.
struct Sums<'a, T> {
    relu: bool,
    mean: &'a [f32],
    gradient: &'a [T],
    xs: &'a [T],
    ys: &'a [T],
    found: &'a mut [f32],
}

impl<T: Element> Pass for Sums<'_, T> {
    fn size(&self) -> usize {
        self.xs.len()
    }

    fn halves(self) -> (Self, Self) {
        let Sums { relu, mean, gradient, xs, ys, found } = self;
        let channels = mean.len();
        let blocks = found.len() / channels / 4;
        let ([gradient, xs, ys], found) = (
            [gradient, xs, ys].map(|values| values.split_at(blocks * block(channels))),
            found.split_at_mut(blocks * 2 * channels),
        );
        (
            Sums { relu, mean, gradient: gradient.0, xs: xs.0, ys: ys.0, found: found.0 },
            Sums { relu, mean, gradient: gradient.1, xs: xs.1, ys: ys.1, found: found.1 },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let Sums { relu, mean, gradient, xs, ys, found } = self;
        let channels = mean.len();
        let rows = gradient.chunks_exact(channels).zip(xs.chunks_exact(channels).zip(ys.chunks_exact(channels)));
        let each = block(channels) / channels;
        for (index, (gradient, (xs, ys))) in rows.enumerate() {
            let (sums, products) = found[index / each * 2 * channels..][..2 * channels].split_at_mut(channels);
            let found = sums.iter_mut().zip(products).zip(mean);
            for ((gradient, (x, y)), ((sum, product), mean)) in gradient.iter().zip(xs.iter().zip(ys)).zip(found) {
                let gradient = if lets_through(relu, *y) { gradient.value() } else { 0.0 };
                *sum += gradient;
                *product += gradient * (x.value() - mean);
            }
        }
    }
}

struct Backward<'a, T> {
    relu: bool,
    /// By what the gradients are multiplied.
    slopes: &'a [f32],
    /// What the mean and the variance add to the gradients.
    line: &'a Line,
    gradient: &'a mut [T],
    xs: &'a [T],
    ys: &'a [T],
}

impl<T: Element> Pass for Backward<'_, T> {
    fn size(&self) -> usize {
        self.xs.len()
    }

    fn halves(self) -> (Self, Self) {
        let Backward { relu, slopes, line, gradient, xs, ys } = self;
        let middle = xs.len() / slopes.len() / 2 * slopes.len();
        let (gradient, [xs, ys]) = (gradient.split_at_mut(middle), [xs, ys].map(|values| values.split_at(middle)));
        (
            Backward { relu, slopes, line, gradient: gradient.0, xs: xs.0, ys: ys.0 },
            Backward { relu, slopes, line, gradient: gradient.1, xs: xs.1, ys: ys.1 },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let Backward { relu, slopes, line: Line { mean, slope, level }, gradient, xs, ys } = self;
        let channels = mean.len();
        let rows = gradient.chunks_exact_mut(channels).zip(xs.chunks_exact(channels).zip(ys.chunks_exact(channels)));
        for (gradient, (xs, ys)) in rows {
            let lines = slopes.iter().zip(mean.iter().zip(slope.iter().zip(level)));
            for ((gradient, (x, y)), (factor, (mean, (slope, level)))) in
                gradient.iter_mut().zip(xs.iter().zip(ys)).zip(lines)
            {
                let passed = if lets_through(relu, *y) { gradient.value() } else { 0.0 };
                *gradient = T::nearest(passed * factor + (x.value() - mean) * slope + level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Compares with the same computation by libtorch in float64.
    #[test]
    fn outputs_gradients_and_statistics_are_libtorchs() {
        // The values are far from zero, and the last block is not full.
        for (size, kind, relu) in [
            (vec![7, 10, 33, 9], Kind::Float, true),
            (vec![7, 10, 33, 9], Kind::Float, false),
            (vec![64, 48, 8, 8], Kind::BFloat16, true),
            (vec![1, 3, 2, 2], Kind::Float, true),
            (vec![50, 600], Kind::Float, true),
        ] {
            let channels = size[1];
            let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
            let lain = |xs: Tensor| super::super::dense(&xs.to_kind(kind)).unwrap();
            let (xs, mut gradient) = (lain(random(&size) * 2.0 + 30.0), lain(random(&size)));
            let (scale, shift) = (random(&[channels]) + 1.0, random(&[channels]));
            let norm = BatchNorm { epsilon: 1e-3, relu };
            let (ys, moments) = norm.pass(&xs, &scale, &shift).unwrap();

            let [exact, scales, shifts] =
                [&xs, &scale, &shift].map(|tensor| tensor.to_kind(Kind::Double).set_requires_grad(true));
            let axes: Vec<i64> = (0..size.len() as i64).filter(|axis| *axis != 1).collect();
            let flat = exact.permute([vec![1], axes].concat()).reshape([channels, -1]);
            let mean = flat.mean_dim([1_i64].as_slice(), false, None);
            let variance = flat.var_dim([1_i64].as_slice(), false, false);
            let shape: Vec<i64> = (0..size.len()).map(|axis| if axis == 1 { channels } else { 1 }).collect();
            let [inverse, means] = [&(&variance + 1e-3).rsqrt(), &mean].map(|tensor| tensor.view(shape.as_slice()));
            let expected = (&exact - means) * inverse * scales.view(shape.as_slice()) + shifts.view(shape.as_slice());
            // Where rounding decides on the sign, both have to let the same values through.
            let expected = if relu { expected * ys.gt(0.0).to_kind(Kind::Double) } else { expected };
            (&expected * gradient.to_kind(Kind::Double)).sum(Kind::Double).backward();

            let near = |what: &str, ours: &Tensor, theirs: &Tensor| {
                let (ours, theirs) = (ours.to_kind(Kind::Double), theirs.detach());
                let size = theirs.square().mean(Kind::Double).sqrt().double_value(&[]).max(1e-6);
                let difference = (ours - theirs).abs().max().double_value(&[]) / size;
                let most = if kind == Kind::Float { 3e-5 } else { 0.05 };
                assert!(difference < most, "{size:?} {kind:?}: {what} differs by {difference}");
            };
            near("mean", &Tensor::from_slice(&moments.mean), &mean);
            near("variance", &Tensor::from_slice(&moments.variance), &variance);
            near("output", &ys, &expected);
            let [of_scale, of_shift] = norm.gradients(&mut gradient, [&xs, &ys], &scale, &moments).unwrap();
            near("gradient", &gradient, &exact.grad());
            near("gradient of the scale", &of_scale, &scales.grad());
            near("gradient of the shift", &of_shift, &shifts.grad());
        }
    }
}
