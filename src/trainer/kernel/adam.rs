//! Adam's update in one pass.

use pulp::Arch;
use tch::{TchError, Tensor};

use super::memory::{Bfloat16, Element, values, values_mut};

/// Moves `weight` (float32) against `gradient` (float32 or bfloat16, lying likewise): `m` and `v` move towards the
/// gradient and its square by `1 - betas`, and the weight by `rate * m / (sqrt(v) + epsilon)`.
///
/// # Errors
/// libtorch's.
pub fn adam(
    weight: &mut Tensor,
    gradient: &Tensor,
    [m, v]: [&mut Tensor; 2],
    betas: [f64; 2],
    rate: f64,
    epsilon: f64,
) -> Result<(), TchError> {
    let (weight, m, v) = (values_mut::<f32>(weight), values_mut::<f32>(m), values_mut::<f32>(v));
    let constants = [betas[0] as f32, betas[1] as f32, (1.0 - betas[0]) as f32, (1.0 - betas[1]) as f32];
    let (rate, epsilon) = (rate as f32, epsilon as f32);
    match gradient.f_kind()? {
        tch::Kind::BFloat16 => {
            Arch::new().dispatch(|| pass::<Bfloat16>(weight, values(gradient), m, v, constants, rate, epsilon));
        }
        _ => Arch::new().dispatch(|| pass::<f32>(weight, values(gradient), m, v, constants, rate, epsilon)),
    }
    Ok(())
}

#[inline(always)]
fn pass<G: Element>(
    weight: &mut [f32],
    gradient: &[G],
    m: &mut [f32],
    v: &mut [f32],
    [keep_m, keep_v, take_m, take_v]: [f32; 4],
    rate: f32,
    epsilon: f32,
) {
    for (((weight, gradient), m), v) in weight.iter_mut().zip(gradient).zip(m).zip(v) {
        let gradient = gradient.value();
        *m = keep_m * *m + take_m * gradient;
        *v = keep_v * *v + take_v * (gradient * gradient);
        *weight -= rate * *m / (v.sqrt() + epsilon);
    }
}
