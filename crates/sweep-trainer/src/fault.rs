//! What ends an attempt other than its last epoch.

use tch::TchError;

use sweep_core::error::{Error, Exit};
use sweep_core::trial::Outcome;

/// Why an attempt cannot go on. Shown as one line.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The device or the machine has no room.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(String),
    /// The trial's folder cannot be written.
    #[error("{0}")]
    Unwritable(String),
    /// Data or settings.
    #[error("{0}")]
    Surroundings(String),
    /// A defect of the trainer: a panic that was caught.
    #[error("defect of the trainer: {0}")]
    Defect(String),
    /// Loss or weights ceased to be finite.
    #[error("{what} in epoch {epoch}, step {step}")]
    Diverged {
        /// From 1.
        epoch: u32,
        /// Of the whole trial, from 1.
        step: u64,
        /// What ceased to be finite.
        what: String,
    },
}

impl From<TchError> for Fault {
    /// libtorch tells running out of memory from other failures only by its text, and appends C++ frames to it.
    fn from(error: TchError) -> Fault {
        let text = error.to_string();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message").to_owned();
        let memory = ["out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED"];
        if memory.iter().any(|sign| text.contains(sign)) { Fault::OutOfMemory(line) } else { Fault::Torch(line) }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let text = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        if error.exit == Exit::Storage { Fault::Unwritable(text) } else { Fault::Surroundings(text) }
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Outcome {
        match fault {
            Fault::Diverged { epoch, step, what } => Outcome::Diverged { epoch, step, what },
            Fault::OutOfMemory(error) => Outcome::OutOfMemory { error },
            other => Outcome::Failed { error: other.to_string() },
        }
    }
}

/// What the trainer's parts return.
pub type Result<T> = std::result::Result<T, Fault>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_memory_is_told_from_other_failures_in_one_line() {
        let error = tch::Tensor::f_zeros([1 << 55], (tch::Kind::Float, tch::Device::Cpu)).unwrap_err();
        let fault = Fault::from(error).to_string();
        assert!(fault.starts_with("out of memory: ") && !fault.contains('\n'), "{fault}");
        let error = tch::Tensor::from_slice(&[1.0f32]).f_reshape([2]).unwrap_err();
        let fault = Fault::from(error).to_string();
        assert!(fault.starts_with("libtorch: ") && !fault.contains('\n'), "{fault}");
    }
}
