//! CPU kernels that are faster than libtorch's: passes over a tensor's memory where libtorch needs several, and
//! convolutions.
//!
//! Each kernel is one loop over slices, compiled for the widest instruction set of the processor. Everything in a
//! `Pass` is inlined and contains no closures, because a separate function would be compiled for the baseline
//! instruction set.
//!
//! This crate owns the unsafe code for tensors on the CPU. Kernels for GPUs are in `sweep-trainer`, and so is the choice
//! of a kernel. `memory` is the bridge from tensors to slices; `max_norm` is a short kernel to start with.

mod adam;
mod batch_norm;
mod chance;
#[cfg(target_arch = "x86_64")]
mod convolution;
mod fused_activation;
mod max_norm;
mod memory;
mod pool;
#[cfg(target_arch = "x86_64")]
mod products;
#[cfg(target_arch = "x86_64")]
mod winograd;

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

pub use adam::adam;
pub use batch_norm::{BatchNorm, Moments};
pub use chance::Chance;
#[cfg(target_arch = "x86_64")]
pub use convolution::Convolution;
pub use fused_activation::FusedActivation;
pub use max_norm::max_norm;
pub use memory::dense;
pub use pool::Pool;
#[cfg(target_arch = "x86_64")]
pub use products::has_products;
#[cfg(target_arch = "x86_64")]
pub use winograd::Winograd;

/// A loop that is compiled once for each instruction set.
trait Pass: Sized + Send {
    /// Number of values that the pass processes.
    fn size(&self) -> usize;

    /// Splits the pass into two that can run one after the other or in parallel.
    fn halves(self) -> (Self, Self);

    /// Runs the loop. The implementation and everything that it calls must be `#[inline(always)]`.
    fn run<S: pulp::Simd>(self, simd: S);
}

/// Minimum number of values per pass that justifies another thread. Starting one takes about ten microseconds.
const WORTH_A_THREAD: usize = 1 << 18;

/// Runs the pass with up to libtorch's number of threads, if it is large enough.
fn run(pass: impl Pass) {
    shared(pass, usize::try_from(tch::get_num_threads()).unwrap_or(1));
}

fn shared(pass: impl Pass, threads: usize) {
    if threads < 2 || pass.size() < WORTH_A_THREAD {
        return wide(pass);
    }
    let (first, second) = pass.halves();
    std::thread::scope(|scope| {
        scope.spawn(|| shared(second, threads / 2));
        shared(first, threads.div_ceil(2));
    });
}

/// Runs the pass with the widest available instruction set.
fn wide(pass: impl Pass) {
    struct Wide<P>(P);
    impl<P: Pass> pulp::WithSimd for Wide<P> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) {
            self.0.run(simd);
        }
    }
    #[cfg(target_arch = "x86_64")]
    if avx2_at_most()
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        return pulp::Simd::vectorize(simd, Wide(pass));
    }
    pulp::Arch::new().dispatch(Wide(pass));
}

/// Returns whether wider instructions than AVX2 are ruled out by `ONEDNN_MAX_CPU_ISA`. This variable limits oneDNN,
/// libtorch's library for convolutions. The kernels obey it, too, so that a processor without AVX-512 can be imitated.
#[cfg(target_arch = "x86_64")]
fn avx2_at_most() -> bool {
    static LIMITED: LazyLock<bool> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the variable is a setting of libtorch's, not of the trainer")]
        let limit = std::env::var_os("ONEDNN_MAX_CPU_ISA");
        limit.is_some_and(|limit| limit.eq_ignore_ascii_case("avx2"))
    });
    *LIMITED
}

/// Returns whether MKL, libtorch's library for products of matrices, uses all of the processor. On AMD's it does not use
/// AVX-512.
#[cfg(target_arch = "x86_64")]
pub fn has_fast_mkl() -> bool {
    is_intel() || !is_x86_feature_detected!("avx512f") || avx2_at_most()
}

#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel"
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    /// The tensors are large enough that each of three threads gets work.
    #[test]
    fn threads_change_no_number() {
        let _guard = tch::no_grad_guard();
        let xs = Tensor::randn([70, 32, 32, 17], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        let activation = FusedActivation { relu: false, dropout: Some((0.3, Chance::new([1, 2]))) };
        let pool = Pool { side: 2, activation: FusedActivation { relu: true, ..activation } };
        let all = || {
            let (pooled, which) = pool.pass(&xs).unwrap();
            let spread = pool.gradient(&pooled, &which, &xs.size()).unwrap();
            let mut dropped = xs.copy();
            activation.pass(&mut dropped);
            let mut back = xs.copy();
            FusedActivation { relu: true, dropout: None }.gradient(&mut back, &dropped);
            let mut weight = xs.permute([0, 2, 3, 1]).reshape([70, -1]).copy();
            max_norm(&mut weight, 1.0);
            let (mut m, mut v) = (weight.zeros_like(), weight.zeros_like());
            let gradient = weight.copy();
            adam(&mut weight, &gradient, [&mut m, &mut v], [0.9, 0.999], 0.1, 1e-7).unwrap();
            let (norm, ones) =
                (BatchNorm { epsilon: 1e-3, relu: true }, Tensor::ones([17], (Kind::Float, Device::Cpu)));
            let (normed, moments) = norm.pass(&xs, &ones, &ones).unwrap();
            let mut further = xs.copy();
            let [of_scale, of_shift] = norm.gradients(&mut further, [&xs, &normed], &ones, &moments).unwrap();
            #[allow(unused_mut)]
            let mut all = vec![pooled, spread, dropped, back, weight, m, v, normed, further, of_scale, of_shift];
            #[cfg(target_arch = "x86_64")]
            {
                let convolution = Convolution { kernel: 3, stride: 1, padding: [1, 1] };
                if has_products() {
                    let xs = xs.to_kind(Kind::BFloat16);
                    all.extend(convolution.weights_gradient(&xs, &xs).unwrap());
                }
                let weight = Tensor::ones([17, 17, 3, 3], (Kind::Float, Device::Cpu));
                if let Some(winograd) = Winograd::new(convolution, &xs, &weight) {
                    all.push(winograd.pass(&xs, &weight, None).unwrap());
                    // The gradient of the weights is a sum over images, which threads share.
                    all.extend(winograd.gradients(&xs, &weight, &xs, true).unwrap().0);
                }
            }
            all
        };
        let before = tch::get_num_threads();
        tch::set_num_threads(1);
        let alone = all();
        tch::set_num_threads(3);
        let together = all();
        tch::set_num_threads(before);
        assert!(alone.iter().zip(&together).all(|(alone, together)| alone.equal(together)));
    }
}
