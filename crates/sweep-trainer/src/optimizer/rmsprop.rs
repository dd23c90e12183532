//! RMSprop (Tieleman and Hinton 2012) as Keras computes it.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
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
    /// `epsilon` is added below the root and the step size is part of the velocity: Keras' way, not PyTorch's.
    fn update(
        &mut self,
        index: usize,
        weight: &mut Tensor,
        gradient: &Tensor,
        rate: f64,
        _step: u64,
    ) -> Result<(), TchError> {
        let square = &mut self.square[index];
        let _ = square.f_lerp_(&gradient.f_square()?, 1.0 - self.rho)?;
        let root = square.f_add_scalar(self.epsilon)?.f_sqrt()?;
        let descent = gradient.f_mul_scalar(-rate)?.f_div_(&root)?;
        let _ = match self.velocity.get_mut(index) {
            Some(velocity) => weight.f_add_(&velocity.f_mul_scalar_(self.momentum)?.f_add_(&descent)?)?,
            None => weight.f_add_(&descent)?,
        };
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        let mut state = vec![("rmsprop.square", &self.square[..])];
        if !self.velocity.is_empty() {
            state.push(("rmsprop.velocity", &self.velocity));
        }
        state
    }
}
