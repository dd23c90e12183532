//! Passes over a tensor's memory that libtorch takes several for. Each is one loop over slices, compiled for the widest
//! instructions that the processor has: everything in a `Pass` is inlined, closures are avoided, since a function of its
//! own would be compiled for the oldest processor. Only for the CPU; one thread.

mod adam;
mod chance;
mod gate;
mod max_norm;
mod memory;
mod pool;

pub use adam::adam;
pub use chance::Chance;
pub use gate::Gate;
pub use max_norm::max_norm;
pub use pool::Pool;

/// A loop to be compiled once for each set of instructions.
trait Pass {
    /// Must be `#[inline(always)]`, with all that it calls.
    fn run(self);
}

/// Runs it with the widest instructions that there are.
fn wide(pass: impl Pass) {
    struct Wide<P>(P);
    impl<P: Pass> pulp::WithSimd for Wide<P> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) {
            self.0.run();
        }
    }
    pulp::Arch::new().dispatch(Wide(pass));
}
