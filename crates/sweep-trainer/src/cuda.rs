//! Makes CUDA known to libtorch. Linkers drop libtorch_cuda.so, since no symbol of it is named, and CUDA is then
//! silently absent. What needs CUDA's part of libtorch itself is in cuda.cpp, a shared object that this binary contains
//! and opens after that part.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_void};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Device, TchError};

use super::draws::with_generator;
use super::libtorch::checked;

/// cuda.cpp, compiled; empty where there were no headers of CUDA.
static ADDITIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libsweep_cuda.so"));

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

/// The functions of cuda.cpp. Each returns an error's message or null.
struct Additions {
    use_own_stream: unsafe extern "C" fn() -> *const c_char,
    stream: unsafe extern "C" fn(*mut *mut c_void) -> *const c_char,
    begin: unsafe extern "C" fn(*mut *mut c_void, *const c_void) -> *const c_char,
    end: unsafe extern "C" fn(*mut c_void, *mut usize) -> *const c_char,
    replay: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    discard: unsafe extern "C" fn(*mut c_void) -> *const c_char,
}

fn additions() -> Result<&'static Additions, TchError> {
    static OPENED: OnceLock<Result<Additions, String>> = OnceLock::new();
    OPENED.get_or_init(opened).as_ref().map_err(|reason| TchError::Torch(reason.clone()))
}

fn opened() -> Result<Additions, String> {
    if ADDITIONS.is_empty() {
        return Err("sweep-trainer was built without CUDA's headers".into());
    }
    // A file without a name: nothing is left behind, and nothing has to be found.
    let file = rustix::fs::memfd_create("libsweep_cuda.so", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(file.map_err(|error| format!("memfd_create: {error}"))?);
    file.write_all(ADDITIONS).map_err(|error| format!("memfd: {error}"))?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: it names symbols of libtorch alone, which is loaded, and runs nothing when it is opened.
    let library = unsafe { Library::open(Some(path), RTLD_NOW) }.map_err(|error| error.to_string())?;
    // SAFETY: cuda.cpp defines each of them with the type of its place in `Additions`.
    let additions = unsafe {
        let error = |error: libloading::Error| error.to_string();
        Additions {
            use_own_stream: *library.get(b"sweep_cuda_use_own_stream\0").map_err(error)?,
            stream: *library.get(b"sweep_cuda_stream\0").map_err(error)?,
            begin: *library.get(b"sweep_cuda_begin\0").map_err(error)?,
            end: *library.get(b"sweep_cuda_end\0").map_err(error)?,
            replay: *library.get(b"sweep_cuda_replay\0").map_err(error)?,
            discard: *library.get(b"sweep_cuda_discard\0").map_err(error)?,
        }
    };
    std::mem::forget(library);
    Ok(additions)
}

/// Lets this thread's work run on a stream of its own from now on: the default stream cannot be recorded.
///
/// # Errors
/// Why the additions to libtorch's CUDA part cannot be used.
pub fn use_own_stream() -> Result<(), TchError> {
    // SAFETY: has no precondition but CUDA, which `additions` proves.
    checked(unsafe { (additions()?.use_own_stream)() })
}

/// The `cudaStream_t` that this thread's work runs on.
///
/// # Errors
/// Why the additions to libtorch's CUDA part cannot be used.
pub fn current_stream() -> Result<*mut c_void, TchError> {
    let mut stream = std::ptr::null_mut();
    // SAFETY: the pointer outlives the call.
    checked(unsafe { (additions()?.stream)(&mut stream) })?;
    Ok(stream)
}

/// Work on the GPU that was recorded, to be done again as a whole, on the same memory.
pub struct Graph {
    graph: *mut c_void,
    operations: usize,
}

impl Graph {
    /// Records what this thread's `work` starts on the GPU. Nothing of it is done yet.
    ///
    /// # Errors
    /// Those of `work`, and CUDA's where something in it cannot be recorded.
    pub fn record(work: impl FnOnce() -> Result<(), TchError>) -> Result<Graph, TchError> {
        let additions = additions()?;
        let mut graph = Graph { graph: std::ptr::null_mut(), operations: 0 };
        with_generator(Device::Cuda(0), |generator| {
            // SAFETY: `graph` outlives the call, which puts an object there that only `discard` deletes; the graph holds
            // the generator's state itself.
            checked(unsafe { (additions.begin)(&mut graph.graph, generator.as_ptr()) })
        })?;
        let done = work();
        // A stream that records does nothing else, so the recording ends whatever came of the work.
        // SAFETY: `begin` made the object; the count outlives the call.
        let ended = checked(unsafe { (additions.end)(graph.graph, &mut graph.operations) });
        done?;
        ended?;
        Ok(graph)
    }

    /// Kernels, copies and fills in it.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// Starts all of it, and does not wait for it.
    ///
    /// # Errors
    /// CUDA's.
    pub fn replay(&self) -> Result<(), TchError> {
        // SAFETY: the object lives until `self` is dropped.
        checked(unsafe { (additions()?.replay)(self.graph) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if let (Ok(additions), false) = (additions(), self.graph.is_null()) {
            // SAFETY: it was made by `begin` and is deleted only here. There is nobody to tell an error to.
            let _ = unsafe { (additions.discard)(self.graph) };
        }
    }
}

/// Major and minor number of the first visible GPU's compute capability, by the driver; `None` where it does not say.
pub fn compute_capability() -> Option<(i32, i32)> {
    /// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `…_MINOR` of cuda.h.
    const ATTRIBUTES: [i32; 2] = [75, 76];
    type Get = unsafe extern "C" fn(value: *mut i32, attribute: i32, device: i32) -> i32;
    // SAFETY: the driver is loaded already, by libtorch, which has also initialised it.
    let driver = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW) }.ok()?;
    // SAFETY: the function has this signature in every version of the driver.
    let get = unsafe { driver.get::<Get>(b"cuDeviceGetAttribute\0") }.ok()?;
    let [major, minor] = ATTRIBUTES.map(|attribute| {
        let mut value = 0;
        // SAFETY: `value` outlives the call; ordinal 0 is the handle of the first visible device.
        (unsafe { get(&mut value, attribute, 0) } == 0).then_some(value)
    });
    Some((major?, minor?))
}
