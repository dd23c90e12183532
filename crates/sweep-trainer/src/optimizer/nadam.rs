//! Nadam (Dozat 2016, "Incorporating Nesterov Momentum into Adam") as Keras computes it.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::network::Parameter;
use sweep_core::recipe::Moments;

/// Mean gradient and mean squared gradient of each weight.
pub(super) struct Nadam {
    m: Vec<Tensor>,
    v: Vec<Tensor>,
    constants: Moments,
}

impl Nadam {
    pub(super) fn new(parameters: &[Parameter], constants: Moments) -> Result<Nadam, TchError> {
        Ok(Nadam { m: zeros(parameters)?, v: zeros(parameters)?, constants })
    }

    /// The momentum of a step: it grows towards `beta1` within the first hundred.
    fn momentum(&self, step: u64) -> f64 {
        self.constants.beta1 * (1.0 - 0.5 * 0.96_f64.powf(step as f64))
    }

    /// The product of the momenta up to a step. A function of the step alone, so that no checkpoint has to hold it.
    fn product(&self, step: u64) -> f64 {
        let mut product = 1.0;
        for step in 1..=step {
            product *= self.momentum(step);
            // 1 less it is 1 from here on.
            if product < f64::EPSILON / 4.0 {
                return 0.0;
            }
        }
        product
    }
}

impl Rule for Nadam {
    fn update(
        &mut self,
        index: usize,
        weight: &mut Tensor,
        gradient: &Tensor,
        rate: f64,
        step: u64,
    ) -> Result<(), TchError> {
        let Moments { beta1, beta2, epsilon } = self.constants;
        let (now, next, product) = (self.momentum(step), self.momentum(step + 1), self.product(step));
        let (m, v) = (&mut self.m[index], &mut self.v[index]);
        let _ = m.f_lerp_(gradient, 1.0 - beta1)?;
        let _ = v.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
        let ahead = m.f_mul_scalar(next / (1.0 - product * next))?;
        let ahead = ahead.f_add(&gradient.f_mul_scalar((1.0 - now) / (1.0 - product))?)?;
        let corrected = v.f_div_scalar(1.0 - beta2.powf(step as f64))?;
        let denominator = corrected.f_sqrt()?.f_add_scalar_(epsilon)?;
        let _ = weight.f_addcdiv_(&ahead.f_mul_scalar(-rate)?, &denominator)?;
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("nadam.m", &self.m), ("nadam.v", &self.v)]
    }
}
