//! The lifetime of a trainer: it executes one order after the other until stdin closes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::Device;

use super::attempt;
use super::controller::{Agent, Controller};
use super::dataset::DatasetCache;
use super::device;
use super::fault::{Fault, Result};
use super::measure;
use sweep_core::protocol::{FromTrainer, Order, ToTrainer};
use sweep_core::trial::Outcome;

/// Executes orders until the device fails, and returns that failure. The process ends when stdin closes.
pub fn serve(agent: &mut Agent, device: Device) -> Fault {
    let mut cache = DatasetCache::new(device);
    loop {
        match agent.listen() {
            ToTrainer::Train(order) => {
                let answer = answer(&order, device, &mut cache, agent);
                let failed = matches!(
                    &answer,
                    FromTrainer::Ended { outcome: Outcome::Failed { .. } | Outcome::OutOfMemory { .. }, .. }
                );
                agent.say(answer);
                if failed && let Err(fault) = device::check(device) {
                    return fault;
                }
            }
            ToTrainer::Measure(order) => {
                let attempt = order.attempt;
                let answer = match caught(|| measure::all(&order, device, &mut cache)) {
                    Ok(measured) => FromTrainer::Measured { attempt, measured: Box::new(measured) },
                    Err(fault) => FromTrainer::Ended { attempt, outcome: fault.into() },
                };
                agent.say(answer);
            }
            // The trial ended while the message was in transit.
            ToTrainer::Pause { .. } => {}
        }
    }
}

/// Trains one trial. An error ends the trial, not the process.
fn answer(order: &Order, device: Device, cache: &mut DatasetCache, controller: &mut dyn Controller) -> FromTrainer {
    let attempt = order.attempt;
    match caught(|| attempt::train(order, device, cache, controller)) {
        Ok(Some(outcome)) => FromTrainer::Ended { attempt, outcome },
        Ok(None) => FromTrainer::Paused { attempt },
        Err(Fault::Unwritable(reason)) => FromTrainer::Unwritable { attempt, reason },
        Err(fault) => FromTrainer::Ended { attempt, outcome: fault.into() },
    }
}

/// Runs `work` and converts a panic to an error. This is safe because no partial state is reused: the trial's state is
/// dropped, and the dataset cache changes only by whole datasets.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Fault::of_panic(words(panic.as_ref()))))
}

/// Returns the message of a panic.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    /// tch creates a `Scalar` from the number and panics if the operation fails.
    #[test]
    fn memory_that_lacks_for_an_operation_with_a_number_is_no_defect() {
        let fault = caught(|| {
            let small = Tensor::ones([1], (Kind::Float, Device::Cpu));
            Ok(small.expand([1_i64 << 55], false) + 1.0)
        });
        assert!(matches!(fault, Err(Fault::OutOfMemory(_))), "{fault:?}");
        let fault = caught(|| -> Result<()> { panic!("an index") });
        assert!(matches!(fault, Err(Fault::Defect(_))), "{fault:?}");
    }
}
