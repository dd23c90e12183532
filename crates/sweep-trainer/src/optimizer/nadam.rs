//! Nadam (Dozat 2016, "Incorporating Nesterov Momentum into Adam") as Keras computes it.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::libtorch::{Scalar, each};
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

    /// Returns the momentum of a step. It grows toward `beta1` within about the first hundred steps.
    fn momentum(&self, step: u64) -> f64 {
        self.constants.beta1 * (1.0 - 0.5 * 0.96_f64.powf(step as f64))
    }

    /// Returns the product of the momenta up to a step. It depends only on the step, so no checkpoint has to store it.
    fn product(&self, step: u64) -> f64 {
        let mut product = 1.0;
        for step in 1..=step {
            product *= self.momentum(step);
            // From here on, 1 - product rounds to 1.
            if product < f64::EPSILON / 4.0 {
                return 0.0;
            }
        }
        product
    }
}

impl Rule for Nadam {
    /// Returns the factors of the mean gradient and of the gradient in the step, and the factor of the mean square
    /// before its root.
    fn numbers(&self, rate: f64, step: u64) -> Vec<f64> {
        let (now, next, product) = (self.momentum(step), self.momentum(step + 1), self.product(step));
        let ahead = -rate * next / (1.0 - product * next);
        let here = -rate * (1.0 - now) / (1.0 - product);
        vec![ahead, here, 1.0 / (1.0 - self.constants.beta2.powf(step as f64))]
    }

    fn update(&mut self, weights: &[Tensor], gradients: &[Tensor], numbers: &[Scalar]) -> Result<(), TchError> {
        let Moments { beta1, beta2, epsilon } = self.constants;
        each::lerp_(&self.m, gradients, 1.0 - beta1)?;
        each::lerp_(&self.v, &each::mul(gradients, gradients)?, 1.0 - beta2)?;
        let steps = each::scale(&self.m, &numbers[0])?;
        each::scale_(gradients, &numbers[1])?;
        each::add_(&steps, gradients, 1.0)?;
        let denominators = each::scale(&self.v, &numbers[2])?;
        each::sqrt_(&denominators)?;
        each::add_scalar_(&denominators, epsilon)?;
        each::addcdiv_(weights, &steps, &denominators)
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("nadam.m", &self.m), ("nadam.v", &self.v)]
    }
}
