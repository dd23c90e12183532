//! Our own kernels on a GPU, kernels.cu. NVRTC, which comes with libtorch, compiles them for the GPU at hand; where a CPU
//! takes the GPU's path they run there, compiled by the C++ compiler.
#![allow(unsafe_code, reason = "kernels are given addresses, and CUDA's interface is C")]

mod adam;
mod gate;
mod nvrtc;

pub use adam::Adam;
pub use gate::{Gate, KeysThere};

use std::cell::Cell;
use std::ffi::c_void;

use tch::{Device, Kind, TchError};

use super::device::takes_gpu_path;

/// Threads of a block, as kernels.cu has it.
const THREADS: u32 = 256;

/// The kernels, in the order of kernels.cu's `sweep_kernel_on_host`: for float32, then for bfloat16.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    GateForward = 0,
    GateBackward = 2,
    Adam = 4,
}

impl Kernel {
    fn name(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Kernel::GateForward, Kind::BFloat16) => "gate_forward_bfloat16",
            (Kernel::GateForward, _) => "gate_forward_float",
            (Kernel::GateBackward, Kind::BFloat16) => "gate_backward_bfloat16",
            (Kernel::GateBackward, _) => "gate_backward_float",
            (Kernel::Adam, Kind::BFloat16) => "adam_bfloat16",
            (Kernel::Adam, _) => "adam_float",
        }
    }
}

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(true) };
}

/// Whether this thread's trials use the kernels from now on, where there are any.
pub fn choose(wanted: bool) {
    WANTED.set(wanted);
}

/// Whether there are kernels for a device that takes the GPU's path, and this thread's trial uses them.
pub fn serve(device: Device) -> bool {
    WANTED.get() && takes_gpu_path(device) && (!device.is_cuda() || nvrtc::available())
}

unsafe extern "C" {
    fn sweep_kernel_on_host(kernel: u32, blocks: u32, arguments: *const c_void) -> bool;
}

/// Starts a kernel on the device's current stream.
///
/// # Safety
/// `A` is the type of the kernel's argument, and what its addresses name lies on the device until the kernel has run, in
/// the kind that is named, and is nobody else's where it is written.
unsafe fn launch<A>(kernel: Kernel, kind: Kind, device: Device, blocks: u32, arguments: &A) -> Result<(), TchError> {
    let arguments = std::ptr::from_ref(arguments).cast::<c_void>();
    if device.is_cuda() {
        // SAFETY: the caller's.
        return unsafe { nvrtc::launch(kernel.name(kind), blocks, THREADS, arguments) };
    }
    let number = kernel as u32 + u32::from(kind == Kind::BFloat16);
    // SAFETY: the caller's; the call returns when the kernel has run.
    let found = unsafe { sweep_kernel_on_host(number, blocks, arguments) };
    assert!(found, "kernels.cu lists every kernel");
    Ok(())
}
