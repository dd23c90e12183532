//! ReLU and dropout fused into one pass, forward and backward, in the input's memory.

use tch::Tensor;

use super::memory::{Element, values, values_mut, with_element};
use super::{Chance, Pass, run};

/// Number of values whose random bits are drawn together.
pub(super) const ROW: usize = 1024;

/// Stored instead of an index within a pooling window when the value was not passed on.
pub(super) const SHUT: u8 = u8::MAX;

/// A fused activation: ReLU, dropout, or both.
#[derive(Debug, Clone, Copy)]
pub struct FusedActivation {
    /// Whether negative values are set to zero.
    pub relu: bool,
    /// Dropout probability, at least 0 and less than 1, with the source of its bits. The probability is rounded to a
    /// multiple of 1/65536. The values that are kept are scaled by the factor for the rounded probability.
    pub dropout: Option<(f64, Chance)>,
}

impl FusedActivation {
    /// Returns the parameters of dropout: the threshold below which 16 random bits drop a value, the scale of kept
    /// values, and the key of the bits.
    pub fn dropped(self) -> (u16, f32, [u32; 2]) {
        let open = Open::new(self);
        (open.least, open.scale, open.chance.key())
    }

    /// Applies the activation in place, to values of any shape.
    ///
    /// # Panics
    /// Panics if the values are not contiguous in memory.
    pub fn pass(self, xs: &mut Tensor) {
        let open = Open::new(self);
        with_element!(xs.kind(), T => run(Forward { open, before: 0, xs: values_mut::<T>(xs) }));
    }

    /// Turns the gradient with respect to the output `ys` into the gradient with respect to the input, in place. Both
    /// tensors have the same memory layout.
    ///
    /// # Panics
    /// Panics if the layouts differ or the values are not contiguous in memory.
    pub fn gradient(self, gradient: &mut Tensor, ys: &Tensor) {
        assert_eq!((gradient.size(), gradient.stride()), (ys.size(), ys.stride()));
        let open = Open::new(self);
        // With ReLU, the values that were passed on are those above zero, so the random bits are not needed.
        with_element!(ys.kind(), T => match self.relu {
            true => run(Backward { scale: open.scale, gradient: values_mut::<T>(gradient), ys: values::<T>(ys) }),
            false => run(Forward { open, before: 0, xs: values_mut::<T>(gradient) }),
        });
    }
}

struct Forward<'a, T> {
    open: Open,
    /// Number of values before these.
    before: usize,
    xs: &'a mut [T],
}

impl<T: Element> Pass for Forward<'_, T> {
    fn size(&self) -> usize {
        self.xs.len()
    }

    /// Each half starts on a row boundary, as it does in the whole tensor.
    fn halves(self) -> (Self, Self) {
        let Forward { open, before, xs } = self;
        let middle = (xs.len() / 2).next_multiple_of(ROW);
        let (first, second) = xs.split_at_mut(middle);
        (Forward { open, before, xs: first }, Forward { open, before: before + middle, xs: second })
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let mut bits = [0; ROW];
        for (row, xs) in self.xs.chunks_mut(ROW).enumerate() {
            self.open.draw(self.before + row * ROW, &mut bits);
            for (x, &bits) in xs.iter_mut().zip(&bits) {
                *x = if self.open.lets(*x, bits) { x.times(self.open.scale) } else { T::ZERO };
            }
        }
    }
}

struct Backward<'a, T> {
    scale: f32,
    gradient: &'a mut [T],
    ys: &'a [T],
}

impl<T: Element> Pass for Backward<'_, T> {
    fn size(&self) -> usize {
        self.gradient.len()
    }

    fn halves(self) -> (Self, Self) {
        let Backward { scale, gradient, ys } = self;
        let middle = gradient.len() / 2;
        let ((first, second), ys) = (gradient.split_at_mut(middle), ys.split_at(middle));
        (Backward { scale, gradient: first, ys: ys.0 }, Backward { scale, gradient: second, ys: ys.1 })
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        for (gradient, y) in self.gradient.iter_mut().zip(self.ys) {
            *gradient = if lets_through(true, *y) { gradient.times(self.scale) } else { T::ZERO };
        }
    }
}

/// Returns whether ReLU, if there is one, lets a value through. NaN is let through, so that it is not hidden.
#[inline(always)]
pub(super) fn lets_through<T: Element>(relu: bool, value: T) -> bool {
    !relu | value.above(T::ZERO) | value.is_nan()
}

/// A fused activation in the form that the passes need.
#[derive(Clone, Copy)]
pub(super) struct Open {
    relu: bool,
    /// A value is dropped if its 16 random bits are below this threshold.
    least: u16,
    pub scale: f32,
    chance: Chance,
}

impl Open {
    pub fn new(activation: FusedActivation) -> Open {
        let (rate, chance) = activation.dropout.unwrap_or((0.0, Chance::new([0, 0])));
        let dropped = (rate * 65536.0).round().min(65535.0);
        let scale = (65536.0 / (65536.0 - dropped)) as f32;
        Open { relu: activation.relu, least: dropped as u16, scale, chance }
    }

    /// Draws the random bits of a row of values. `before` is the number of values in front of the row.
    #[inline(always)]
    fn draw(self, before: usize, bits: &mut [u16; ROW]) {
        if self.least > 0 {
            self.chance.fill((before / 2) as u32, bits);
        }
    }

    /// Returns whether a value is passed on.
    #[inline(always)]
    fn lets<T: Element>(self, x: T, bits: u16) -> bool {
        lets_through(self.relu, x) & (bits >= self.least)
    }

    /// Applies the activation in place and writes [`SHUT`] to `which` for each value that was not passed on. `before`
    /// is the number of values in front of these.
    #[inline(always)]
    pub fn pass_noting<T: Element>(self, before: usize, xs: &mut [T], which: &mut [u8]) {
        let mut bits = [0; ROW];
        for (row, (xs, which)) in xs.chunks_mut(ROW).zip(which.chunks_mut(ROW)).enumerate() {
            self.draw(before + row * ROW, &mut bits);
            for ((x, which), &bits) in xs.iter_mut().zip(which).zip(&bits) {
                let open = self.lets(*x, bits);
                *x = if open { x.times(self.scale) } else { T::ZERO };
                *which = if open { *which } else { SHUT };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const CHANCE: Chance = Chance::new([3, 5]);

    #[test]
    fn without_dropout_a_gate_is_relu_forward_and_backward() {
        for kind in [Kind::Float, Kind::BFloat16, Kind::Double] {
            let xs = Tensor::randn([3, 7, 9, 5], (Kind::Float, Device::Cpu)).to_kind(kind).permute([0, 3, 1, 2]);
            let theirs = xs.copy().set_requires_grad(true);
            let activation = FusedActivation { relu: true, dropout: None };
            let mut ys = xs.copy();
            activation.pass(&mut ys);
            let expected = theirs.relu();
            assert!(ys.equal(&expected), "{kind:?}");
            let mut gradient = ys.randn_like();
            (&expected * &gradient).sum(kind).backward();
            activation.gradient(&mut gradient, &ys);
            assert!(gradient.equal(&theirs.grad()), "{kind:?}");
        }
    }

    #[test]
    fn what_dropout_lets_through_forward_it_lets_through_backward() {
        for (kind, relu) in
            [(Kind::Float, true), (Kind::BFloat16, true), (Kind::BFloat16, false), (Kind::Double, false)]
        {
            let xs = Tensor::randn([3, 7, 9, 50], (Kind::Float, Device::Cpu)).to_kind(kind);
            let activation = FusedActivation { relu, dropout: Some((0.3, CHANCE)) };
            let mut ys = xs.copy();
            activation.pass(&mut ys);
            let mut gradient = xs.ones_like();
            activation.gradient(&mut gradient, &ys);
            assert!(gradient.ne(0.0).equal(&ys.ne(0.0)), "{kind:?} {relu}");
            assert!((gradient.max().double_value(&[]) * 0.7 - 1.0).abs() < 4e-3, "{kind:?} {relu}");
        }
    }

    #[test]
    fn a_gate_drops_its_share_and_keeps_the_mean() {
        let pass = |key| {
            let mut xs = Tensor::ones([64, 16, 16, 32], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
            FusedActivation { relu: true, dropout: Some((0.2, Chance::new(key))) }.pass(&mut xs);
            xs
        };
        let first = pass([3, 5]);
        let (n, passed) = (first.numel() as f64, first.gt(0.0).sum(Kind::Double).double_value(&[]));
        // Five standard deviations of a binomial proportion.
        let bound = 5.0 * (0.2 * 0.8 / n).sqrt();
        assert!((passed / n - 0.8).abs() < bound, "{}", passed / n);
        assert!((first.sum(Kind::Double).double_value(&[]) / n - 1.0).abs() < bound / 0.8);
        assert!((first.max().double_value(&[]) - 1.25).abs() < 1e-4);
        assert!(first.equal(&pass([3, 5])) && !first.equal(&pass([3, 6])) && !first.equal(&pass([4, 5])));
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let mut xs = Tensor::from_slice(&[1.0_f32, f32::NAN, -1.0, 2.0]).to_kind(kind);
            FusedActivation { relu: true, dropout: None }.pass(&mut xs);
            assert!(!xs.sum(Kind::Float).double_value(&[]).is_finite());
        }
    }
}
