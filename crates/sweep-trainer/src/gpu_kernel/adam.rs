//! Adam's update for all weights in one kernel. It also writes the working copies that the layers use.

use std::ffi::c_void;

use tch::{Kind, TchError, Tensor};

use super::{Kernel, THREADS, launch};
use crate::libtorch::Scalar;

/// Maximum number of tensors per launch, as in kernels.cu. A kernel argument has at most 4 KiB.
const MOST: usize = 64;

/// The constants of a step.
pub struct Adam<'a> {
    pub betas: [f64; 2],
    pub epsilon: f64,
    pub rate: &'a Scalar,
}

/// Mirrors `struct Adam` in kernels.cu.
#[repr(C)]
struct Arguments {
    weights: [*mut c_void; MOST],
    gradients: [*mut c_void; MOST],
    m: [*mut c_void; MOST],
    v: [*mut c_void; MOST],
    working: [*mut c_void; MOST],
    counts: [u32; MOST],
    blocks: [u32; MOST],
    tensors: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    rate: f32,
    rate_there: *const c_void,
}

impl Adam<'_> {
    /// Updates the float32 weights. All gradients have the same kind, float32 or bfloat16. Each gradient has the memory
    /// layout of its weight, and so has each bfloat16 copy that is written.
    ///
    /// # Errors
    /// Returns CUDA's error.
    pub fn step(
        &self,
        weights: &[Tensor],
        gradients: &[Tensor],
        [m, v]: [&[Tensor]; 2],
        copies: &[Option<Tensor>],
    ) -> Result<(), TchError> {
        for from in (0..weights.len()).step_by(MOST) {
            let part = from..weights.len().min(from + MOST);
            let empty = [std::ptr::null_mut(); MOST];
            let mut arguments = Arguments {
                weights: empty,
                gradients: empty,
                m: empty,
                v: empty,
                working: empty,
                counts: [0; MOST],
                blocks: [0; MOST],
                tensors: part.len() as u32,
                beta1: self.betas[0] as f32,
                beta2: self.betas[1] as f32,
                epsilon: self.epsilon as f32,
                rate: self.rate.value as f32,
                rate_there: self.rate.on_device.as_ref().map_or(std::ptr::null(), |rate| rate.data_ptr().cast_const()),
            };
            let mut blocks = 0;
            for (place, at) in part.enumerate() {
                arguments.weights[place] = weights[at].data_ptr();
                arguments.gradients[place] = gradients[at].data_ptr();
                (arguments.m[place], arguments.v[place]) = (m[at].data_ptr(), v[at].data_ptr());
                arguments.working[place] = copies[at].as_ref().map_or(std::ptr::null_mut(), Tensor::data_ptr);
                arguments.counts[place] = weights[at].numel() as u32;
                blocks += arguments.counts[place].div_ceil(4 * THREADS);
                arguments.blocks[place] = blocks;
            }
            let (kind, device) = (gradients[from].f_kind()?, weights[from].device());
            assert!(matches!(kind, Kind::Float | Kind::BFloat16), "{kind:?} gradients have no kernel");
            // SAFETY: The caller guarantees that the tensors are on one device, contiguous, and laid out alike.
            // libtorch does not reuse their memory before this stream has executed the kernel.
            unsafe { launch(Kernel::Adam, kind, device, blocks, &arguments)? };
        }
        Ok(())
    }
}
