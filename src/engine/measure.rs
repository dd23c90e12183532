//! Measures networks on one trainer, one after the other, for `sweep check`.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::agent::{self, Agent, Launcher, SlotDevice};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::measurement::{MeasureRequest, Measured};
use sweep_core::protocol::{self, FromTrainer};
use sweep_scheduler::schedule::{Event, SlotEvent, SlotId};

/// Timeout for a trainer, in addition to the time limit of its request. It may have to load its data and finish a step.
const SILENCE: Duration = Duration::from_secs(300);

/// Timeout for a trainer to load libtorch and its device.
const LOADING: Duration = Duration::from_secs(120);

/// Starts a trainer on this slot and ends it. Returns the device and the library that it trains with.
///
/// # Errors
/// Returns the reason why it cannot train there.
pub fn try_to_start(trainer: Launcher, slot: SlotDevice) -> std::result::Result<(String, String), String> {
    let runtime = super::runtime().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (sender, mut events) = mpsc::channel(agent::CAPACITY);
        let mut agent = Agent::new(Some(trainer), vec![slot], sender);
        agent.start(SlotId(0)).map_err(|how| format!("it {how}"))?;
        loop {
            match timeout(LOADING, events.recv()).await.ok().flatten() {
                Some(Event::On(_, SlotEvent::Said(FromTrainer::Ready { protocol, device, backend }))) => {
                    return if protocol == protocol::VERSION { Ok((device, backend)) } else { Err(other(protocol)) };
                }
                Some(Event::On(_, SlotEvent::Said(FromTrainer::Unusable { reason }))) => return Err(reason),
                Some(Event::On(_, SlotEvent::Gone { how, .. })) => return Err(format!("it {how}")),
                Some(_) => {}
                None => return Err(format!("no output for {} s", LOADING.as_secs())),
            }
        }
    })
}

fn other(protocol: u32) -> String {
    format!("uses protocol {protocol}, but this sweep uses {}", protocol::VERSION)
}

/// The measurements of a trainer on this slot, in the order of the requests. For a network that cannot be trained, the
/// result is the reason.
///
/// # Errors
/// Returns an error if no trainer can be run, or if it exits.
pub fn measure(
    trainer: Launcher,
    slot: SlotDevice,
    requests: &[MeasureRequest],
) -> Result<Vec<std::result::Result<Measured, String>>> {
    super::runtime()?.block_on(async {
        let (sender, mut events) = mpsc::channel(agent::CAPACITY);
        let mut agent = Agent::new(Some(trainer), vec![slot], sender);
        let slot = SlotId(0);
        let mut answers = Vec::new();
        agent.start(slot).map_err(|how| Error::new(Exit::NoTrainer, format!("the trainer {how}")))?;
        while answers.len() < requests.len() {
            let limit = SILENCE + Duration::from_secs_f64(requests[answers.len()].seconds);
            let event = timeout(limit, events.recv()).await.ok().flatten();
            let asked = &requests[answers.len()];
            let gone = |how: String| Error::new(Exit::NoTrainer, format!("the trainer {how}"));
            match event {
                Some(Event::On(_, SlotEvent::Said(FromTrainer::Ready { protocol, .. }))) => {
                    if protocol != protocol::VERSION {
                        return Err(gone(other(protocol)).hint("install both programs from the same build"));
                    }
                    agent.measure(slot, asked.clone());
                    continue;
                }
                Some(Event::On(_, SlotEvent::Said(FromTrainer::Measured { attempt, measured })))
                    if attempt == asked.attempt =>
                {
                    answers.push(Ok(*measured));
                }
                Some(Event::On(_, SlotEvent::Said(FromTrainer::Ended { attempt, outcome })))
                    if attempt == asked.attempt =>
                {
                    answers.push(Err(outcome.error().unwrap_or_else(|| "it did not answer".into())));
                }
                Some(Event::On(_, SlotEvent::Said(FromTrainer::Unusable { reason }))) => return Err(gone(reason)),
                Some(Event::On(_, SlotEvent::Gone { how, .. })) => return Err(gone(how)),
                Some(_) => continue,
                None => return Err(gone(format!("produced no output for {} s", limit.as_secs()))),
            }
            if let Some(next) = requests.get(answers.len()) {
                agent.measure(slot, next.clone());
            }
        }
        Ok(answers)
    })
}
