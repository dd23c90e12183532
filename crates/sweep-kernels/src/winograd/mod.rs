//! Convolutions with stride 1 by Winograd's method, which needs a quarter to a third of the multiplications.
//!
//! Images are cut into overlapping tiles of 6x6 pixels, and tiles and kernels are transformed (`transform`). For each of
//! the 36 values of a transformed tile, the sums over channels are a product of matrices (`product`). The work is done in
//! parts whose transformed tiles fit into a core's cache. The gradients are those of exactly this computation.
//!
//! Sources: Winograd, *Arithmetic complexity of computations* (1980); Lavin and Gray, *Fast algorithms for convolutional
//! neural networks* (2015), <https://arxiv.org/abs/1509.09308>.
#![allow(unsafe_code, reason = "transforms read and write tiles at strides")]

mod frame;
mod product;
mod transform;

use tch::{Kind, TchError, Tensor};

use super::convolution::{Convolution, Part};
use super::memory::{Element, dense, values, values_mut, with_element};
use super::{Pass, run, wide};
use frame::Frame;
use product::{Left, PANEL, Product, Right};
use transform::{At, Evaluate, Input, InputGradient, Output, POINTS, Step, Weights, WeightsGradient, both};

/// Number of values of a transformed tile.
const PLANES: usize = POINTS * POINTS;
/// Number of transformed values in a part. They fill half of a typical core's L2 cache.
const AT_ONCE: usize = (1 << 20) / size_of::<f32>();
/// Minimum number of tiles in a part. Each part reads all weights.
const FEWEST_TILES: usize = 32;
/// Minimum number of channels and of filters for which the products outweigh the transforms.
const NARROWEST: usize = 16;
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
        let known = matches!(xs.kind(), Kind::Float | Kind::BFloat16) && (2..POINTS).contains(&of.kernel);
        if !able || !known || of.stride != 1 {
            return None;
        }
        let [images, channels, height, width] = [0, 1, 2, 3].map(|axis| xs.size()[axis] as usize);
        let filters = weight.size()[0] as usize;
        let distance = POINTS + 1 - of.kernel;
        let outside = |axis: usize| ([height, width][axis] + 2 * of.padding[axis] + 1).saturating_sub(of.kernel);
        let image = [outside(0), outside(1)];
        let tiles = image.map(|side| side.div_ceil(distance));
        let fewer = (image[0] * image[1] * of.kernel.pow(2)) as f64 / (tiles[0] * tiles[1] * PLANES) as f64;
        if channels.min(filters) < NARROWEST || fewer < WORTHWHILE {
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
            weights: &weights,
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
        let weights = if wanted { self.transformed(&weight.f_permute([2, 3, 0, 1])?)? } else { Vec::new() };
        let mut inputs = if wanted { Some(xs.f_empty_like()?) } else { None };
        let size = [self.input.channels, self.output.lanes];
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
        let mut sums = vec![0.0; threads * PLANES * plane(size)];
        with_element!(xs.kind(), T => run(Backward::<T> {
            of: *self,
            xs: values(&xs),
            gradient: values(&gradient),
            weights: &weights,
            inputs: inputs.as_mut().map(values_mut),
            sums: &mut sums,
        }));

        let (first, others) = sums.split_at_mut(PLANES * plane(size));
        for other in others.chunks_exact(first.len()) {
            first.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
        }
        let [side, rows, columns] = [self.kernel, size[0], size[1]].map(|side| side as i64);
        let mut weights = Tensor::f_empty([side, side, rows, columns], (Kind::Float, xs.device()))?;
        wide(KernelsBack { side: self.kernel, size, from: first, to: values_mut(&mut weights) });
        let weights = weights.f_narrow(3, 0, self.output.channels as i64)?.f_permute([3, 2, 0, 1])?;
        Ok((inputs, dense(&weights.f_to_kind(xs.kind())?)?))
    }

    /// Transforms weights `[kernel, kernel, rows, columns]`. Each plane of the result has panels of columns,
    /// `[panels, rows, PANEL]`.
    fn transformed(&self, weights: &Tensor) -> Result<Vec<f32>, TchError> {
        let columns = weights.size()[3];
        let missing = (columns as usize).next_multiple_of(PANEL) as i64 - columns;
        let weights = weights.f_to_kind(Kind::Float)?.f_constant_pad_nd([0, missing])?.f_contiguous()?;
        let size = [2, 3].map(|axis: usize| weights.size()[axis] as usize);
        let mut transformed = vec![0.0; PLANES * plane(size)];
        wide(Kernels { side: self.kernel, size, from: values(&weights), to: &mut transformed });
        Ok(transformed)
    }

    /// Splits the work into parts. Their rows are rows of tiles.
    fn parts(&self) -> Vec<Part> {
        let [down, across] = self.output.tiles;
        let tiles = (AT_ONCE / PLANES / (self.input.lanes + self.output.lanes)).max(FEWEST_TILES);
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

/// Returns the distance between two planes. It is no power of two, because a cache has few places for numbers at such
/// distances.
fn plane(size: [usize; 2]) -> usize {
    size[0] * size[1] + PANEL
}

/// Transformed tiles of a part, for one side of the convolution: `[plane][tile][lanes]`.
struct Planes {
    numbers: Vec<f32>,
    tiles: usize,
    lanes: usize,
}

impl Planes {
    fn new() -> Planes {
        Planes { numbers: Vec::new(), tiles: 0, lanes: 0 }
    }

    fn resize(&mut self, tiles: usize, lanes: usize) {
        (self.tiles, self.lanes) = (tiles, lanes);
        self.numbers.resize(PLANES * plane([tiles, lanes]), 0.0);
    }

    fn plane(&self, index: usize) -> &[f32] {
        &self.numbers[index * plane([self.tiles, self.lanes])..][..self.tiles * self.lanes]
    }

    fn plane_mut(&mut self, index: usize) -> &mut [f32] {
        let from = index * plane([self.tiles, self.lanes]);
        &mut self.numbers[from..][..self.tiles * self.lanes]
    }

    fn steps(&self) -> [usize; 2] {
        [POINTS, 1].map(|planes| planes * plane([self.tiles, self.lanes]))
    }

    /// Transforms framed tiles. `before` is the number of tiles in the part before them.
    #[inline(always)]
    fn transform<X: Step<I, POINTS>, const I: usize, S: pulp::Simd>(
        &mut self,
        simd: S,
        frame: &Frame,
        room: &[f32],
        before: usize,
        tiles: usize,
    ) {
        let steps = self.steps();
        assert!(frame.side == I && frame.lanes == self.lanes && before + tiles <= self.tiles);
        assert!(room.len() >= frame.room(tiles / frame.tiles[1]) && tiles % frame.tiles[1] == 0);
        for tile in 0..tiles {
            for lane in (0..self.lanes).step_by(S::F32_LANES) {
                // SAFETY: The assertions show that the tile is in the room and among the planes. Lanes are whole registers.
                unsafe {
                    let from = At { first: room.as_ptr().add(frame.tile(tile) + lane), steps: frame.steps() };
                    let first = self.numbers.as_mut_ptr().add((before + tile) * self.lanes + lane);
                    both::<X, I, POINTS, S>(simd, from, At { first, steps }, false);
                }
            }
        }
    }

    /// Transforms tiles back to framed pixels, and adds them if tiles overlap.
    #[inline(always)]
    fn back<X: Step<POINTS, O>, const O: usize, S: pulp::Simd>(
        &self,
        simd: S,
        frame: &Frame,
        room: &mut [f32],
        before: usize,
        tiles: usize,
    ) {
        assert!(frame.side == O && frame.lanes == self.lanes && before + tiles <= self.tiles);
        assert!(room.len() >= frame.room(tiles / frame.tiles[1]) && tiles % frame.tiles[1] == 0);
        for tile in 0..tiles {
            for lane in (0..self.lanes).step_by(S::F32_LANES) {
                // SAFETY: As in `transform`.
                unsafe {
                    let first = self.numbers.as_ptr().add((before + tile) * self.lanes + lane);
                    let to = At { first: room.as_mut_ptr().add(frame.tile(tile) + lane), steps: frame.steps() };
                    both::<X, POINTS, O, S>(simd, At { first, steps: self.steps() }, to, frame.side > frame.distance);
                }
            }
        }
    }
}

struct Forward<'a, T> {
    of: Winograd,
    xs: &'a [T],
    /// Transformed, with filters in panels.
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    ys: &'a mut [T],
}

impl<T: Element> Pass for Forward<'_, T> {
    fn size(&self) -> usize {
        self.of.size()
    }

    fn halves(self) -> (Self, Self) {
        let Forward { of, xs, weights, bias, ys } = self;
        let of = of.halves();
        let [inside, outside] = of.0.sizes();
        let ((xs, more_xs), (ys, more_ys)) = (xs.split_at(inside), ys.split_at_mut(outside));
        (Forward { of: of.0, xs, weights, bias, ys }, Forward { of: of.1, xs: more_xs, weights, bias, ys: more_ys })
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, simd: S) {
        match self.of.kernel {
            2 => self.by_tiles::<5, S>(simd),
            3 => self.by_tiles::<4, S>(simd),
            4 => self.by_tiles::<3, S>(simd),
            _ => self.by_tiles::<2, S>(simd),
        }
    }
}

impl<T: Element> Forward<'_, T> {
    /// `TILE` is the side of a tile of outputs.
    #[inline(always)]
    fn by_tiles<const TILE: usize, S: pulp::Simd>(self, simd: S) {
        let Winograd { input, output, .. } = self.of;
        let (mut inside, mut outside) = (Planes::new(), Planes::new());
        let (mut in_room, mut out_room) = (Vec::new(), Vec::new());
        for part in self.of.parts() {
            let tiles = part.rows.len() * input.tiles[1];
            inside.resize(part.images.len() * tiles, input.lanes);
            outside.resize(part.images.len() * tiles, output.lanes);
            in_room.resize(input.room(part.rows.len()), 0.0);
            out_room.resize(output.room(part.rows.len()), 0.0);
            for (index, image) in part.images.clone().enumerate() {
                input.fill(&part.rows, &self.xs[image * input.numbers()..][..input.numbers()], &mut in_room);
                inside.transform::<Input, POINTS, S>(simd, &input, &in_room, index * tiles, tiles);
            }
            let weights = plane([input.channels, output.lanes]);
            for plane in 0..PLANES {
                simd.vectorize(Product {
                    left: Left { numbers: inside.plane(plane), steps: [input.lanes, 1] },
                    right: Right { numbers: &self.weights[plane * weights..], steps: [PANEL, input.channels * PANEL] },
                    sizes: [inside.tiles, input.channels, output.lanes / PANEL],
                    to: outside.plane_mut(plane),
                    add: false,
                });
            }
            for (index, image) in part.images.clone().enumerate() {
                outside.back::<Output, TILE, S>(simd, &output, &mut out_room, index * tiles, tiles);
                let ys = &mut self.ys[image * output.numbers()..][..output.numbers()];
                output.take(&part.rows, &out_room, self.bias, ys);
            }
        }
    }
}

struct Backward<'a, T> {
    of: Winograd,
    xs: &'a [T],
    gradient: &'a [T],
    /// Transformed, with channels in panels. Empty if the gradients of the inputs are not wanted.
    weights: &'a [f32],
    inputs: Option<&'a mut [T]>,
    /// Sums of the gradients of the transformed weights, for each thread: `[plane][channels][lanes of filters]`.
    sums: &'a mut [f32],
}

impl<T: Element> Pass for Backward<'_, T> {
    fn size(&self) -> usize {
        3 * self.of.size()
    }

    fn halves(self) -> (Self, Self) {
        let Backward { of, xs, gradient, weights, inputs, sums } = self;
        let each = PLANES * plane([of.input.channels, of.output.lanes]);
        let of = of.halves();
        let [inside, outside] = of.0.sizes();
        let (xs, gradient) = (xs.split_at(inside), gradient.split_at(outside));
        let (first, second) = inputs.map(|inputs| inputs.split_at_mut(inside)).unzip();
        let sums = sums.split_at_mut((sums.len() / each).div_ceil(2) * each);
        (
            Backward { of: of.0, xs: xs.0, gradient: gradient.0, weights, inputs: first, sums: sums.0 },
            Backward { of: of.1, xs: xs.1, gradient: gradient.1, weights, inputs: second, sums: sums.1 },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, simd: S) {
        match self.of.kernel {
            2 => self.by_tiles::<5, S>(simd),
            3 => self.by_tiles::<4, S>(simd),
            4 => self.by_tiles::<3, S>(simd),
            _ => self.by_tiles::<2, S>(simd),
        }
    }
}

impl<T: Element> Backward<'_, T> {
    #[inline(always)]
    fn by_tiles<const TILE: usize, S: pulp::Simd>(mut self, simd: S) {
        let Winograd { input, output, .. } = self.of;
        let (mut inside, mut outside) = (Planes::new(), Planes::new());
        let (mut in_room, mut out_room) = (Vec::new(), Vec::new());
        let mut found = vec![0.0; input.room(input.tiles[0])];
        for part in self.of.parts() {
            let tiles = part.rows.len() * input.tiles[1];
            inside.resize(part.images.len() * tiles, input.lanes);
            outside.resize(part.images.len() * tiles, output.lanes);
            in_room.resize(input.room(part.rows.len()), 0.0);
            out_room.resize(output.room(part.rows.len()), 0.0);
            for (index, image) in part.images.clone().enumerate() {
                input.fill(&part.rows, &self.xs[image * input.numbers()..][..input.numbers()], &mut in_room);
                inside.transform::<Input, POINTS, S>(simd, &input, &in_room, index * tiles, tiles);
                let gradient = &self.gradient[image * output.numbers()..][..output.numbers()];
                output.fill(&part.rows, gradient, &mut out_room);
                outside.transform::<Evaluate, TILE, S>(simd, &output, &out_room, index * tiles, tiles);
            }
            let sums = plane([input.channels, output.lanes]);
            for plane in 0..PLANES {
                simd.vectorize(Product {
                    left: Left { numbers: inside.plane(plane), steps: [1, input.lanes] },
                    right: Right { numbers: outside.plane(plane), steps: [output.lanes, PANEL] },
                    sizes: [input.channels, inside.tiles, output.lanes / PANEL],
                    to: &mut self.sums[plane * sums..][..input.channels * output.lanes],
                    add: true,
                });
            }
            let Some(inputs) = &mut self.inputs else { continue };
            let weights = plane([output.channels, input.lanes]);
            for plane in 0..PLANES {
                let steps = [PANEL, output.channels * PANEL];
                simd.vectorize(Product {
                    left: Left { numbers: outside.plane(plane), steps: [output.lanes, 1] },
                    right: Right { numbers: &self.weights[plane * weights..], steps },
                    sizes: [inside.tiles, output.channels, input.lanes / PANEL],
                    to: inside.plane_mut(plane),
                    add: false,
                });
            }
            for (index, image) in part.images.clone().enumerate() {
                // The last rows of a part's tiles overlap with the first ones of the next part.
                if part.rows.start == 0 {
                    found.fill(0.0);
                }
                let room = &mut found[part.rows.start * input.distance * input.steps()[0]..];
                inside.back::<InputGradient, POINTS, S>(simd, &input, room, index * tiles, tiles);
                if part.rows.end == input.tiles[0] {
                    input.take(&(0..part.rows.end), &found, None, &mut inputs[image * input.numbers()..][..input.numbers()]);
                }
            }
        }
    }
}

/// Transforms weights `[side, side, rows, columns]` into panels.
struct Kernels<'a> {
    side: usize,
    size: [usize; 2],
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Pass for Kernels<'_> {
    fn size(&self) -> usize {
        self.to.len()
    }

    fn halves(self) -> (Self, Self) {
        unreachable!("it runs in one thread")
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, simd: S) {
        match self.side {
            2 => self.of_side::<2, S>(simd),
            3 => self.of_side::<3, S>(simd),
            4 => self.of_side::<4, S>(simd),
            _ => self.of_side::<5, S>(simd),
        }
    }
}

impl Kernels<'_> {
    #[inline(always)]
    fn of_side<const SIDE: usize, S: pulp::Simd>(self, simd: S) {
        let [rows, columns] = self.size;
        assert!(self.from.len() == SIDE * SIDE * rows * columns && self.to.len() == PLANES * plane(self.size));
        for row in 0..rows {
            for column in (0..columns).step_by(S::F32_LANES) {
                // SAFETY: The assertion shows that all weights of the row and column are in both slices.
                unsafe {
                    let from = At {
                        first: self.from.as_ptr().add(row * columns + column),
                        steps: [SIDE, 1].map(|many| many * rows * columns),
                    };
                    let place = (column / PANEL * rows + row) * PANEL + column % PANEL;
                    let to = At {
                        first: self.to.as_mut_ptr().add(place),
                        steps: [POINTS, 1].map(|many| many * plane(self.size)),
                    };
                    both::<Weights, SIDE, POINTS, S>(simd, from, to, false);
                }
            }
        }
    }
}

/// Transforms gradients `[plane][rows][columns]` back to those of weights `[side, side, rows, columns]`.
struct KernelsBack<'a> {
    side: usize,
    size: [usize; 2],
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Pass for KernelsBack<'_> {
    fn size(&self) -> usize {
        self.from.len()
    }

    fn halves(self) -> (Self, Self) {
        unreachable!("it runs in one thread")
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, simd: S) {
        match self.side {
            2 => self.of_side::<2, S>(simd),
            3 => self.of_side::<3, S>(simd),
            4 => self.of_side::<4, S>(simd),
            _ => self.of_side::<5, S>(simd),
        }
    }
}

impl KernelsBack<'_> {
    #[inline(always)]
    fn of_side<const SIDE: usize, S: pulp::Simd>(self, simd: S) {
        let many = self.size[0] * self.size[1];
        assert!(self.to.len() == SIDE * SIDE * many && self.from.len() == PLANES * plane(self.size));
        for place in (0..many).step_by(S::F32_LANES) {
            // SAFETY: The assertion shows that all weights at this place are in both slices.
            unsafe {
                let from = At {
                    first: self.from.as_ptr().add(place),
                    steps: [POINTS, 1].map(|many| many * plane(self.size)),
                };
                let to = At { first: self.to.as_mut_ptr().add(place), steps: [SIDE, 1].map(|side| side * many) };
                both::<WeightsGradient, POINTS, SIDE, S>(simd, from, to, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Compares with libtorch in float64. The cases cover all kernels, sides that are no multiple of a tile, channels and
    /// filters that fill no panel, and parts of one image and of several.
    #[test]
    fn outputs_and_gradients_are_those_of_libtorch() {
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
                let winograd = Winograd::new(of, &xs, &weight).unwrap();
                let ys = winograd.pass(&xs, &weight, Some(&bias)).unwrap();
                let (inputs, weights) = winograd.gradients(&xs, &weight, &gradient, true).unwrap();
                for (found, expected) in [inputs.unwrap(), weights, ys].iter().zip(&expected) {
                    assert_eq!((found.size(), found.kind()), (expected.size(), kind));
                    let off = (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
                    let scale = expected.square().mean(Kind::Double).sqrt().double_value(&[]);
                    println!("{case:?} {kind:?} {}", off / scale);
                    assert!(off <= 10.0 * precision * scale, "{case:?} {kind:?}: {} of {scale}", off / scale);
                }
            }
        }
    }
}
