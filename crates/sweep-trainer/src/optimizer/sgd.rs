//! Stochastic gradient descent, with momentum as Keras computes it.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::network::Parameter;

/// The last update of each weight; nothing without momentum.
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
    /// The step size is part of the velocity, so a change of it acts gradually: Keras' way, not PyTorch's.
    fn update(
        &mut self,
        index: usize,
        weight: &mut Tensor,
        gradient: &Tensor,
        rate: f64,
        _step: u64,
    ) -> Result<(), TchError> {
        let descent = gradient.f_mul_scalar(-rate)?;
        let Some(velocity) = self.velocity.get_mut(index) else {
            let _ = weight.f_add_(&descent)?;
            return Ok(());
        };
        let _ = velocity.f_mul_scalar_(self.momentum)?.f_add_(&descent)?;
        if self.nesterov {
            let _ = weight.f_add_(&velocity.f_mul_scalar(self.momentum)?.f_add_(&descent)?)?;
        } else {
            let _ = weight.f_add_(velocity)?;
        }
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        if self.velocity.is_empty() { Vec::new() } else { vec![("sgd.velocity", &self.velocity)] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, parameter, values};
    use super::*;

    fn after_two_steps(momentum: f64, nesterov: bool) -> Vec<f64> {
        let mut weight = parameter(&[1.0], 1);
        let mut sgd = Sgd::new(std::slice::from_ref(&weight), momentum, nesterov).unwrap();
        for step in 1..=2 {
            sgd.update(0, &mut weight.tensor, &Tensor::from_slice(&[1.0f32]).view([1, 1]), 0.1, step).unwrap();
        }
        values(&weight.tensor)
    }

    #[test]
    fn two_steps_with_gradient_one_are_as_keras_computes_them() {
        assert_near(&after_two_steps(0.0, false), &[0.8]);
        // Velocity -0.1, then 0.9 * -0.1 - 0.1 = -0.19.
        assert_near(&after_two_steps(0.9, false), &[1.0 - 0.1 - 0.19]);
        // 0.9 * -0.1 - 0.1 = -0.19, then 0.9 * -0.19 - 0.1 = -0.271.
        assert_near(&after_two_steps(0.9, true), &[1.0 - 0.19 - 0.271]);
    }
}
