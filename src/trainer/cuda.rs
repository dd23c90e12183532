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
    // SAFETY: nothing else runs yet: the process has one thread. cuBLAS and cuDNN read the variable when they
    // start; tch offers no other way to have them compute in full float32.
    unsafe { std::env::set_var("NVIDIA_TF32_OVERRIDE", "0") };
    // SAFETY: its initialisers register kernels with the libtorch that is linked, which comes from the same folder
    // by the run path, and expect nothing else. It is never closed, so nothing registered can dangle.
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL)? };
    std::mem::forget(library);
    Ok(())
}
