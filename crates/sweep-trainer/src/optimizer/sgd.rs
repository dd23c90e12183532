//! Stochastic gradient descent, with momentum as Keras computes it.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::libtorch::{Scalar, each};
use crate::network::Parameter;

/// The last update of each weight. Empty without momentum.
pub(super) struct Sgd {
    velocity: Vec<Tensor>,
    momentum: f64,
    nesterov: bool,
}

impl Sgd {
    pub(super) fn new(parameters: &[Parameter], momentum: f64, nesterov: bool) -> Result<Sgd, TchError> {
        let velocity = if momentum == 0.0 { Vec::new() } else { zeros(parameters)? };
        Ok(Sgd { velocity, momentum, nesterov })
    }
}

impl Rule for Sgd {
    /// The step size is part of the velocity, so a change of the step size takes effect gradually. Keras does this,
    /// PyTorch does not.
    fn numbers(&self, rate: f64, _step: u64) -> Vec<f64> {
        vec![-rate]
    }

    fn update(&mut self, weights: &[Tensor], gradients: &[Tensor], numbers: &[Scalar]) -> Result<(), TchError> {
        each::scale_(gradients, &numbers[0])?;
        if self.velocity.is_empty() {
            return each::add_(weights, gradients, 1.0);
        }
        each::scale_(&self.velocity, &self.momentum.into())?;
        each::add_(&self.velocity, gradients, 1.0)?;
        if self.nesterov {
            each::add_(gradients, &self.velocity, self.momentum)?;
            each::add_(weights, gradients, 1.0)
        } else {
            each::add_(weights, &self.velocity, 1.0)
        }
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        if self.velocity.is_empty() { Vec::new() } else { vec![("sgd.velocity", &self.velocity)] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, one_step, parameter, values};
    use super::*;

    fn after_two_steps(momentum: f64, nesterov: bool) -> Vec<f64> {
        let weight = parameter(&[1.0], 1);
        let mut sgd = Sgd::new(std::slice::from_ref(&weight), momentum, nesterov).unwrap();
        for step in 1..=2 {
            one_step(&mut sgd, &weight, 1.0, 0.1, step);
        }
        values(&weight.tensor)
    }

    #[test]
    fn two_steps_with_gradient_one_are_as_keras_computes_them() {
        assert_near(&after_two_steps(0.0, false), &[0.8]);
        // The velocity is -0.1, then 0.9 * -0.1 - 0.1 = -0.19.
        assert_near(&after_two_steps(0.9, false), &[1.0 - 0.1 - 0.19]);
        // The steps are 0.9 * -0.1 - 0.1 = -0.19, then 0.9 * -0.19 - 0.1 = -0.271.
        assert_near(&after_two_steps(0.9, true), &[1.0 - 0.19 - 0.271]);
    }
}
