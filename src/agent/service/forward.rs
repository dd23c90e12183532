//! The way of events to the controller, with the files of trials that have left their slots before the news of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::desk::Desk;
use super::files::{Which, parts};
use super::greeting::Facts;
use super::wire::{FromAgent, JobTime, Offer};
use sweep_core::protocol::FromTrainer;
use sweep_core::trial::{Attempt, TrialId};
use sweep_link::Link;
use sweep_scheduler::schedule::{Event, SlotEvent, SlotId};
use sweep_store::Layout;

/// What the controller is told besides events.
pub enum Ask {
    /// The slots, as they are once all events before have been passed on.
    Offer,
    Say(Box<FromAgent>),
    /// What trials use of their GPUs.
    Usage,
}

/// Tells the key of a slot's usage from that of its progress, among messages that are replaced by newer ones.
const OF_USAGE: u64 = 1 << 32;

/// The key of what GPUs do.
const OF_GPUS: u64 = 2 << 32;

/// The task that passes events on.
pub struct Forward {
    /// When the agent began, and the time for trials from then on, if its job ends.
    pub time: Option<(Instant, Duration)>,
    pub layout: Layout,
    pub link: Link<FromAgent>,
    pub desk: Arc<Mutex<Desk>>,
    pub carries: Arc<Mutex<bool>>,
    pub facts: Facts,
}

impl Forward {
    pub async fn run(self, mut events: mpsc::Receiver<Event>, mut asks: mpsc::UnboundedReceiver<Ask>) {
        // Without room for messages, nothing more is taken from trainers, and they wait.
        loop {
            let words = tokio::select! {
                Some(event) = events.recv() => FromAgent::of(event).into_iter().collect(),
                Some(ask) = asks.recv() => match ask {
                    Ask::Offer => vec![self.offer()],
                    Ask::Say(word) => vec![*word],
                    Ask::Usage => self.desk().usage(),
                },
                else => return,
            };
            for word in words {
                if self.pass_on(word).await.is_err() {
                    return;
                }
            }
        }
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().expect("no panic while it is held")
    }

    fn offer(&self) -> FromAgent {
        let slots = self.desk().slots();
        let time = |(began, whole): (Instant, Duration)| JobTime { left: whole.saturating_sub(began.elapsed()), whole };
        let (node, machine, time) = (self.facts.node.clone(), self.facts.machine(), self.time.map(time));
        FromAgent::Offer(Box::new(Offer { node, machine, time, slots }))
    }

    async fn pass_on(&self, word: FromAgent) -> std::result::Result<(), sweep_link::NotSent> {
        match &word {
            FromAgent::On { slot, event } => self.happened(*slot, event, &word).await,
            FromAgent::Usage { slot, .. } => self.link.send_latest(slot.0 as u64 | OF_USAGE, &word),
            FromAgent::Gpus { .. } => self.link.send_latest(OF_GPUS, &word),
            _ => self.link.send(&word).await,
        }
    }

    /// Passes on what happened on a slot, after what the controller needs to know before.
    async fn happened(
        &self,
        slot: SlotId,
        event: &SlotEvent,
        word: &FromAgent,
    ) -> std::result::Result<(), sweep_link::NotSent> {
        self.desk().happened(slot, event);
        if event.is_progress() {
            return self.link.send_latest(slot.0 as u64, word);
        }
        let last_usage = if event.is_last() { self.desk().usage_of(slot) } else { None };
        if let Some(usage) = last_usage {
            self.link.send(&usage).await?;
        }
        let carries = *self.carries.lock().expect("no panic while it is held");
        let which = match event {
            event if event.is_end() => Some(Which::Results),
            // It may go on elsewhere, or be over: a rule has its best weights from its checkpoint.
            event if event.is_last() => Some(Which::All),
            SlotEvent::Said(FromTrainer::Saved { .. }) if carries => Some(Which::Checkpoint),
            _ => None,
        };
        if let (Some(which), Some(Attempt { trial, .. })) = (which, event.attempt()) {
            self.send_files(trial, which).await?;
        }
        self.link.send(word).await?;
        if let (true, Some(attempt)) = (event.is_end(), event.attempt()) {
            // What is needed of it is on its way, and kept until it has arrived.
            let _ = std::fs::remove_dir_all(self.layout.trial(attempt.trial));
        }
        Ok(())
    }

    async fn send_files(&self, trial: TrialId, which: Which) -> std::result::Result<(), sweep_link::NotSent> {
        let folder = self.layout.trial(trial);
        let (parts, left_out) = parts(&folder, trial, which);
        if !left_out.is_empty() {
            tracing::warn!("trial {trial}: too large to be sent: {}", left_out.join(", "));
        }
        for part in parts {
            self.link.send(&FromAgent::File(part)).await?;
        }
        Ok(())
    }
}
