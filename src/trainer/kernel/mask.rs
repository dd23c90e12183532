//! What a gate lets through, as one factor a value: ReLU and dropout in a single pass.

use pulp::Arch;
use tch::{Kind, TchError, Tensor};

use super::Chance;
use super::memory::{Bfloat16, Element, values, values_mut};

/// Values whose bits are drawn together.
const ROW: usize = 1024;

/// What is let through.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// Whether values below zero are stopped.
    pub relu: bool,
    /// The share that dropout stops, 0 to below 1.
    pub rate: f64,
}

/// The factors to multiply values of any shape with: 0 for what is stopped, 1 / (1 - rate) for what passes. The share is
/// exact to 1/65536, and the factor is the one for the exact share.
///
/// # Errors
/// libtorch's, where there is no room.
///
/// # Panics
/// If the values have gaps between them.
pub fn mask(xs: &Tensor, gate: Gate, chance: Chance) -> Result<Tensor, TchError> {
    match xs.f_kind()? {
        Kind::BFloat16 => typed::<Bfloat16>(xs, gate, chance),
        Kind::Double => typed::<f64>(xs, gate, chance),
        _ => typed::<f32>(xs, gate, chance),
    }
}

fn typed<T: Element>(xs: &Tensor, gate: Gate, chance: Chance) -> Result<Tensor, TchError> {
    let dropped = (gate.rate * 65536.0).round().min(65535.0);
    let pass =
        Pass { relu: gate.relu, least: dropped as u16, scale: T::of((65536.0 / (65536.0 - dropped)) as f32), chance };
    let mut mask = xs.f_empty_like()?;
    let (values, factors) = (values::<T>(xs), values_mut::<T>(&mut mask));
    Arch::new().dispatch(|| pass.each(values, factors));
    Ok(mask)
}

#[derive(Clone, Copy)]
struct Pass<T> {
    relu: bool,
    /// A value is dropped if its 16 bits are below this.
    least: u16,
    scale: T,
    chance: Chance,
}

impl<T: Element> Pass<T> {
    #[inline(always)]
    fn each(self, values: &[T], factors: &mut [T]) {
        let mut bits = [0; ROW];
        for (number, (values, factors)) in values.chunks(ROW).zip(factors.chunks_mut(ROW)).enumerate() {
            let bits = &mut bits[..values.len()];
            self.draw(number * ROW / 2, bits);
            for ((factor, value), bits) in factors.iter_mut().zip(values).zip(bits) {
                let open = (!self.relu | (value.value() > 0.0)) & (*bits >= self.least);
                *factor = if open { self.scale } else { T::ZERO };
            }
        }
    }

    #[inline(always)]
    fn draw(self, first: usize, bits: &mut [u16]) {
        if self.least > 0 {
            self.chance.fill(first as u32, bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const CHANCE: Chance = Chance::new([3, 5]);

    #[test]
    fn a_gate_is_relu_and_so_are_its_gradients() {
        for kind in [Kind::Float, Kind::BFloat16, Kind::Double] {
            let xs = Tensor::randn([3, 7, 9, 5], (Kind::Float, Device::Cpu)).to_kind(kind).permute([0, 3, 1, 2]);
            let (ours, theirs) = (xs.copy().set_requires_grad(true), xs.copy().set_requires_grad(true));
            let found = &ours * mask(&ours, Gate { relu: true, rate: 0.0 }, CHANCE).unwrap();
            let expected = theirs.relu();
            assert!(found.equal(&expected), "{kind:?}");
            let weights = Tensor::randn(found.size(), (Kind::Float, Device::Cpu)).to_kind(kind);
            (&found * &weights).sum(kind).backward();
            (&expected * &weights).sum(kind).backward();
            assert!(ours.grad().equal(&theirs.grad()), "{kind:?}");
        }
    }

    #[test]
    fn a_gate_drops_its_share_and_keeps_the_mean() {
        let xs = Tensor::ones([64, 16, 16, 32], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        let draw = |key| mask(&xs, Gate { relu: true, rate: 0.2 }, Chance::new(key)).unwrap();
        let first = draw([3, 5]);
        let (n, passed) = (xs.numel() as f64, first.gt(0.0).sum(Kind::Double).double_value(&[]));
        // Five standard deviations of a binomial share.
        let bound = 5.0 * (0.2 * 0.8 / n).sqrt();
        assert!((passed / n - 0.8).abs() < bound, "{}", passed / n);
        assert!((first.sum(Kind::Double).double_value(&[]) / n - 1.0).abs() < bound / 0.8);
        assert!((first.max().double_value(&[]) - 1.25).abs() < 1e-4);
        assert!(first.equal(&draw([3, 5])) && !first.equal(&draw([3, 6])) && !first.equal(&draw([4, 5])));
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        let xs = Tensor::from_slice(&[1.0_f32, f32::NAN, -1.0, 2.0]);
        let mask = mask(&xs, Gate { relu: true, rate: 0.0 }, CHANCE).unwrap();
        assert!((&xs * mask).sum(Kind::Float).double_value(&[]).is_nan());
    }
}
