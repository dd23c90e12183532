//! Bias, max-pooling, ReLU and dropout, fused into one kernel in each direction.

use std::ffi::c_void;

use tch::{Kind, TchError, Tensor};

use super::{Kernel, THREADS, launch};
use sweep_kernels::dense;

/// Number of threads in the backward pass, enough to fill a large GPU.
const THREADS_BACK: u32 = 1 << 16;

/// Number of neighboring channels that a thread handles where 16-byte accesses are possible, as in kernels.cu.
const WIDE: u32 = 8;

/// The dropout keys of all layers, on the device. The shape is `f32 [2 * layers]`, and the bits are the words of the
/// keys.
pub type KeysThere<'a> = Option<&'a Tensor>;

/// A fused activation: what is between two layers with weights.
pub struct FusedActivation {
    /// Side of the pooling windows, or 1 without pooling.
    pub side: u32,
    pub activation: sweep_kernels::FusedActivation,
    /// Index of the dropout layer, which selects its key.
    pub layer: usize,
}

/// Mirrors `struct FusedActivation` in kernels.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct Arguments {
    x: *const c_void,
    bias: *const c_void,
    y: *mut c_void,
    which: *mut c_void,
    y_gradient: *const c_void,
    x_gradient: *mut c_void,
    bias_gradient: *mut c_void,
    key_there: *const u32,
    key: [u32; 2],
    n: u32,
    h: u32,
    w: u32,
    c: u32,
    side: u32,
    relu: u32,
    least: u32,
    scale: f32,
    slices: u32,
    wide: u32,
}

impl Arguments {
    /// Chooses 16-byte accesses if all addresses allow them. Returns the number of channels that a thread handles.
    fn widen(&mut self) -> u32 {
        let addresses = [
            self.x,
            self.bias,
            self.y.cast_const(),
            self.which.cast_const(),
            self.y_gradient,
            self.x_gradient.cast_const(),
        ];
        let wide = self.c.is_multiple_of(WIDE) && addresses.iter().all(|address| address.addr().is_multiple_of(16));
        self.wide = wide.into();
        if wide { WIDE } else { 1 }
    }
}

/// What the backward pass needs.
pub struct Kept {
    arguments: Arguments,
    /// The output, if it shows which values were passed on.
    ys: Option<Tensor>,
    which: Option<Tensor>,
    /// Keeps the memory of the key alive.
    keys: Option<Tensor>,
    /// Size of the input.
    size: Vec<i64>,
}

impl FusedActivation {
    /// Adds `bias` `[c]` to values `[n, c, h, w]` or `[n, c]` and computes the output `[n, c, h / side, w / side]`.
    /// Overwrites `xs` if there is no pooling and `xs` is `fresh`. Returns `None` if there are more values than the
    /// kernels can index.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn forward(
        &self,
        xs: &Tensor,
        bias: Option<&Tensor>,
        keys: KeysThere<'_>,
        fresh: bool,
    ) -> Result<Option<(Tensor, Kept)>, TchError> {
        if xs.numel() as u64 > u64::from(u32::MAX / 2) {
            return Ok(None);
        }
        let given = xs.data_ptr();
        let xs = dense(&xs.detach())?;
        let size = xs.size();
        let [n, c, h, w] = match size[..] {
            [n, c, h, w] => [n, c, h, w],
            _ => [size[0], size[1..].iter().product(), 1, 1],
        };
        let side = i64::from(self.side);
        let lying = [n, h / side, w / side, c];
        let option = (xs.f_kind()?, xs.device());
        let may_write = fresh || xs.data_ptr() != given;
        let ys = match self.side {
            1 if may_write => xs.shallow_clone(),
            1 => xs.f_empty_like()?,
            _ => Tensor::f_empty(lying, option)?.f_permute([0, 3, 1, 2])?,
        };
        let which = (self.side > 1).then(|| Tensor::f_empty(lying, (Kind::Uint8, xs.device()))).transpose()?;
        let [n, h, w, c] = [n, h, w, c].map(|side| side as u32);
        let none = std::ptr::null_mut();
        let (least, scale, key) = self.activation.dropped();
        let mut arguments = Arguments {
            x: xs.data_ptr(),
            bias: bias.map_or(none, Tensor::data_ptr).cast_const(),
            y: ys.data_ptr(),
            which: which.as_ref().map_or(none, Tensor::data_ptr),
            y_gradient: none,
            x_gradient: none,
            bias_gradient: none,
            // SAFETY: The tensor contains two words for every layer.
            key_there: keys.map_or(std::ptr::null(), |keys| unsafe {
                keys.data_ptr().cast::<u32>().cast_const().add(2 * self.layer)
            }),
            key,
            n,
            h,
            w,
            c,
            side: self.side,
            relu: self.activation.relu.into(),
            least: least.into(),
            scale,
            slices: 0,
            wide: 0,
        };
        let blocks = (ys.numel() as u32 / arguments.widen()).div_ceil(THREADS);
        // SAFETY: All tensors are on one device, have one kind, and are channels-last and contiguous. The bias is a
        // working copy and has that kind too. libtorch does not reuse their memory before this stream has executed the
        // kernel.
        unsafe { launch(Kernel::GateForward, option.0, option.1, blocks, &arguments)? };
        let told_by_ys = self.side == 1 && self.activation.relu;
        let kept =
            Kept { arguments, ys: told_by_ys.then(|| ys.detach()), which, keys: keys.map(Tensor::shallow_clone), size };
        Ok(Some((ys, kept)))
    }
}

impl Kept {
    /// Computes the gradient with respect to the input and, if requested, to the bias. `gradient`, which is that with
    /// respect to the output, may be overwritten.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn backward(&self, gradient: &Tensor, with_bias: bool) -> Result<(Tensor, Option<Tensor>), TchError> {
        let gradient = dense(gradient)?;
        let option = (gradient.f_kind()?, gradient.device());
        let Arguments { n, h, w, c, side, .. } = self.arguments;
        let found = match side {
            1 => gradient.shallow_clone(),
            _ => {
                let lying = [n, h, w, c].map(i64::from);
                // Inputs at the far edges that belong to no window have zero gradient.
                let whole = h % side == 0 && w % side == 0;
                let found = if whole { Tensor::f_empty(lying, option)? } else { Tensor::f_zeros(lying, option)? };
                found.f_permute([0, 3, 1, 2])?
            }
        };
        debug_assert_eq!(found.size(), self.size);
        let rows = n * (h / side) * (w / side);
        let none = std::ptr::null_mut();
        let mut arguments = Arguments {
            y: self.ys.as_ref().map_or(none, Tensor::data_ptr),
            which: self.which.as_ref().map_or(none, Tensor::data_ptr),
            y_gradient: gradient.data_ptr(),
            x_gradient: found.data_ptr(),
            ..self.arguments
        };
        let threads = c / arguments.widen();
        arguments.slices = (THREADS_BACK / threads).clamp(1, rows);
        let sums = with_bias
            .then(|| Tensor::f_empty([i64::from(arguments.slices), i64::from(c)], (Kind::Float, option.1)))
            .transpose()?;
        arguments.bias_gradient = sums.as_ref().map_or(none, Tensor::data_ptr);
        let blocks = (arguments.slices * threads).div_ceil(THREADS);
        let _held = &self.keys;
        // SAFETY: See the forward pass. The stored tensors live as long as `self`.
        unsafe { launch(Kernel::GateBackward, option.0, option.1, blocks, &arguments)? };
        let bias = sums.map(|sums| sums.f_sum_dim_intlist(0, false, option.0)).transpose()?;
        Ok((found, bias))
    }
}
