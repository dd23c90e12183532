//! The GPU kernels in kernels.cu. NVRTC, which comes with libtorch, compiles them for the installed GPU. If a CPU uses
//! the GPU's code path, they run there, compiled by the C++ compiler.
#![allow(unsafe_code, reason = "kernels are given addresses, and CUDA's interface is C")]

mod adam;
mod fused_activation;
mod nvrtc;

pub use adam::Adam;
pub use fused_activation::{FusedActivation, KeysThere};

use std::cell::Cell;
use std::ffi::c_void;

use tch::{Device, Kind, TchError};

use super::device::takes_gpu_path;

/// Threads per block, as in kernels.cu.
const THREADS: u32 = 256;

/// The kernels, in the order of `sweep_kernel_on_host` in kernels.cu. Each has a float32 and then a bfloat16 version.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    GateForward = 0,
    GateBackward = 2,
    Adam = 4,
}

impl Kernel {
    fn name(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Kernel::GateForward, Kind::BFloat16) => "activation_forward_bfloat16",
            (Kernel::GateForward, _) => "activation_forward_float",
            (Kernel::GateBackward, Kind::BFloat16) => "activation_backward_bfloat16",
            (Kernel::GateBackward, _) => "activation_backward_float",
            (Kernel::Adam, Kind::BFloat16) => "adam_bfloat16",
            (Kernel::Adam, _) => "adam_float",
        }
    }
}

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(true) };
}

/// Sets whether this thread's trials use the kernels from now on, if they are available.
pub fn choose(wanted: bool) {
    WANTED.set(wanted);
}

/// Returns whether this thread's trial uses the kernels on this device.
pub fn serve(device: Device) -> bool {
    WANTED.get() && takes_gpu_path(device) && (!device.is_cuda() || nvrtc::available())
}

unsafe extern "C" {
    fn sweep_kernel_on_host(kernel: u32, blocks: u32, arguments: *const c_void) -> bool;
}

/// Starts a kernel on the device's current stream.
///
/// # Safety
/// `A` must be the type of the kernel's argument. The memory that it points to must be on the device, contain values of
/// `kind`, and stay valid until the kernel has run. Memory that the kernel writes must not be used by anything else.
unsafe fn launch<A>(kernel: Kernel, kind: Kind, device: Device, blocks: u32, arguments: &A) -> Result<(), TchError> {
    let arguments = std::ptr::from_ref(arguments).cast::<c_void>();
    if device.is_cuda() {
        // SAFETY: The caller guarantees it.
        return unsafe { nvrtc::launch(kernel.name(kind), blocks, THREADS, arguments) };
    }
    let number = kernel as u32 + u32::from(kind == Kind::BFloat16);
    // SAFETY: The caller guarantees it. The call returns after the kernel has run.
    let found = unsafe { sweep_kernel_on_host(number, blocks, arguments) };
    assert!(found, "kernels.cu lists every kernel");
    Ok(())
}
