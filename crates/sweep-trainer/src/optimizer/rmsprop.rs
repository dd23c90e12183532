//! RMSprop (Tieleman and Hinton 2012) as Keras computes it.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::libtorch::{Scalar, each};
use crate::network::Parameter;

/// Mean squared gradient of each weight and, with momentum, its last update.
pub(super) struct Rmsprop {
    square: Vec<Tensor>,
    velocity: Vec<Tensor>,
    rho: f64,
    momentum: f64,
    epsilon: f64,
}

impl Rmsprop {
    pub(super) fn new(parameters: &[Parameter], rho: f64, momentum: f64, epsilon: f64) -> Result<Rmsprop, TchError> {
        let velocity = if momentum == 0.0 { Vec::new() } else { zeros(parameters)? };
        Ok(Rmsprop { square: zeros(parameters)?, velocity, rho, momentum, epsilon })
    }
}

impl Rule for Rmsprop {
    fn numbers(&self, rate: f64, _step: u64) -> Vec<f64> {
        vec![-rate]
    }

    /// `epsilon` is added under the root, and the step size is part of the velocity. Keras does this, PyTorch does not.
    fn update(&mut self, weights: &[Tensor], gradients: &[Tensor], numbers: &[Scalar]) -> Result<(), TchError> {
        each::lerp_(&self.square, &each::mul(gradients, gradients)?, 1.0 - self.rho)?;
        let roots = each::add_scalar(&self.square, self.epsilon)?;
        each::sqrt_(&roots)?;
        each::scale_(gradients, &numbers[0])?;
        each::div_(gradients, &roots)?;
        if self.velocity.is_empty() {
            return each::add_(weights, gradients, 1.0);
        }
        each::scale_(&self.velocity, &self.momentum.into())?;
        each::add_(&self.velocity, gradients, 1.0)?;
        each::add_(weights, &self.velocity, 1.0)
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        let mut state = vec![("rmsprop.square", &self.square[..])];
        if !self.velocity.is_empty() {
            state.push(("rmsprop.velocity", &self.velocity));
        }
        state
    }
}
