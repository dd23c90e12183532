//! Passes over a tensor's memory that libtorch takes several for. Each is one loop over slices, compiled for the widest
//! instructions that the processor has. Only for the CPU; one thread.

mod adam;
mod chance;
mod mask;
mod memory;

pub use adam::adam;
pub use chance::Chance;
pub use mask::{Gate, mask};
