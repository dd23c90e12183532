//! The way from a supervisor to the engine. It is bounded: a process that prints faster than the engine can record has
//! to wait, instead of filling the controller's memory.
//!
//! Commands go the other way through channels without a bound, so the engine never waits for a supervisor, and the two
//! cannot wait for each other.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use sweep_core::protocol::FromTrainer;
use sweep_scheduler::schedule::{Event, FromProgram, SlotEvent};

/// Maximum number of events that wait for the engine.
pub const CAPACITY: usize = 1024;

/// A supervisor's end of the channel.
pub struct Outbox {
    events: mpsc::Sender<Event>,
    /// An event for which there was no room, and which a newer one may replace.
    last: Option<Event>,
}

impl Outbox {
    pub fn new(events: mpsc::Sender<Event>) -> Outbox {
        Outbox { events, last: None }
    }

    /// Sends an event after all events before it. If the engine is behind, this waits, except for an event that a newer
    /// one may replace: that one is kept until there is room ([`Outbox::flush`]) or another event follows.
    pub async fn put(&mut self, event: Event) {
        if let Some(last) = self.last.take().filter(|last| !replaces(&event, last)) {
            let _ = self.events.send(last).await;
        }
        match self.events.try_send(event) {
            Err(TrySendError::Full(event)) if replaces(&event, &event) => self.last = Some(event),
            Err(TrySendError::Full(event)) => drop(self.events.send(event).await),
            // Without an engine, nobody needs to know.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
        }
    }

    /// Whether an event is kept.
    pub fn is_waiting(&self) -> bool {
        self.last.is_some()
    }

    /// Waits for room and sends the event that is kept. It stays kept if this is canceled.
    pub async fn flush(&mut self) {
        let permit = self.events.reserve().await;
        if let (Ok(permit), Some(last)) = (permit, self.last.take()) {
            permit.send(last);
        }
    }
}

/// Returns whether an event says all that an earlier one said: progress within an epoch, and what a program reports of
/// one epoch again and again. Different epochs never replace each other.
fn replaces(event: &Event, earlier: &Event) -> bool {
    use SlotEvent::{Program, Said};
    let (Event::On(_, event), Event::On(_, earlier)) = (event, earlier) else { return false };
    match (event, earlier) {
        (Said(FromTrainer::Progress { attempt: new, .. }), Said(FromTrainer::Progress { attempt: old, .. })) => {
            new == old
        }
        (
            Program(FromProgram::Epoch { attempt: new, metrics, .. }),
            Program(FromProgram::Epoch { attempt: old, metrics: earlier, .. }),
        ) => new == old && metrics.epoch == earlier.epoch,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::trial::{Attempt, EpochMetrics, TrialId};
    use sweep_scheduler::schedule::SlotId;

    fn epoch(epoch: u32, loss: f64) -> Event {
        let attempt = Attempt { trial: TrialId(1), number: 1 };
        let metrics = EpochMetrics { epoch, val_loss: Some(loss), ..EpochMetrics::default() };
        let message = FromProgram::Epoch {
            attempt,
            metrics,
            others: Default::default(),
            read: None,
            planned: None,
            source: None,
        };
        Event::On(SlotId(0), SlotEvent::Program(message))
    }

    fn loss(event: &Event) -> Option<f64> {
        match event {
            Event::On(_, SlotEvent::Program(FromProgram::Epoch { metrics, .. })) => metrics.val_loss,
            _ => None,
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_epoch_reported_many_times_is_sent_once_and_no_epoch_is_dropped() {
        let (sender, mut events) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.put(Event::Tick).await;
        for value in 0..1000 {
            outbox.put(epoch(1, value.into())).await;
        }
        assert!(outbox.is_waiting());
        assert_eq!(events.recv().await, Some(Event::Tick));
        outbox.flush().await;
        let others = async {
            for number in 2..100 {
                outbox.put(epoch(number, number.into())).await;
            }
            outbox.flush().await;
            drop(outbox);
        };
        let all = async {
            let mut seen = Vec::new();
            while let Some(event) = events.recv().await {
                seen.extend(loss(&event));
            }
            seen
        };
        let (seen, ()) = tokio::join!(all, others);
        assert_eq!(seen[0], 999.0, "the last of epoch 1");
        assert_eq!(seen[1..], (2..100).map(f64::from).collect::<Vec<_>>());
    }
}
