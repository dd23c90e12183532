//! ReLU, max-pooling and dropout between two layers with weights, taken together.

use tch::{TchError, Tensor};

use super::kernel;
use super::network::Mode;
use sweep::recipe::Layer;

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
        let mut ys = xs.shallow_clone();
        if let Some(side) = self.pool {
            let side = [i64::from(side); 2];
            ys = ys.f_max_pool2d(side, side, [0, 0], [1, 1], false)?;
        }
        match (mode, self.dropout) {
            (Mode::Train(draws), Some((rate, layer))) if !xs.device().is_cuda() => {
                // One pass that finds what is let through, and a product: ReLU and dropout, each with its own
                // backward pass, would take twice the time on a CPU.
                let ys = dense(&ys)?;
                ys.f_mul(&kernel::mask(&ys, kernel::Gate { relu: self.relu, rate }, draws.chance(layer))?)
            }
            (mode, dropout) => {
                if self.relu {
                    ys = if self.fresh || self.pool.is_some() { ys.f_relu_()? } else { ys.f_relu()? };
                }
                match (mode, dropout) {
                    (Mode::Train(_), Some((rate, _))) => ys.f_dropout(rate, true),
                    _ => Ok(ys),
                }
            }
        }
    }
}

/// The same values without gaps between them; pictures lie channels-last.
fn dense(xs: &Tensor) -> Result<Tensor, TchError> {
    if xs.dim() != 4 {
        return xs.f_contiguous();
    }
    xs.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}
