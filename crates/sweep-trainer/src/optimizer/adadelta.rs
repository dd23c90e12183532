//! Adadelta (arXiv 1212.5701).

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::libtorch::{Scalar, each};
use crate::network::Parameter;

/// Mean squared gradient and mean squared update of each weight.
pub(super) struct Adadelta {
    gradients: Vec<Tensor>,
    updates: Vec<Tensor>,
    rho: f64,
    epsilon: f64,
}

impl Adadelta {
    pub(super) fn new(parameters: &[Parameter], rho: f64, epsilon: f64) -> Result<Adadelta, TchError> {
        Ok(Adadelta { gradients: zeros(parameters)?, updates: zeros(parameters)?, rho, epsilon })
    }
}

impl Rule for Adadelta {
    fn numbers(&self, rate: f64, _step: u64) -> Vec<f64> {
        vec![-rate]
    }

    fn update(&mut self, weights: &[Tensor], gradients: &[Tensor], numbers: &[Scalar]) -> Result<(), TchError> {
        each::lerp_(&self.gradients, &each::mul(gradients, gradients)?, 1.0 - self.rho)?;
        let updates = each::add_scalar(&self.updates, self.epsilon)?;
        each::div_(&updates, &each::add_scalar(&self.gradients, self.epsilon)?)?;
        each::sqrt_(&updates)?;
        each::mul_(&updates, gradients)?;
        each::lerp_(&self.updates, &each::mul(&updates, &updates)?, 1.0 - self.rho)?;
        each::scale_(&updates, &numbers[0])?;
        each::add_(weights, &updates, 1.0)
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("adadelta.gradients", &self.gradients), ("adadelta.updates", &self.updates)]
    }
}
