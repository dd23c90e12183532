//! Makes CUDA known to libtorch. Linkers drop libtorch_cuda.so, since no symbol of it is named, and CUDA is then
//! silently absent.
#![allow(unsafe_code)]

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// Opens libtorch's CUDA part for the rest of the process. Must come before the first question about CUDA, which
/// fixes the answer.
///
/// # Errors
/// The dynamic linker's reason: most often a library of NVIDIA's that is not installed.
pub fn open() -> Result<(), libloading::Error> {
    // SAFETY: its initialisers register kernels with the libtorch that is linked, which comes from the same folder
    // by the run path, and expect nothing else. It is never closed, so nothing registered can dangle.
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL)? };
    std::mem::forget(library);
    Ok(())
}

/// The major number of the first visible GPU's compute capability, by the driver; `None` where it does not say.
pub fn compute_capability() -> Option<i32> {
    /// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` of cuda.h.
    const MAJOR: i32 = 75;
    type Get = unsafe extern "C" fn(value: *mut i32, attribute: i32, device: i32) -> i32;
    // SAFETY: the driver is loaded already, by libtorch, which has also initialised it.
    let driver = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW) }.ok()?;
    // SAFETY: the function has this signature in every version of the driver.
    let get = unsafe { driver.get::<Get>(b"cuDeviceGetAttribute\0") }.ok()?;
    let mut major = 0;
    // SAFETY: `major` outlives the call; ordinal 0 is the handle of the first visible device.
    let answer = unsafe { get(&mut major, MAJOR, 0) };
    (answer == 0).then_some(major)
}
