//! Compiles kernels.cu with NVRTC and launches it through the driver. Both libraries are those that libtorch uses.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_NOW};
use tch::TchError;

use crate::cuda;

const SOURCE: &CStr = c"kernels.cu";
static KERNELS: &str = include_str!("kernels.cu");
const NAMES: [&CStr; 6] = [
    c"activation_forward_float",
    c"activation_forward_bfloat16",
    c"activation_backward_float",
    c"activation_backward_bfloat16",
    c"adam_float",
    c"adam_bfloat16",
];

/// `cuLaunchKernel` from cuda.h: function, grid, block, bytes of shared memory, stream, arguments, extra.
type Launch = unsafe extern "C" fn(
    *mut c_void,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    *mut c_void,
    *mut *mut c_void,
    *mut *mut c_void,
) -> c_int;

struct Kernels {
    launch: Launch,
    /// The `CUfunction` of each kernel, by name.
    functions: HashMap<&'static str, usize>,
}

fn kernels() -> Result<&'static Kernels, TchError> {
    static LOADED: OnceLock<Result<Kernels, String>> = OnceLock::new();
    let load =
        || load().inspect_err(|why| eprintln!("libtorch's kernels are used on this GPU instead of sweep's own: {why}"));
    LOADED.get_or_init(load).as_ref().map_err(|why| TchError::Torch(why.clone()))
}

/// Returns whether the kernels could be compiled for the GPU. The first call compiles them.
pub(super) fn available() -> bool {
    kernels().is_ok()
}

/// # Safety
/// See [`super::launch`].
pub(super) unsafe fn launch(
    name: &'static str,
    blocks: u32,
    threads: u32,
    arguments: *const c_void,
) -> Result<(), TchError> {
    let kernels = kernels()?;
    let stream = cuda::current_stream()?;
    let function = kernels.functions[name] as *mut c_void;
    let mut arguments = [arguments.cast_mut()];
    let none = std::ptr::null_mut();
    // SAFETY: The function takes one argument, which is copied before the call returns. The caller guarantees the rest.
    let code =
        unsafe { (kernels.launch)(function, blocks, 1, 1, threads, 1, 1, 0, stream, arguments.as_mut_ptr(), none) };
    if code == 0 { Ok(()) } else { Err(TchError::Torch(format!("CUDA driver error {code} when launching {name}"))) }
}

fn load() -> Result<Kernels, String> {
    let error = |error: libloading::Error| error.to_string();
    // SAFETY: libtorch itself uses this library to reach NVRTC and the driver, whose symbols are found through it.
    let library = unsafe { Library::open(Some("libcaffe2_nvrtc.so"), RTLD_NOW) }.map_err(error)?;
    preload_builtins();
    let (major, minor) = cuda::compute_capability().ok_or("the driver does not say what the GPU can do")?;
    let binary = compile(&library, &format!("--gpu-architecture=sm_{major}{minor}"))?;
    type LoadData = unsafe extern "C" fn(*mut *mut c_void, *const c_void) -> c_int;
    type GetFunction = unsafe extern "C" fn(*mut *mut c_void, *mut c_void, *const c_char) -> c_int;
    // SAFETY: The three functions have these types in every version of the driver. libtorch has created a context,
    // which is current. The module is never unloaded.
    unsafe {
        let load = library.get::<LoadData>(b"cuModuleLoadData\0").map_err(error)?;
        let get = library.get::<GetFunction>(b"cuModuleGetFunction\0").map_err(error)?;
        let launch = *library.get::<Launch>(b"cuLaunchKernel\0").map_err(error)?;
        let mut module = std::ptr::null_mut();
        match load(&mut module, binary.as_ptr().cast()) {
            0 => {}
            code => return Err(format!("CUDA driver error {code} when loading the kernels")),
        }
        let mut functions = HashMap::new();
        for name in NAMES {
            let mut function = std::ptr::null_mut();
            match get(&mut function, module, name.as_ptr()) {
                0 => functions.insert(name.to_str().expect("ASCII"), function as usize),
                code => return Err(format!("CUDA driver error {code} when looking for {name:?}")),
            };
        }
        std::mem::forget(library);
        Ok(Kernels { launch, functions })
    }
}

/// NVRTC opens a second library by name alone. The dynamic linker finds it only if it is already open, so it is loaded
/// here from the folder of the first.
fn preload_builtins() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let nvrtc = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let named =
        |path: &Path, start: &str| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
    let Some(folder) = nvrtc.filter(|path| named(path, "libnvrtc.so")).find_map(Path::parent) else { return };
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if named(&file.path(), "libnvrtc-builtins.so") {
            // SAFETY: The library contains data for NVRTC and runs nothing.
            if let Ok(library) = unsafe { Library::open(Some(file.path()), RTLD_NOW) } {
                std::mem::forget(library);
            }
        }
    }
}

/// Compiles kernels.cu to a binary for the GPU.
fn compile(library: &Library, architecture: &str) -> Result<Vec<u8>, String> {
    type Create = unsafe extern "C" fn(
        *mut *mut c_void,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int;
    type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
    type Size = unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int;
    type Fill = unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_int;
    type Destroy = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
    let error = |error: libloading::Error| error.to_string();
    let source = CString::new(KERNELS).expect("the source has no zero in it");
    // Products are not fused with sums, so that a mean equals the CPU's.
    let options = [CString::new(architecture).expect("no zero"), c"--std=c++17".into(), c"--fmad=false".into()];
    let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
    // SAFETY: The functions have these types in every version of NVRTC. All strings are null-terminated and outlive the
    // calls. Each buffer has the size that NVRTC reported.
    unsafe {
        let create = library.get::<Create>(b"nvrtcCreateProgram\0").map_err(error)?;
        let compile = library.get::<Compile>(b"nvrtcCompileProgram\0").map_err(error)?;
        let destroy = library.get::<Destroy>(b"nvrtcDestroyProgram\0").map_err(error)?;
        let filled = |size: &[u8], fill: &[u8], program| {
            let (size, fill) = (library.get::<Size>(size).map_err(error)?, library.get::<Fill>(fill).map_err(error)?);
            let mut bytes = 0;
            match size(program, &mut bytes) {
                0 => {}
                code => return Err(format!("NVRTC error {code}")),
            }
            let mut room = vec![0_u8; bytes];
            match fill(program, room.as_mut_ptr().cast()) {
                0 => Ok(room),
                code => Err(format!("NVRTC error {code}")),
            }
        };
        let (mut program, none) = (std::ptr::null_mut(), std::ptr::null());
        match create(&mut program, source.as_ptr(), SOURCE.as_ptr(), 0, none, none) {
            0 => {}
            code => return Err(format!("NVRTC error {code} when making a program")),
        }
        let result = match compile(program, options.len() as c_int, options.as_ptr()) {
            0 => filled(b"nvrtcGetCUBINSize\0", b"nvrtcGetCUBIN\0", program),
            code => {
                let log = filled(b"nvrtcGetProgramLogSize\0", b"nvrtcGetProgramLog\0", program).unwrap_or_default();
                let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned();
                Err(format!("NVRTC error {code} for {architecture}: {log}"))
            }
        };
        destroy(&mut program);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NVRTC needs no GPU. It is available if libtorch was installed with CUDA.
    #[test]
    fn the_kernels_compile_for_every_architecture_since_ampere() {
        #[expect(clippy::disallowed_methods, reason = "a test is told of an NVRTC that is not beside libtorch")]
        let named = std::env::var("SWEEP_TEST_NVRTC").unwrap_or_else(|_| "libnvrtc.so.13".into());
        // SAFETY: NVRTC has no preconditions.
        let Ok(library) = (unsafe { Library::open(Some(&named), RTLD_NOW) }) else {
            return eprintln!("{named} cannot be opened: nothing is compiled");
        };
        preload_builtins();
        for architecture in ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"] {
            let binary = compile(&library, &format!("--gpu-architecture={architecture}")).unwrap();
            assert!(
                NAMES.iter().all(|name| { binary.windows(name.count_bytes()).any(|window| window == name.to_bytes()) })
            );
        }
    }
}
