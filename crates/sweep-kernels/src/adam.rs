//! Adam's update in one pass over memory.

use tch::{Kind, TchError, Tensor};

use super::memory::{Bfloat16, Element, values, values_mut};
use super::{Pass, run};

/// Applies one Adam update to `weight` (float32), given `gradient` (float32 or bfloat16, with the same memory layout).
/// `m` and `v` move toward the gradient and its square by `1 - betas`. Then `rate * m / (sqrt(v) + epsilon)` is
/// subtracted from the weight.
///
/// # Errors
/// Returns libtorch's error.
pub fn adam(
    weight: &mut Tensor,
    gradient: &Tensor,
    [m, v]: [&mut Tensor; 2],
    betas: [f64; 2],
    rate: f64,
    epsilon: f64,
) -> Result<(), TchError> {
    let (weight, m, v) = (values_mut::<f32>(weight), values_mut::<f32>(m), values_mut::<f32>(v));
    let betas = betas.map(|beta| (beta as f32, (1.0 - beta) as f32));
    let (rate, epsilon) = (rate as f32, epsilon as f32);
    match gradient.f_kind()? {
        Kind::BFloat16 => run(Adam { weight, gradient: values::<Bfloat16>(gradient), m, v, betas, rate, epsilon }),
        _ => run(Adam { weight, gradient: values::<f32>(gradient), m, v, betas, rate, epsilon }),
    }
    Ok(())
}

struct Adam<'a, G> {
    weight: &'a mut [f32],
    gradient: &'a [G],
    m: &'a mut [f32],
    v: &'a mut [f32],
    /// For m and for v: the fraction of the old value that is kept, and the fraction of the new value that is added.
    betas: [(f32, f32); 2],
    rate: f32,
    epsilon: f32,
}

impl<G: Element> Pass for Adam<'_, G> {
    fn size(&self) -> usize {
        self.weight.len()
    }

    fn halves(self) -> (Self, Self) {
        let middle = self.weight.len() / 2;
        let Adam { betas, rate, epsilon, .. } = self;
        let (weight, gradient) = (self.weight.split_at_mut(middle), self.gradient.split_at(middle));
        let (m, v) = (self.m.split_at_mut(middle), self.v.split_at_mut(middle));
        (
            Adam { weight: weight.0, gradient: gradient.0, m: m.0, v: v.0, betas, rate, epsilon },
            Adam { weight: weight.1, gradient: gradient.1, m: m.1, v: v.1, betas, rate, epsilon },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        let Adam { weight, gradient, m, v, betas: [of_m, of_v], rate, epsilon } = self;
        for (((weight, gradient), m), v) in weight.iter_mut().zip(gradient).zip(m).zip(v) {
            let gradient = gradient.value();
            *m = of_m.0 * *m + of_m.1 * gradient;
            *v = of_v.0 * *v + of_v.1 * (gradient * gradient);
            *weight -= rate * *m / (v.sqrt() + epsilon);
        }
    }
}
