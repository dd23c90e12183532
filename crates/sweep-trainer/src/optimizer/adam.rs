//! Adam (arXiv 1412.6980) in the form that Keras computes, which the paper gives at the end of its section 2.

use tch::{Device, Kind, TchError, Tensor};

use super::{Rule, lying_like, zeros};
use crate::network::Parameter;
use sweep_core::recipe::Moments;

/// Mean gradient and mean squared gradient of each weight.
pub(super) struct Adam {
    m: Vec<Tensor>,
    v: Vec<Tensor>,
    constants: Moments,
}

impl Adam {
    pub(super) fn new(parameters: &[Parameter], constants: Moments) -> Result<Adam, TchError> {
        Ok(Adam { m: zeros(parameters)?, v: zeros(parameters)?, constants })
    }
}

impl Rule for Adam {
    /// The correction of both means' start from zero goes into the step size, so that `epsilon` is added to the
    /// uncorrected root: Keras' and TensorFlow's way, not PyTorch's.
    fn update(
        &mut self,
        index: usize,
        weight: &mut Tensor,
        gradient: &Tensor,
        rate: f64,
        step: u64,
    ) -> Result<(), TchError> {
        let Moments { beta1, beta2, epsilon } = self.constants;
        let (m, v) = (&mut self.m[index], &mut self.v[index]);
        let at = step as f64;
        let rate = rate * (1.0 - beta2.powf(at)).sqrt() / (1.0 - beta1.powf(at));
        if weight.device() == Device::Cpu && weight.kind() == Kind::Float {
            return sweep_kernels::adam(weight, &lying_like(weight, gradient)?, [m, v], [beta1, beta2], rate, epsilon);
        }
        let _ = m.f_lerp_(gradient, 1.0 - beta1)?;
        let _ = v.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
        let denominator = v.f_sqrt()?.f_add_scalar_(epsilon)?;
        let _ = weight.f_addcdiv_(&m.f_mul_scalar(-rate)?, &denominator)?;
        Ok(())
    }

    fn takes_any_kind(&self) -> bool {
        true
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("adam.m", &self.m), ("adam.v", &self.v)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, parameter, values};
    use super::*;

    /// m = 0.05, v = 0.00025, rate 0.1 * sqrt(0.001) / 0.1 = 0.0316228; then m = 0.07, v = 0.00031225, rate
    /// 0.1 * sqrt(0.001999) / 0.19 = 0.0235317. An epsilon this large shows where it is added.
    #[test]
    fn two_steps_are_as_keras_computes_them() {
        let mut weight = parameter(&[1.0], 1);
        let constants = Moments { epsilon: 0.01, ..Moments::default() };
        let mut adam = Adam::new(std::slice::from_ref(&weight), constants).unwrap();
        for (step, gradient, expected) in [(1, 0.5f32, 1.0 - 0.061_257_5), (2, 0.25, 1.0 - 0.061_257_5 - 0.059_529_4)] {
            let gradient = Tensor::from_slice(&[gradient]).view([1, 1]);
            adam.update(0, &mut weight.tensor, &gradient, 0.1, step).unwrap();
            assert_near(&values(&weight.tensor), &[expected]);
        }
    }
}
