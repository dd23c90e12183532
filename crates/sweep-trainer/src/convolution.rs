//! A convolution that uses sweep's own kernels where they are faster than libtorch's.

#[cfg(target_arch = "x86_64")]
use sweep_kernels::Winograd;
use tch::{Kind, TchError, Tensor};

use super::device::takes_gpu_path;
use super::libtorch::operation;
use super::network::Mode;

/// A convolution layer with its weights `[o, c, kernel, kernel]` and biases `[o]`.
pub struct Convolution {
    pub weight: Tensor,
    pub bias: Option<Tensor>,
    pub kernel: u32,
    pub stride: u32,
    /// Zeros on each side, for the height and the width.
    pub padding: [u32; 2],
}

impl Convolution {
    /// Computes outputs `[n, o, y, x]` from images `[n, c, h, w]`.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn pass(&self, xs: &Tensor, mode: Mode<'_>) -> Result<Tensor, TchError> {
        #[cfg(target_arch = "x86_64")]
        if !takes_gpu_path(xs.device()) {
            let trains = matches!(mode, Mode::Train(..));
            if let Some(winograd) = Winograd::new(self.sizes(), xs, &self.weight) {
                return self.by_winograd(winograd, xs, trains);
            }
            if trains && xs.kind() == Kind::BFloat16 && sweep_kernels::has_products() {
                return self.by_products(xs);
            }
        }
        let _ = mode;
        self.by_libtorch(xs, &self.weight, self.bias.as_ref())
    }

    #[cfg(target_arch = "x86_64")]
    fn sizes(&self) -> sweep_kernels::Convolution {
        sweep_kernels::Convolution {
            kernel: self.kernel as usize,
            stride: self.stride as usize,
            padding: self.padding.map(|side| side as usize),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn by_winograd(&self, winograd: Winograd, xs: &Tensor, trains: bool) -> Result<Tensor, TchError> {
        let (came_in, weight, bias) = (xs.detach(), self.weight.detach(), self.bias.as_ref().map(Tensor::detach));
        let ys = winograd.pass(&came_in, &weight, bias.as_ref())?;
        if !trains {
            return Ok(ys);
        }
        let wanted = xs.requires_grad();
        let gradients = move |gradient: &Tensor| {
            let (inputs, weights) = winograd.gradients(&came_in, &weight, gradient, wanted)?;
            // libtorch ignores the gradient of an input that requires none.
            Ok([inputs.unwrap_or_else(|| gradient.shallow_clone()), weights])
        };
        match &self.bias {
            Some(bias) => operation([xs, &self.weight, bias], ys, move |gradient| {
                let [inputs, weights] = gradients(&gradient)?;
                let biases = gradient.f_sum_dim_intlist([0_i64, 2, 3].as_slice(), false, gradient.kind())?;
                Ok([inputs, weights, biases])
            }),
            None => operation([xs, &self.weight], ys, move |gradient| gradients(&gradient)),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn by_products(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        let (weight, bias) = (self.weight.detach(), self.bias.as_ref().map(Tensor::detach));
        let ys = self.by_libtorch(xs, &weight, bias.as_ref())?;
        let convolution = self.sizes();
        let (came_in, came_out) = (xs.detach(), ys.detach());
        // The gradient with respect to the output is passed on unchanged, and libtorch computes the input gradient from
        // it.
        match &self.bias {
            Some(bias) => operation([&ys, &self.weight, bias], came_out, move |gradient| {
                let [weight, bias] = convolution.weights_gradient(&came_in, &gradient)?;
                Ok([gradient, weight, bias])
            }),
            None => operation([&ys, &self.weight], came_out, move |gradient| {
                let [weight, _] = convolution.weights_gradient(&came_in, &gradient)?;
                Ok([gradient, weight])
            }),
        }
    }

    fn by_libtorch(&self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, TchError> {
        let stride = i64::from(self.stride);
        xs.f_conv2d(weight, bias, [stride, stride], self.padding.map(i64::from), [1, 1], 1)
    }
}
