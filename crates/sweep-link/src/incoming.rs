//! Numbers of the messages from the other side. Pure.

use std::time::Duration;

/// Time after which an acknowledgment is sent, if nothing else makes it urgent. Together with [`SOON`], this keeps
/// acknowledgments rare without filling the sender's buffer.
const LATER: Duration = Duration::from_millis(250);

/// Number of acknowledged messages that is announced at once.
const SOON: u64 = 256;

/// A message came before one that was sent earlier. A byte stream does not do this, so the other side is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message {number} came after message {received}")]
pub struct Gap {
    number: u64,
    received: u64,
}

/// Received and acknowledged numbers of one direction.
#[derive(Debug, Default)]
pub struct Incoming {
    received: u64,
    /// Number up to which the receiver needs no repetition.
    safe: u64,
    /// Number up to which the sender was told so on this connection.
    told: u64,
    /// Time of the first untold acknowledgment.
    since: Option<Duration>,
}

impl Incoming {
    /// Starts after a message that was received earlier.
    pub fn after(received: u64) -> Incoming {
        Incoming { received, safe: received, told: 0, since: Some(Duration::ZERO) }
    }

    /// Number of the last received message.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns whether a message is new. A duplicate is not.
    ///
    /// # Errors
    /// If a message before it is missing.
    pub fn accept(&mut self, number: u64) -> Result<bool, Gap> {
        if number > self.received + 1 {
            return Err(Gap { number, received: self.received });
        }
        let new = number > self.received;
        self.received = self.received.max(number);
        Ok(new)
    }

    /// Records that the sender need not keep messages up to a number. Numbers that were not received are ignored.
    pub fn acknowledge(&mut self, now: Duration, through: u64) {
        self.safe = self.safe.max(through.min(self.received));
        if self.safe > self.told {
            self.since.get_or_insert(now);
        }
    }

    /// Time at which [`Incoming::due`] returns a number.
    pub fn next_due(&self) -> Option<Duration> {
        let at_once = self.safe - self.told >= SOON;
        self.since.map(|since| if at_once { Duration::ZERO } else { since + LATER })
    }

    /// The acknowledgment to send now, if it is time.
    pub fn due(&mut self, now: Duration) -> Option<u64> {
        self.next_due().filter(|at| *at <= now)?;
        self.since = None;
        self.told = self.safe;
        Some(self.safe)
    }

    /// Repeats the last acknowledgment on a new connection: it may have been lost.
    pub fn reconnect(&mut self) {
        self.told = 0;
        self.since = (self.safe > 0).then_some(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgments_are_cumulative_and_rare() {
        let (mut incoming, second) = (Incoming::default(), Duration::from_secs(1));
        for number in 1..=10 {
            assert!(incoming.accept(number).unwrap());
            incoming.acknowledge(second, number);
        }
        assert_eq!(incoming.due(second), None);
        assert_eq!(incoming.due(second + LATER), Some(10));
        assert_eq!(incoming.due(second * 10), None);
        for number in 11..=10 + SOON {
            incoming.accept(number).unwrap();
            incoming.acknowledge(second, number);
        }
        assert_eq!(incoming.due(second), Some(10 + SOON), "at once, before the sender's buffer is full");
    }

    #[test]
    fn duplicates_are_told_from_news_and_gaps_from_both() {
        let mut incoming = Incoming::after(3);
        assert_eq!(incoming.accept(3), Ok(false));
        assert_eq!(incoming.accept(4), Ok(true));
        assert!(incoming.accept(6).is_err());
        incoming.acknowledge(Duration::ZERO, 100);
        assert_eq!(incoming.due(LATER), Some(4), "only what was received can be acknowledged");
    }
}
