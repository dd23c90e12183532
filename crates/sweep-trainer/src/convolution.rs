//! A convolution that uses sweep's own weight gradient where that is faster than libtorch's.

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
        {
            let here = xs.kind() == Kind::BFloat16 && !takes_gpu_path(xs.device()) && sweep_kernels::has_products();
            if here && matches!(mode, Mode::Train(..)) {
                return self.by_kernel(xs);
            }
        }
        let _ = mode;
        self.by_libtorch(xs, &self.weight, self.bias.as_ref())
    }

    #[cfg(target_arch = "x86_64")]
    fn by_kernel(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        let (weight, bias) = (self.weight.detach(), self.bias.as_ref().map(Tensor::detach));
        let ys = self.by_libtorch(xs, &weight, bias.as_ref())?;
        let convolution = sweep_kernels::Convolution {
            kernel: self.kernel as usize,
            stride: self.stride as usize,
            padding: self.padding.map(|side| side as usize),
        };
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
