//! Loads libtorch's CUDA library. The program names none of its symbols, so linkers drop libtorch_cuda.so and CUDA is
//! silently unavailable.
//!
//! The functions that need that library are in cuda.cpp. It is compiled to a shared object that this binary contains
//! and opens after libtorch_cuda.so.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_void};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Device, TchError};

use super::libtorch::checked;
use super::step_rng::with_generator;

/// The compiled cuda.cpp. Empty if the CUDA headers were missing at build time.
static ADDITIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libsweep_cuda.so"));

/// Opens libtorch's CUDA library for the rest of the process. This must precede the first query about CUDA, because
/// libtorch caches the answer.
///
/// # Errors
/// Returns the dynamic linker's error, usually that an NVIDIA library is not installed.
pub fn open() -> Result<(), libloading::Error> {
    // SAFETY: The library's initializers register kernels with the linked libtorch and expect nothing else. The run
    // path ensures that both come from the same folder. The library is never closed, so no registration can dangle.
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL)? };
    std::mem::forget(library);
    Ok(())
}

/// The functions of cuda.cpp. Each returns an error message or null.
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
    // An anonymous file leaves nothing behind and does not have to be found.
    let file = rustix::fs::memfd_create("libsweep_cuda.so", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(file.map_err(|error| format!("memfd_create: {error}"))?);
    file.write_all(ADDITIONS).map_err(|error| format!("memfd: {error}"))?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: The library references only symbols of libtorch, which is loaded, and runs nothing when it is opened.
    let library = unsafe { Library::open(Some(path), RTLD_NOW) }.map_err(|error| error.to_string())?;
    // SAFETY: cuda.cpp defines each function with the type of its field in `Additions`.
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

/// Moves this thread's work to its own stream from now on, because the default stream cannot be recorded.
///
/// # Errors
/// Returns the reason why the additions to libtorch's CUDA part cannot be used.
pub fn use_own_stream() -> Result<(), TchError> {
    // SAFETY: The only precondition is that CUDA is loaded, which `additions` guarantees.
    checked(unsafe { (additions()?.use_own_stream)() })
}

/// Returns the `cudaStream_t` on which this thread's work runs.
///
/// # Errors
/// Returns the reason why the additions to libtorch's CUDA part cannot be used.
pub fn current_stream() -> Result<*mut c_void, TchError> {
    let mut stream = std::ptr::null_mut();
    // SAFETY: The pointer outlives the call.
    checked(unsafe { (additions()?.stream)(&mut stream) })?;
    Ok(stream)
}

/// Recorded GPU work, which is replayed as a whole on the same memory.
pub struct Graph {
    graph: *mut c_void,
    operations: usize,
}

impl Graph {
    /// Records the work that `work` starts on the GPU in this thread, without executing it.
    ///
    /// # Errors
    /// Returns the error of `work`, or CUDA's error if something in it cannot be recorded.
    pub fn record(work: impl FnOnce() -> Result<(), TchError>) -> Result<Graph, TchError> {
        let additions = additions()?;
        let mut graph = Graph { graph: std::ptr::null_mut(), operations: 0 };
        with_generator(Device::Cuda(0), |generator| {
            // SAFETY: `graph` outlives the call, which stores an object there that only `discard` deletes. The graph
            // itself keeps the generator's state alive.
            checked(unsafe { (additions.begin)(&mut graph.graph, generator.as_ptr()) })
        })?;
        let done = work();
        // The recording must end even if the work failed, because a recording stream does nothing else.
        // SAFETY: `begin` created the object, and the count outlives the call.
        let ended = checked(unsafe { (additions.end)(graph.graph, &mut graph.operations) });
        done?;
        ended?;
        Ok(graph)
    }

    /// Number of kernels, copies and fills in the graph.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// Starts the recorded work without waiting for it.
    ///
    /// # Errors
    /// Returns CUDA's error.
    pub fn replay(&self) -> Result<(), TchError> {
        // SAFETY: The object lives until `self` is dropped.
        checked(unsafe { (additions()?.replay)(self.graph) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if let (Ok(additions), false) = (additions(), self.graph.is_null()) {
            // SAFETY: `begin` created the object, and it is deleted only here. An error cannot be reported from `drop`.
            let _ = unsafe { (additions.discard)(self.graph) };
        }
    }
}

/// Returns the major and minor compute capability of the first visible GPU, from the driver. Returns `None` if the
/// driver does not report it.
pub fn compute_capability() -> Option<(i32, i32)> {
    /// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `…_MINOR` from cuda.h.
    const ATTRIBUTES: [i32; 2] = [75, 76];
    type Get = unsafe extern "C" fn(value: *mut i32, attribute: i32, device: i32) -> i32;
    // SAFETY: libtorch has already loaded and initialized the driver.
    let driver = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW) }.ok()?;
    // SAFETY: The function has this signature in every version of the driver.
    let get = unsafe { driver.get::<Get>(b"cuDeviceGetAttribute\0") }.ok()?;
    let [major, minor] = ATTRIBUTES.map(|attribute| {
        let mut value = 0;
        // SAFETY: `value` outlives the call. Ordinal 0 is the handle of the first visible device.
        (unsafe { get(&mut value, attribute, 0) } == 0).then_some(value)
    });
    Some((major?, minor?))
}
