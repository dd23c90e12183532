//! The device that this process trains on.

use std::sync::LazyLock;

use clap::ValueEnum;
use tch::{Cuda, Device, Tensor};

use super::cuda;
use super::fault::Fault;
use super::gpu_kernel;
use super::libtorch;
use sweep_core::recipe::{Precision, Training};

/// Environment variable that makes the CPU use the GPU's code path: libtorch's kernels instead of sweep's own, lists of
/// tensors, static inputs. Tests use it to find errors of type, shape and stride without a GPU.
const FORCED: &str = "SWEEP_FORCE_GPU_PATH";

/// Returns whether tensors on this device use the GPU's code path.
pub fn takes_gpu_path(device: Device) -> bool {
    static FORCED_HERE: LazyLock<bool> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the only variable that the trainer itself reads")]
        let value = std::env::var_os(FORCED);
        value.is_some_and(|value| value == "1")
    });
    device.is_cuda() || *FORCED_HERE
}

/// Returns the name and version of the compute library, such as `libtorch 2.13.0`.
pub fn backend() -> String {
    format!("libtorch {}", libtorch::version())
}

/// The value of `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The CPU.
    Cpu,
    /// The first visible GPU (CUDA_VISIBLE_DEVICES).
    Cuda,
}

/// Prepares libtorch. Must run before anything else uses it. Each operation uses `threads` threads, and operations run
/// one at a time.
///
/// # Errors
/// Returns, in one line, why the device cannot be used and what to do. There is no fallback to the CPU, because a trial
/// meant for a GPU would take days there.
pub fn open(kind: Kind, threads: u16) -> Result<Device, String> {
    if kind == Kind::Cuda {
        cuda::open().map_err(|error| {
            format!(
                "libtorch's CUDA part cannot be opened: {error}; install libtorch with CUDA \
                 (`scripts/libtorch` does where it finds an NVIDIA driver), or write `devices: {{gpus: none}}`"
            )
        })?;
    }
    tch::set_num_threads(threads.into());
    tch::set_num_interop_threads(1);
    match kind {
        Kind::Cpu => Ok(Device::Cpu),
        Kind::Cuda if Cuda::is_available() => {
            // The context is created now, so that a broken or full GPU is detected before it receives a trial.
            check(Device::Cuda(0)).map_err(|fault| format!("the GPU takes no work: {fault}"))?;
            if let Err(error) = cuda::use_own_stream() {
                eprintln!("no step can be recorded as a CUDA graph: {error}");
            }
            Ok(Device::Cuda(0))
        }
        Kind::Cuda => Err("libtorch sees no usable GPU: check `nvidia-smi`, that the driver is new enough for CUDA \
                           13, and CUDA_VISIBLE_DEVICES; or write `devices: {gpus: none}`"
            .into()),
    }
}

/// Checks that the device executes work. After some errors, CUDA refuses all work until the process is restarted.
///
/// # Errors
/// Returns the device's error.
pub fn check(device: Device) -> Result<(), Fault> {
    Tensor::f_ones([1], (tch::Kind::Float, device))?.f_double_value(&[0])?;
    Ok(())
}

/// Configures libtorch for a trial. Only a GPU has options: benchmarked kernels or deterministic ones, and tf32.
pub fn choose(training: &Training) {
    libtorch::calculate(training.deterministic, training.precision == Precision::Tf32);
    gpu_kernel::choose(training.gpu_kernels);
}

/// Returns the number type for a precision on this device. `auto` is bfloat16 if there are instructions for it,
/// otherwise float32. On a CPU these are AVX-512's or AMX's, on a GPU those of compute capability 8.0 (Ampere).
pub fn numbers(precision: Precision, device: Device) -> tch::Kind {
    let fast = || match device {
        Device::Cpu if takes_gpu_path(device) => true,
        Device::Cuda(_) => cuda::compute_capability().is_some_and(|(major, _)| major >= 8),
        _ => std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|cpu| fast_bfloat16(&cpu)),
    };
    match precision {
        Precision::Float32 | Precision::Tf32 => tch::Kind::Float,
        Precision::Bfloat16 => tch::Kind::BFloat16,
        Precision::Auto if fast() => tch::Kind::BFloat16,
        Precision::Auto => tch::Kind::Float,
    }
}

/// Returns whether the processor described by `/proc/cpuinfo` is faster in bfloat16 than in float32. On Intel's
/// processors, the AVX-512 instruction for bfloat16 does half as many products as the one for float32, so only AMX counts.
fn fast_bfloat16(cpuinfo: &str) -> bool {
    let line = |name: &str| cpuinfo.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let has = |flag: &str| line("flags").split_whitespace().any(|word| word == flag);
    has("amx_bf16") || has("avx512_bf16") && !line("vendor_id").ends_with("GenuineIntel")
}

/// Returns a description of the device for people, such as `cpu, 2 threads`.
pub fn name(kind: Kind, threads: u16) -> String {
    match kind {
        Kind::Cpu => format!("cpu, {threads} thread{}", if threads == 1 { "" } else { "s" }),
        Kind::Cuda => format!("cuda {}", tch::utils::version_cudart()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_is_faster_in_bfloat16_is_known_by_its_flags_and_its_vendor() {
        assert!(fast_bfloat16("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f avx512_bf16 sse\n"));
        assert!(fast_bfloat16("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16 amx_bf16\n"));
        assert!(!fast_bfloat16("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16\n"));
        assert!(!fast_bfloat16("model name\t: avx512_bf16\nflags\t\t: fpu avx512f\n") && !fast_bfloat16(""));
    }
}
