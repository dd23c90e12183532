//! ReLU, max-pooling and dropout between two layers with weights, taken together.

use tch::{TchError, Tensor};

use super::device::takes_gpu_path;
use super::draws::with_generator;
use super::libtorch::operation;
use super::network::Mode;
use sweep_core::recipe::Layer;
use sweep_kernels::dense;

/// What stands between two layers with weights.
///
/// ReLU and max-pooling may come in either order: the largest of a window is above zero in the one where it is in the
/// other, so values and gradients are the same, and ReLU after the pool has a quarter to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gate {
    relu: bool,
    /// The side of the windows, which lie side by side.
    pool: Option<u32>,
    /// With the layer's place in the network.
    dropout: Option<(f64, usize)>,
    /// Whether the values that come in are needed by nothing else.
    fresh: bool,
}

impl Gate {
    /// The gate that begins with the layer of that index, and how many layers are in it: 0 if there is none.
    pub fn at(layers: &[Layer], index: usize) -> (Gate, usize) {
        // The gradient of these needs what went in, not what came out.
        let before = index.checked_sub(1).map(|before| layers[before]);
        let fresh = matches!(before, Some(Layer::Conv { .. } | Layer::Dense { .. } | Layer::BatchNorm { .. }));
        let (mut gate, mut taken) = (Gate { fresh, ..Gate::default() }, 0);
        for layer in &layers[index..] {
            match *layer {
                Layer::Relu if !gate.relu => gate.relu = true,
                Layer::MaxPool { size, stride } if size == stride && gate.pool.is_none() => gate.pool = Some(size),
                Layer::Dropout { rate } => {
                    gate.dropout = (rate > 0.0).then_some((rate, index + taken));
                    return (gate, taken + 1);
                }
                _ => break,
            }
            taken += 1;
        }
        (gate, taken)
    }

    /// Values `[n, c, h, w]` to `[n, c, h / side, w / side]`, or `[n, c]`.
    ///
    /// # Errors
    /// libtorch's, where the device has no room.
    pub fn pass(self, xs: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        if takes_gpu_path(xs.device()) { self.pass_by_libtorch(xs, mode) } else { self.pass_by_kernels(xs, mode) }
    }

    fn pass_by_libtorch(self, xs: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let mut ys = xs.shallow_clone();
        if let Some(side) = self.pool {
            let side = [i64::from(side); 2];
            ys = ys.f_max_pool2d(side, side, [0, 0], [1, 1], false)?;
        }
        if self.relu {
            ys = if self.fresh || self.pool.is_some() { ys.f_relu_()? } else { ys.f_relu()? };
        }
        match (mode, self.dropout) {
            (Mode::Train(_), Some((rate, _))) => {
                let kept = with_generator(ys.device(), |generator| generator.bernoulli(&ys, 1.0 - rate))?;
                ys.f_mul(&tch::no_grad(|| kept.f_mul_scalar(1.0 / (1.0 - rate)))?)
            }
            _ => Ok(ys),
        }
    }

    fn pass_by_kernels(self, xs: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let dropout = match mode {
            Mode::Train(draws) => self.dropout.map(|(rate, layer)| (rate, draws.chance(layer))),
            Mode::Evaluate => None,
        };
        let gate = sweep_kernels::Gate { relu: self.relu, dropout };
        let inside = dense(&xs.detach())?;
        if let Some(side) = self.pool {
            let pool = sweep_kernels::Pool { side: side as usize, gate };
            let (ys, which) = pool.pass(&inside)?;
            let size = xs.size();
            return operation([xs], ys, move |gradient| Ok([pool.gradient(&dense(&gradient)?, &which, &size)?]));
        }
        if !gate.relu && gate.dropout.is_none() {
            return Ok(xs.shallow_clone());
        }
        let mut ys = inside;
        if !self.fresh && ys.data_ptr() == xs.data_ptr() {
            ys = ys.f_empty_like()?;
            ys.f_copy_(xs)?;
        }
        gate.pass(&mut ys);
        // Another tensor in the same memory: one that held its own operation would never be freed.
        let came_out = ys.detach();
        operation([xs], ys, move |gradient| {
            let mut gradient = dense(&gradient)?;
            gate.gradient(&mut gradient, &came_out);
            Ok([gradient])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::draws::Draws;
    use super::*;
    use tch::{Device, Kind};

    /// What a step keeps for its way back is freed with it: a thousand steps would otherwise hold a gigabyte.
    #[test]
    fn nothing_is_kept_from_step_to_step() {
        let layers = [Layer::Relu, Layer::Dropout { rate: 0.5 }, Layer::Relu, Layer::MaxPool { size: 2, stride: 2 }];
        let (first, second) = (Gate::at(&layers, 0).0, Gate::at(&layers, 2).0);
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/statm").unwrap();
            status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
        };
        let step = |number| {
            let xs = Tensor::ones([16, 16, 32, 32], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let mode = Mode::Train(Draws::new(1, 1, 1, number).seeded(Device::Cpu).unwrap());
            let ys = second.pass(&first.pass(&xs, mode).unwrap(), mode).unwrap();
            ys.sum(Kind::Float).backward();
            assert!(xs.grad().sum(Kind::Float).double_value(&[]) > 0.0);
        };
        (0..20).for_each(step);
        let before = resident();
        (20..1020).for_each(step);
        // Other tests run beside it.
        assert!(resident() < before + (500 << 20), "{} MB more", (resident() - before) >> 20);
    }
}
