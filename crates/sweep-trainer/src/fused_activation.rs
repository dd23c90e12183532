//! ReLU, max-pooling and dropout between two layers with weights, fused into one operation.

use tch::{Kind, TchError, Tensor};

use super::device::takes_gpu_path;
use super::gpu_kernel;
use super::graph::own;
use super::libtorch::operation;
use super::network::Mode;
use super::step_rng::with_generator;
use sweep_core::recipe::Layer;
use sweep_kernels::dense;

/// A fused activation: the ReLU, max-pooling and dropout between two layers with weights.
///
/// ReLU and max-pooling may come in either order, because both orders give the same values and gradients. After a 2 x 2
/// pool, ReLU has only a quarter of the values to process.
#[derive(Debug, Clone, Copy, Default)]
pub struct FusedActivation {
    relu: bool,
    /// Side of the pooling windows, which are adjacent.
    pool: Option<u32>,
    /// Dropout probability, with the layer's index in the network.
    dropout: Option<(f64, usize)>,
    /// Whether nothing else needs the input, so that its memory may be overwritten.
    fresh: bool,
    /// Whether the gradient can be that of another branch too, so that it must not be overwritten. A sum hands the same
    /// memory to all of its branches.
    shares: bool,
    /// Whether it is the ReLU after a batch norm, whose kernel applies it in training.
    pub is_in_norm: bool,
}

/// Returns whether batch norm of these values has a kernel for training.
pub fn has_norm_kernel(xs: &Tensor) -> bool {
    !takes_gpu_path(xs.device()) && matches!(xs.kind(), Kind::Float | Kind::BFloat16)
}

impl FusedActivation {
    /// Returns the fused activation that starts at layer `index`, and the number of layers in it, or 0 if there is
    /// none.
    pub fn at(layers: &[Layer], index: usize) -> (FusedActivation, usize) {
        // The gradients of these layers need their input, not their output.
        let before = index.checked_sub(1).map(|before| layers[before]);
        let fresh = matches!(
            before,
            Some(
                Layer::Conv { .. }
                    | Layer::GroupedConv { .. }
                    | Layer::Depthwise { .. }
                    | Layer::Dense { .. }
                    | Layer::BatchNorm { .. }
                    | Layer::Join { .. }
            )
        );
        let (mut activation, taken) = FusedActivation::gathered(layers, index, fresh);
        // Flattening copies nothing.
        let after = layers[index + taken..].iter().find(|layer| **layer != Layer::Flatten);
        activation.shares = matches!(after, Some(Layer::Branch | Layer::Join { .. }));
        let alone = activation.relu && activation.pool.is_none() && activation.dropout.is_none();
        activation.is_in_norm = alone && matches!(before, Some(Layer::BatchNorm { .. }));
        (activation, taken)
    }

    fn gathered(layers: &[Layer], index: usize, fresh: bool) -> (FusedActivation, usize) {
        let (mut activation, mut taken) = (FusedActivation { fresh, ..FusedActivation::default() }, 0);
        for layer in &layers[index..] {
            match *layer {
                Layer::Relu if !activation.relu => activation.relu = true,
                Layer::MaxPool { size, stride } if size == stride && activation.pool.is_none() => {
                    activation.pool = Some(size)
                }
                Layer::Dropout { rate } => {
                    activation.dropout = (rate > 0.0).then_some((rate, index + taken));
                    return (activation, taken + 1);
                }
                _ => break,
            }
            taken += 1;
        }
        (activation, taken)
    }

    /// Computes `[n, c, h / side, w / side]` from values `[n, c, h, w]`, or `[n, c]` from `[n, c]`. A bias `[c]` is
    /// added first.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn pass(self, xs: &Tensor, bias: Option<&Tensor>, mode: Mode<'_>) -> Result<Tensor, TchError> {
        let nothing = !self.relu && self.pool.is_none() && (self.dropout.is_none() || matches!(mode, Mode::Evaluate));
        let done = self.is_in_norm && matches!(mode, Mode::Train(..)) && has_norm_kernel(xs);
        if (nothing && bias.is_none()) || done {
            return Ok(xs.shallow_clone());
        }
        let kernels = matches!(xs.kind(), Kind::Float | Kind::BFloat16) && gpu_kernel::serve(xs.device());
        if kernels && let Some(ys) = self.pass_by_gpu_kernels(xs, bias, mode)? {
            return Ok(ys);
        }
        let xs = match bias {
            Some(bias) => &xs.f_add(&bias.f_view([1, -1, 1, 1])?)?,
            None => xs,
        };
        if takes_gpu_path(xs.device()) { self.pass_by_libtorch(xs, mode) } else { self.pass_by_kernels(xs, mode) }
    }

    /// Returns a gradient with respect to the output that may be overwritten, in contiguous memory.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn to_overwrite(self, gradient: &Tensor) -> Result<Tensor, TchError> {
        let gradient = dense(gradient)?;
        if self.shares { own(&gradient) } else { Ok(gradient) }
    }

    /// Returns the activation in the form that the CPU kernels need.
    fn for_kernels(self, mode: Mode<'_>) -> sweep_kernels::FusedActivation {
        let dropout = match mode {
            Mode::Train(rng, _) => self.dropout.map(|(rate, layer)| (rate, rng.chance(layer))),
            Mode::Evaluate => None,
        };
        sweep_kernels::FusedActivation { relu: self.relu, dropout }
    }

    fn pass_by_gpu_kernels(
        self,
        xs: &Tensor,
        bias: Option<&Tensor>,
        mode: Mode<'_>,
    ) -> Result<Option<Tensor>, TchError> {
        let keys = match mode {
            Mode::Train(_, keys) => keys,
            Mode::Evaluate => None,
        };
        let layer = self.dropout.map_or(0, |(_, layer)| layer);
        let side = self.pool.unwrap_or(1);
        if side > 15 {
            return Ok(None); // the index of a value in its window is stored in a byte
        }
        let activation = gpu_kernel::FusedActivation { side, activation: self.for_kernels(mode), layer };
        let inside = bias.map(Tensor::detach);
        let Some((ys, kept)) = activation.forward(xs, inside.as_ref(), keys, self.fresh)? else { return Ok(None) };
        let shares = self.shares;
        // The kernels overwrite the gradient if there is no pool.
        let given = move |gradient: Tensor| if shares { own(&dense(&gradient)?) } else { Ok(gradient) };
        let ys = match bias {
            Some(bias) => operation([xs, bias], ys, move |gradient| {
                let (xs, bias) = kept.backward(&given(gradient)?, true)?;
                Ok([xs, bias.expect("it was asked for")])
            }),
            None => operation([xs], ys, move |gradient| Ok([kept.backward(&given(gradient)?, false)?.0])),
        };
        ys.map(Some)
    }

    fn pass_by_libtorch(self, xs: &Tensor, mode: Mode<'_>) -> Result<Tensor, TchError> {
        let mut ys = xs.shallow_clone();
        if let Some(side) = self.pool {
            let side = [i64::from(side); 2];
            ys = ys.f_max_pool2d(side, side, [0, 0], [1, 1], false)?;
        }
        if self.relu {
            ys = if self.fresh || self.pool.is_some() { ys.f_relu_()? } else { ys.f_relu()? };
        }
        match (mode, self.dropout) {
            (Mode::Train(..), Some((rate, _))) => {
                let kept = with_generator(ys.device(), |generator| generator.bernoulli(&ys, 1.0 - rate))?;
                ys.f_mul(&tch::no_grad(|| kept.f_mul_scalar(1.0 / (1.0 - rate)))?)
            }
            _ => Ok(ys),
        }
    }

    fn pass_by_kernels(self, xs: &Tensor, mode: Mode<'_>) -> Result<Tensor, TchError> {
        let activation = self.for_kernels(mode);
        let inside = dense(&xs.detach())?;
        if let Some(side) = self.pool {
            let pool = sweep_kernels::Pool { side: side as usize, activation };
            let (ys, which) = pool.pass(&inside)?;
            let size = xs.size();
            return operation([xs], ys, move |gradient| Ok([pool.gradient(&dense(&gradient)?, &which, &size)?]));
        }
        let mut ys = inside;
        if !self.fresh && ys.data_ptr() == xs.data_ptr() {
            ys = ys.f_empty_like()?;
            ys.f_copy_(xs)?;
        }
        activation.pass(&mut ys);
        // This is another tensor on the same memory. A tensor that keeps its own operation alive would never be freed.
        let came_out = ys.detach();
        operation([xs], ys, move |gradient| {
            let mut gradient = self.to_overwrite(&gradient)?;
            activation.gradient(&mut gradient, &came_out);
            Ok([gradient])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::step_rng::StepRng;
    use super::*;
    use tch::Device;

    /// What a step stores for its backward pass is freed with the step. Otherwise two thousand steps would use
    /// two gigabytes.
    #[test]
    fn nothing_is_kept_from_step_to_step() {
        let layers = [Layer::Relu, Layer::Dropout { rate: 0.5 }, Layer::Relu, Layer::MaxPool { size: 2, stride: 2 }];
        let (first, second) = (FusedActivation::at(&layers, 0).0, FusedActivation::at(&layers, 2).0);
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/statm").unwrap();
            status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
        };
        let step = |number| {
            let xs = Tensor::ones([16, 16, 32, 32], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let mode = Mode::Train(StepRng::new(1, 1, 1, number).seeded(Device::Cpu).unwrap(), None);
            let ys = second.pass(&first.pass(&xs, None, mode).unwrap(), None, mode).unwrap();
            ys.sum(Kind::Float).backward();
            assert!(xs.grad().sum(Kind::Float).double_value(&[]) > 0.0);
        };
        (0..20).for_each(step);
        let before = resident();
        (20..2020).for_each(step);
        // The margin is large because other tests run in parallel.
        assert!(resident() < before + (1 << 30), "{} MB more", (resident() - before) >> 20);
    }

    /// Runs the GPU kernels on a CPU and compares them with the CPU kernels. The masks are equal, so the results are
    /// equal up to the rounding of a sum.
    #[test]
    fn the_gpus_kernels_let_through_what_the_cpus_do() {
        let (relu, drop, pool) =
            (Layer::Relu, Layer::Dropout { rate: 0.3 }, |size| Layer::MaxPool { size, stride: size });
        let activations =
            [vec![relu], vec![drop], vec![relu, drop], vec![pool(2)], vec![pool(2), relu, drop], vec![pool(3), drop]];
        // 33 channels are handled one at a time, 40 eight at a time unless their address is no multiple of 16.
        let cases = activations.iter().flat_map(|layers| [Kind::Float, Kind::BFloat16].map(|kind| (layers, kind)));
        for ((layers, kind), (channels, offset)) in
            cases.flat_map(|case| [(33, 0), (40, 0), (40, 1)].map(|c| (case, c)))
        {
            let activation = FusedActivation::at(layers, 0).0;
            let values = 5 * 9 * 8 * channels;
            let given = Tensor::randn([offset + values], (Kind::Float, Device::Cpu)).to_kind(kind);
            let shaped = |flat: &Tensor| flat.narrow(0, offset, values).view([5, 9, 8, channels]).permute([0, 3, 1, 2]);
            // In bfloat16 the rounded sums with a bias would change which value is the maximum of its window.
            let spread = if kind == Kind::Float { 1.0 } else { 0.0 };
            let bias = (Tensor::randn([channels], (Kind::Float, Device::Cpu)) * spread).to_kind(kind);
            let keys: Vec<f32> = StepRng::new(1, 1, 1, 4).keys(layers.len()).collect();
            let keys = Tensor::from_slice(&keys);
            let run = |pass: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
                let (xs, bias) = (given.copy().set_requires_grad(true), bias.copy().set_requires_grad(true));
                let ys = pass(&shaped(&xs), &bias);
                let weights = Tensor::arange(ys.numel() as i64, (Kind::Float, Device::Cpu)).cos().view_as(&ys);
                (ys.to_kind(Kind::Float) * weights).sum(Kind::Float).backward();
                [ys, xs.grad(), bias.grad()].map(|tensor| tensor.to_kind(Kind::Double))
            };
            let with_bias = |xs: &Tensor, bias: &Tensor| xs + bias.view([1, -1, 1, 1]);
            let theirs = run(&|xs, bias| {
                let mode = Mode::Train(StepRng::new(1, 1, 1, 4), None);
                activation.pass_by_kernels(&with_bias(xs, bias), mode).unwrap()
            });
            for keys in [None, Some(&keys)] {
                let ours = run(&|xs, bias| {
                    // If the keys are on the device, the keys in `rng` are not used.
                    let rng = StepRng::new(1, 1, 1, if keys.is_some() { 9 } else { 4 });
                    activation.pass_by_gpu_kernels(xs, Some(bias), Mode::Train(rng, keys)).unwrap().unwrap()
                });
                for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                    let scale = theirs.abs().max().double_value(&[]);
                    let bound = scale * if kind == Kind::Float { 1e-5 } else { 2e-2 };
                    let off = (ours - theirs).abs().max().double_value(&[]);
                    assert!(off <= bound, "{layers:?} {kind:?} {at}: {off} of {scale}");
                }
            }
        }
    }
}
