//! Adam (arXiv 1412.6980) in the form that Keras computes, which the paper gives at the end of its section 2.

use tch::{Kind, TchError, Tensor};

use super::{Rule, has_kernel, zeros};
use crate::gpu_kernel;
use crate::libtorch::{Scalar, fused_adam};
use crate::network::Parameter;
use sweep_core::recipe::Moments;

/// Mean gradient and mean squared gradient of each weight.
pub(super) struct Adam {
    m: Vec<Tensor>,
    v: Vec<Tensor>,
    constants: Moments,
    /// A step number on the device. It is so large that either beta raised to it is 0.
    settled: Tensor,
    /// Whether sweep's own CPU kernel updates the weights.
    by_kernel: bool,
    /// Whether sweep's own GPU kernel updates the weights.
    by_gpu_kernel: bool,
}

impl Adam {
    pub(super) fn new(parameters: &[Parameter], constants: Moments) -> Result<Adam, TchError> {
        let first = &parameters[0].tensor;
        let settled = Tensor::f_full([0; 0], 1e30, (Kind::Float, first.device()))?;
        let by_kernel = parameters.iter().all(|parameter| has_kernel(&parameter.tensor));
        let floats = parameters.iter().all(|parameter| parameter.tensor.kind() == Kind::Float);
        let by_gpu_kernel = floats && gpu_kernel::serve(first.device());
        Ok(Adam { m: zeros(parameters)?, v: zeros(parameters)?, constants, settled, by_kernel, by_gpu_kernel })
    }
}

impl Rule for Adam {
    /// The step size contains the bias correction of both means, so that `epsilon` is added to the uncorrected root.
    /// Keras and TensorFlow do this, PyTorch does not.
    fn numbers(&self, rate: f64, step: u64) -> Vec<f64> {
        let Moments { beta1, beta2, .. } = self.constants;
        let at = step as f64;
        vec![rate * (1.0 - beta2.powf(at)).sqrt() / (1.0 - beta1.powf(at))]
    }

    fn update(&mut self, weights: &[Tensor], gradients: &[Tensor], numbers: &[Scalar]) -> Result<(), TchError> {
        let Moments { beta1, beta2, epsilon } = self.constants;
        let (betas, rate) = ([beta1, beta2], &numbers[0]);
        if !self.by_kernel {
            return fused_adam(weights, gradients, [&self.m, &self.v], &self.settled, rate, betas, epsilon);
        }
        let means = self.m.iter_mut().zip(&mut self.v);
        for ((weight, gradient), (m, v)) in weights.iter().zip(gradients).zip(means) {
            sweep_kernels::adam(&mut weight.shallow_clone(), gradient, [m, v], betas, rate.value, epsilon)?;
        }
        Ok(())
    }

    fn update_with_copies(
        &mut self,
        weights: &[Tensor],
        gradients: &[Tensor],
        numbers: &[Scalar],
        copies: &[Option<Tensor>],
    ) -> Result<bool, TchError> {
        if !self.by_gpu_kernel {
            return Ok(false);
        }
        let Moments { beta1, beta2, epsilon } = self.constants;
        let kernel = gpu_kernel::Adam { betas: [beta1, beta2], epsilon, rate: &numbers[0] };
        // Batch norm computes in float32 even if the other layers do not.
        for kind in [Kind::Float, Kind::BFloat16] {
            let of_kind = |tensors: &[Tensor]| -> Vec<Tensor> {
                let those = tensors.iter().zip(gradients).filter(|(_, gradient)| gradient.kind() == kind);
                those.map(|(tensor, _)| tensor.shallow_clone()).collect()
            };
            let copies: Vec<Option<Tensor>> = copies
                .iter()
                .zip(gradients)
                .filter(|(_, gradient)| gradient.kind() == kind)
                .map(|(copy, _)| copy.as_ref().map(Tensor::shallow_clone))
                .collect();
            kernel.step(&of_kind(weights), &of_kind(gradients), [&of_kind(&self.m), &of_kind(&self.v)], &copies)?;
        }
        Ok(true)
    }

    fn takes_any_kind(&self) -> bool {
        self.by_kernel || self.by_gpu_kernel
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("adam.m", &self.m), ("adam.v", &self.v)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, one_step, parameter, values};
    use super::*;

    /// m = 0.05, v = 0.00025, rate 0.1 * sqrt(0.001) / 0.1 = 0.0316228; then m = 0.07, v = 0.00031225, rate 0.1 *
    /// sqrt(0.001999) / 0.19 = 0.0235317. The epsilon is large enough to show where it is added.
    #[test]
    fn two_steps_are_as_keras_computes_them() {
        let weight = parameter(&[1.0], 1);
        let constants = Moments { epsilon: 0.01, ..Moments::default() };
        let mut adam = Adam::new(std::slice::from_ref(&weight), constants).unwrap();
        for (step, gradient, expected) in [(1, 0.5f32, 1.0 - 0.061_257_5), (2, 0.25, 1.0 - 0.061_257_5 - 0.059_529_4)] {
            one_step(&mut adam, &weight, gradient, 0.1, step);
            assert_near(&values(&weight.tensor), &[expected]);
        }
    }
}
