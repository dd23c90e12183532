//! Errors that end an attempt before its last epoch.

use tch::TchError;

use sweep_core::error::{Error, Exit};
use sweep_core::memory;
use sweep_core::trial::Outcome;

/// The reason why an attempt cannot continue. Displayed as one line.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The device or the machine has run out of memory.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// libtorch reported an error.
    #[error("libtorch: {0}")]
    Torch(String),
    /// The trial's folder cannot be written.
    #[error("{0}")]
    Unwritable(String),
    /// The data or the settings cannot be used.
    #[error("{0}")]
    Environment(String),
    /// A bug in the trainer: a panic that was caught.
    #[error("defect of the trainer: {0}")]
    Defect(String),
    /// The loss or the weights are no longer finite.
    #[error("{what} in epoch {epoch}, step {step}")]
    Diverged {
        /// The epoch, from 1.
        epoch: u32,
        /// The step of the whole trial, from 1.
        step: u64,
        /// The quantity that is no longer finite.
        what: String,
    },
}

impl Fault {
    /// Converts the error message of an operation. Only the text distinguishes out-of-memory errors from others.
    fn of_operation(text: &str, other: fn(String) -> Fault) -> Fault {
        // libtorch appends C++ stack frames to its messages.
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message").to_owned();
        if memory::is_lacking(text) { Fault::OutOfMemory(line) } else { other(line) }
    }

    /// Converts the message of a caught panic. tch panics if an operation with a number as its argument fails.
    pub fn of_panic(text: &str) -> Fault {
        Fault::of_operation(text, Fault::Defect)
    }
}

impl From<TchError> for Fault {
    fn from(error: TchError) -> Fault {
        Fault::of_operation(&error.to_string(), Fault::Torch)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let text = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        if error.exit == Exit::Storage { Fault::Unwritable(text) } else { Fault::Environment(text) }
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

/// The result type of the trainer's modules.
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

    #[test]
    fn lacking_memory_is_known_by_the_words_of_libraries_in_errors_and_in_panics() {
        let text = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`";
        assert!(matches!(Fault::from(tch::TchError::Torch(text.into())), Fault::OutOfMemory(_)));
        let panic = format!("called `Result::unwrap()` on an `Err` value: Torch(\"{text}\")");
        assert!(matches!(Fault::of_panic(&panic), Fault::OutOfMemory(_)));
        assert!(matches!(Fault::of_panic("index out of bounds"), Fault::Defect(_)));
    }
}
