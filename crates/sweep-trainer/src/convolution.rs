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
            if self.is_product() && xs.kind() == Kind::Float && sweep_kernels::has_fast_mkl() {
                return self.by_mkl(xs);
            }
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

    /// Returns whether the outputs of a pixel depend on this pixel alone.
    fn is_product(&self) -> bool {
        (self.kernel, self.stride, self.padding) == (1, 1, [0, 0])
    }

    /// Multiplies matrices. oneDNN is up to three times slower for small images, because it divides the work by images.
    fn by_mkl(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        let weight = self.weight.f_flatten(1, -1)?;
        xs.f_permute([0, 2, 3, 1])?.f_linear(&weight, self.bias.as_ref())?.f_permute([0, 3, 1, 2])
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

#[cfg(test)]
mod tests {
    use super::super::step_rng::StepRng;
    use super::*;
    use tch::Device;

    /// Layers whose sizes suit sweep's own kernels, and products, with and without biases, and with an input that requires
    /// a gradient and one that does not.
    #[test]
    fn outputs_and_gradients_are_those_of_libtorch() {
        let cases = [(true, true), (false, true), (true, false), (false, false)];
        for ((with_bias, wanted), kernel) in cases.iter().flat_map(|case| [(case, 3), (case, 1)]) {
            let (with_bias, wanted) = (*with_bias, *wanted);
            tch::manual_seed(3);
            let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
            let xs = random(&[4, 12, 12, 32]).permute([0, 3, 1, 2]).set_requires_grad(wanted);
            let side = i64::from(kernel);
            let weight = random(&[48, side, side, 32]).permute([0, 3, 1, 2]).set_requires_grad(true);
            let bias = with_bias.then(|| random(&[48]).set_requires_grad(true));
            let layer = Convolution { weight, bias, kernel, stride: 1, padding: [kernel / 2; 2] };
            let found = layer.pass(&xs, Mode::Train(StepRng::new(1, 1, 1, 1), None)).unwrap();
            let expected = layer.by_libtorch(&xs, &layer.weight, layer.bias.as_ref()).unwrap();
            let gradient = random(&[4, 12, 12, 48]).permute([0, 3, 1, 2]);
            let mut inputs = vec![&layer.weight];
            inputs.extend(&layer.bias);
            inputs.extend(wanted.then_some(&xs));
            let gradients = |ys: &Tensor| {
                let slopes = (ys * &gradient).sum(Kind::Float);
                Tensor::run_backward(&[slopes], &inputs, false, false)
            };
            let (mut these, mut those) = (gradients(&found), gradients(&expected));
            these.push(found);
            those.push(expected);
            for (this, that) in these.iter().zip(&those) {
                let off = (this - that).abs().max().double_value(&[]);
                let scale = that.square().mean(Kind::Float).sqrt().double_value(&[]);
                assert!(off < 1e-4 * scale, "bias {with_bias}, input {wanted}: {off} of {scale}");
            }
        }
    }
}
