//! Measures networks on one trainer, one after the other, for `sweep check`.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::agent::{Agent, Launcher, SlotDevice};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::probe::{Measured, Probe};
use sweep_core::protocol::{self, FromTrainer};
use sweep_scheduler::schedule::{Event, SlotId};

/// Timeout for a trainer, in addition to the time limit of its probe. It may have to load its data and finish a step.
const SILENCE: Duration = Duration::from_secs(300);

/// The measurements of a trainer on this slot, in the order of the probes. For a network that cannot be trained, the
/// result is the reason.
///
/// # Errors
/// Returns an error if no trainer can be run, or if it exits.
pub fn probe(
    trainer: PathBuf,
    slot: SlotDevice,
    probes: &[Probe],
) -> Result<Vec<std::result::Result<Measured, String>>> {
    super::runtime()?.block_on(async {
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut agent = Agent::new(Some(Launcher::new(trainer, None)), vec![slot], sender);
        let slot = SlotId(0);
        let mut answers = Vec::new();
        agent.start(slot);
        while answers.len() < probes.len() {
            let limit = SILENCE + Duration::from_secs_f64(probes[answers.len()].seconds);
            let event = timeout(limit, events.recv()).await.ok().flatten();
            let asked = &probes[answers.len()];
            let gone = |how: String| Error::new(Exit::NoTrainer, format!("the trainer {how}"));
            match event {
                Some(Event::Said { message: FromTrainer::Ready { protocol, .. }, .. }) => {
                    if protocol != protocol::VERSION {
                        return Err(gone(format!(
                            "uses protocol {protocol}, but this sweep uses {}",
                            protocol::VERSION
                        ))
                        .hint("install both programs from the same build"));
                    }
                    agent.probe(slot, asked.clone());
                    continue;
                }
                Some(Event::Said { message: FromTrainer::Probed { attempt, measured }, .. })
                    if attempt == asked.attempt =>
                {
                    answers.push(Ok(*measured));
                }
                Some(Event::Said { message: FromTrainer::Ended { attempt, outcome }, .. })
                    if attempt == asked.attempt =>
                {
                    answers.push(Err(outcome.error().unwrap_or_else(|| "it did not answer".into())));
                }
                Some(Event::Said { message: FromTrainer::Unusable { reason }, .. }) => return Err(gone(reason)),
                Some(Event::Gone { how, .. }) => return Err(gone(how)),
                Some(_) => continue,
                None => return Err(gone(format!("produced no output for {} s", limit.as_secs()))),
            }
            if let Some(next) = probes.get(answers.len()) {
                agent.probe(slot, next.clone());
            }
        }
        Ok(answers)
    })
}
