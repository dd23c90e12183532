//! Max-pooling fused with the activation after it, forward and backward. It stores one byte per value and takes one
//! pass in each direction. libtorch stores eight bytes per value and takes two more passes.

use tch::{TchError, Tensor};

use super::fused_activation::{FusedActivation, Open, ROW};
use super::memory::{Element, values, values_mut, with_element};
use super::{Pass, run};

/// Max-pooling with adjacent windows, followed by a fused activation.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// Side of a window, at most 15.
    pub side: usize,
    /// The activation after the pooling.
    pub activation: FusedActivation,
}

/// The shape of the input: images, rows, columns and channels, in memory order.
#[derive(Clone, Copy)]
struct Extent {
    images: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl Pool {
    /// Pools values `[n, c, h, w]`, channels-last and contiguous, to `[n, c, h / side, w / side]` with the same layout.
    /// Also returns, for each output, the index within its window that it came from, if it was passed on.
    ///
    /// # Errors
    /// Returns libtorch's error if memory runs out.
    ///
    /// # Panics
    /// Panics if the values have another layout.
    pub fn pass(self, xs: &Tensor) -> Result<(Tensor, Vec<u8>), TchError> {
        let extent = Extent::of(xs);
        let size = [extent.images, extent.height / self.side, extent.width / self.side, extent.channels];
        let mut ys = Tensor::f_empty(size.map(|side| side as i64), (xs.f_kind()?, xs.device()))?;
        let mut which = vec![0; ys.numel()];
        let (windows, open) = (Windows { side: self.side, extent }, Open::new(self.activation));
        with_element!(xs.kind(), T => {
            let (xs, ys) = (values::<T>(xs), values_mut::<T>(&mut ys));
            run(Forward { windows, before: 0, open, xs, ys, which: &mut which });
        });
        Ok((ys.f_permute([0, 3, 1, 2])?, which))
    }

    /// Computes the gradient with respect to the input, which has this `size`. `gradient` is the gradient with respect
    /// to the output and has the output's layout.
    ///
    /// # Errors
    /// Returns libtorch's error if memory runs out.
    ///
    /// # Panics
    /// Panics if the gradient has another layout.
    pub fn gradient(self, gradient: &Tensor, which: &[u8], size: &[i64]) -> Result<Tensor, TchError> {
        let [images, channels, height, width] = size.try_into().expect("images have four axes");
        let lying = [images, height, width, channels];
        let option = (gradient.f_kind()?, gradient.device());
        // Inputs at the far edges that belong to no window have zero gradient.
        let whole = height % self.side as i64 == 0 && width % self.side as i64 == 0;
        let mut found = if whole { Tensor::f_empty(lying, option)? } else { Tensor::f_zeros(lying, option)? };
        let extent = Extent::of(&found.f_permute([0, 3, 1, 2])?);
        let (windows, scale) = (Windows { side: self.side, extent }, Open::new(self.activation).scale);
        with_element!(option.0, T => {
            let (gradient, found) = (values::<T>(gradient), values_mut::<T>(&mut found));
            run(Backward { windows, scale, gradient, which, found });
        });
        found.f_permute([0, 3, 1, 2])
    }
}

impl Extent {
    fn of(xs: &Tensor) -> Extent {
        let (size, stride) = (xs.size(), xs.stride());
        let [images, channels, height, width] = size[..].try_into().expect("images have four axes");
        let lying = [(height, width * channels), (width, channels), (channels, 1)];
        for ((side, expected), found) in lying.into_iter().zip([stride[2], stride[3], stride[1]]) {
            assert!(side == 1 || found == expected, "{size:?} with strides {stride:?} is not channels-last");
        }
        let [images, channels, height, width] = [images, channels, height, width].map(|side: i64| side as usize);
        Extent { images, height, width, channels }
    }
}

/// The positions of the windows in memory.
#[derive(Clone, Copy)]
struct Windows {
    side: usize,
    extent: Extent,
}

impl Windows {
    /// Splits the windows into those of the first half of the images and those of the second half.
    fn halves(self) -> (Windows, Windows) {
        let of = |images| Windows { extent: Extent { images, ..self.extent }, ..self };
        let first = self.extent.images / 2;
        (of(first), of(self.extent.images - first))
    }

    /// Number of input values and number of output values.
    fn sizes(self) -> (usize, usize) {
        let Extent { images, height, width, channels } = self.extent;
        let [rows, columns] = self.count();
        (images * height * width * channels, images * rows * columns * channels)
    }

    /// Number of windows down and across each image.
    #[inline(always)]
    fn count(self) -> [usize; 2] {
        [self.extent.height / self.side, self.extent.width / self.side]
    }

    /// Returns the memory offset of the first channel of one element of a window. `place` is the index of the element
    /// within its window.
    #[inline(always)]
    fn place(self, [image, row, column]: [usize; 3], place: usize) -> usize {
        let Windows { side, extent: Extent { height, width, channels, .. } } = self;
        let (down, across) = (row * side + place / side, column * side + place % side);
        ((image * height + down) * width + across) * channels
    }
}

struct Forward<'a, T> {
    windows: Windows,
    /// Number of images before these.
    before: usize,
    open: Open,
    xs: &'a [T],
    ys: &'a mut [T],
    which: &'a mut [u8],
}

impl<T: Element> Pass for Forward<'_, T> {
    fn size(&self) -> usize {
        self.xs.len()
    }

    fn halves(self) -> (Self, Self) {
        let Forward { windows, before, open, xs, ys, which } = self;
        let halves = windows.halves();
        let (inside, outside) = halves.0.sizes();
        let (xs, ys, which) = (xs.split_at(inside), ys.split_at_mut(outside), which.split_at_mut(outside));
        let then = before + halves.0.extent.images;
        (
            Forward { windows: halves.0, before, open, xs: xs.0, ys: ys.0, which: which.0 },
            Forward { windows: halves.1, before: then, open, xs: xs.1, ys: ys.1, which: which.1 },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let Forward { windows, before, open, xs, ys, which } = self;
        let ([rows, columns], channels) = (windows.count(), windows.extent.channels);
        let outside = rows * columns * channels;
        for image in 0..windows.extent.images {
            let (begin, end) = (image * outside, (image + 1) * outside);
            for row in 0..rows {
                for column in 0..columns {
                    let to = begin + (row * columns + column) * channels;
                    let (ys, which) = (&mut ys[to..to + channels], &mut which[to..to + channels]);
                    let at = |place| {
                        let from = windows.place([image, row, column], place);
                        &xs[from..from + channels]
                    };
                    if windows.side == 2 {
                        largest_of_four(ys, which, [at(0), at(1), at(2), at(3)]);
                        continue;
                    }
                    ys.copy_from_slice(at(0));
                    which.fill(0);
                    for place in 1..windows.side * windows.side {
                        larger(ys, which, at(place), place as u8);
                    }
                }
            }
            // Each image starts a new row of random bits, so that no two images share any.
            open.pass_noting(
                (before + image) * outside.next_multiple_of(ROW),
                &mut ys[begin..end],
                &mut which[begin..end],
            );
        }
    }
}

/// Keeps the first of equal maxima, like libtorch. NaN counts as the maximum.
#[inline(always)]
fn larger<T: Element>(ys: &mut [T], which: &mut [u8], xs: &[T], place: u8) {
    for ((y, which), &x) in ys.iter_mut().zip(which).zip(xs) {
        let better = x.above(*y) | x.is_nan();
        *y = if better { x } else { *y };
        *which = if better { place } else { *which };
    }
}

/// Does the same for windows of side 2, the most common size, and writes each value only once.
#[inline(always)]
fn largest_of_four<T: Element>(ys: &mut [T], which: &mut [u8], [a, b, c, d]: [&[T]; 4]) {
    let four = a.iter().zip(b).zip(c).zip(d);
    for ((y, which), (((&a, &b), &c), &d)) in ys.iter_mut().zip(which).zip(four) {
        let (mut largest, mut place) = (a, 0);
        for (x, at) in [(b, 1), (c, 2), (d, 3)] {
            let better = x.above(largest) | x.is_nan();
            largest = if better { x } else { largest };
            place = if better { at } else { place };
        }
        (*y, *which) = (largest, place);
    }
}

struct Backward<'a, T> {
    windows: Windows,
    scale: f32,
    gradient: &'a [T],
    which: &'a [u8],
    found: &'a mut [T],
}

impl<T: Element> Pass for Backward<'_, T> {
    fn size(&self) -> usize {
        self.found.len()
    }

    fn halves(self) -> (Self, Self) {
        let Backward { windows, scale, gradient, which, found } = self;
        let halves = windows.halves();
        let (inside, outside) = halves.0.sizes();
        let (gradient, which, found) =
            (gradient.split_at(outside), which.split_at(outside), found.split_at_mut(inside));
        (
            Backward { windows: halves.0, scale, gradient: gradient.0, which: which.0, found: found.0 },
            Backward { windows: halves.1, scale, gradient: gradient.1, which: which.1, found: found.1 },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let Backward { windows, scale, gradient, which, found } = self;
        let ([rows, columns], channels) = (windows.count(), windows.extent.channels);
        for image in 0..windows.extent.images {
            for row in 0..rows {
                for column in 0..columns {
                    let from = ((image * rows + row) * columns + column) * channels;
                    let (gradient, which) = (&gradient[from..from + channels], &which[from..from + channels]);
                    for place in 0..windows.side * windows.side {
                        let to = windows.place([image, row, column], place);
                        spread(gradient, which, &mut found[to..to + channels], place as u8, scale);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn spread<T: Element>(gradient: &[T], which: &[u8], found: &mut [T], place: u8, scale: f32) {
    for ((found, &which), gradient) in found.iter_mut().zip(which).zip(gradient) {
        *found = if which == place { gradient.times(scale) } else { T::ZERO };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chance;
    use tch::{Device, Kind};

    /// Returns integer values, so that windows contain ties.
    fn images(kind: Kind, [n, c, h, w]: [i64; 4]) -> Tensor {
        let lying = Tensor::randint_low(-4, 5, [n, h, w, c], (Kind::Float, Device::Cpu)).to_kind(kind);
        lying.permute([0, 3, 1, 2])
    }

    #[test]
    fn values_and_gradients_are_libtorchs_equals_and_ragged_edges_too() {
        for (kind, size, side) in [
            (Kind::Float, [3, 5, 8, 6], 2),
            (Kind::BFloat16, [2, 33, 9, 7], 2),
            (Kind::BFloat16, [2, 64, 6, 6], 3),
            (Kind::Double, [1, 1, 4, 7], 3),
            (Kind::Float, [2, 4, 7, 8], 2),
        ] {
            for relu in [false, true] {
                let xs = images(kind, size);
                let theirs = xs.copy().set_requires_grad(true);
                let sides = [side as i64; 2];
                let expected = theirs.max_pool2d(sides, sides, [0, 0], [1, 1], false);
                let expected = if relu { expected.relu() } else { expected };
                let pool = Pool { side, activation: FusedActivation { relu, dropout: None } };
                let (ys, which) = pool.pass(&xs).unwrap();
                assert!(ys.equal(&expected), "{kind:?} {size:?}");
                let gradient = ys.randn_like();
                (&expected * &gradient).sum(kind).backward();
                let found = pool.gradient(&gradient, &which, &xs.size()).unwrap();
                assert!(found.equal(&theirs.grad()), "{kind:?} {size:?}");
            }
        }
    }

    #[test]
    fn what_is_dropped_behind_a_pool_has_no_gradient() {
        let xs = images(Kind::BFloat16, [4, 32, 8, 8]) + 9.0;
        let pool =
            Pool { side: 2, activation: FusedActivation { relu: true, dropout: Some((0.5, Chance::new([1, 2]))) } };
        let (ys, which) = pool.pass(&xs).unwrap();
        let dropped = ys.eq(0.0).sum(Kind::Double).double_value(&[]) / ys.numel() as f64;
        assert!((dropped - 0.5).abs() < 0.04, "{dropped}");
        let found = pool.gradient(&ys.ones_like(), &which, &xs.size()).unwrap();
        let passed = found.sum(Kind::Double).double_value(&[]);
        assert_eq!(passed, 2.0 * ys.ne(0.0).sum(Kind::Double).double_value(&[]));
        let images: Vec<Tensor> = ys.ne(0.0).unbind(0);
        let alike = images[0].narrow(2, 2, 2).eq_tensor(&images[1].narrow(2, 0, 2)).sum(Kind::Double);
        assert!((alike.double_value(&[]) / 256.0 - 0.5).abs() < 0.16, "{alike}");
    }
}
