//! Adadelta (arXiv 1212.5701).

use tch::{TchError, Tensor};

use super::{Rule, zeros};
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
    fn update(
        &mut self,
        index: usize,
        weight: &mut Tensor,
        gradient: &Tensor,
        rate: f64,
        _step: u64,
    ) -> Result<(), TchError> {
        let (gradients, updates) = (&mut self.gradients[index], &mut self.updates[index]);
        let _ = gradients.f_lerp_(&gradient.f_square()?, 1.0 - self.rho)?;
        let ratio = updates.f_add_scalar(self.epsilon)?.f_div_(&gradients.f_add_scalar(self.epsilon)?)?;
        let update = ratio.f_sqrt()?.f_mul_(gradient)?;
        let _ = updates.f_lerp_(&update.f_square()?, 1.0 - self.rho)?;
        let _ = weight.f_add_(&update.f_mul_scalar(-rate)?)?;
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("adadelta.gradients", &self.gradients), ("adadelta.updates", &self.updates)]
    }
}
