//! Messages to the other side, kept until it acknowledges them. Pure.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frame::{self, Kind};

/// Maximum number of messages that are kept without an acknowledgment.
pub const MOST_KEPT: usize = 8192;

/// Maximum size of all messages that are kept without an acknowledgment, in bytes. A single message always fits into an
/// empty buffer.
pub const MOST_KEPT_BYTES: usize = 8 << 20;

/// Maximum number of keys whose latest message waits to be sent. If there are more, the oldest is dropped: it says
/// nothing that must arrive.
const MOST_LATEST: usize = 1024;

/// Why the other side's numbers cannot be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side has message {claimed}, but {known} is the last that was sent or the first that was kept")]
pub struct Impossible {
    claimed: u64,
    known: u64,
}

/// The messages of one direction. They are numbered from 1.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Whole frames. The first one has the number `acknowledged + 1`.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    /// Number of the last message that the other side acknowledged.
    acknowledged: u64,
    /// Number of the last message that was sent on this connection.
    sent: u64,
    latest: VecDeque<Latest>,
}

/// A message that a newer one with the same key replaces.
#[derive(Debug)]
struct Latest {
    key: u64,
    /// It is sent after the message with this number, and before the next one.
    after: u64,
    body: Bytes,
}

impl Outgoing {
    /// Number of the last message.
    pub fn last(&self) -> u64 {
        self.acknowledged + self.kept.len() as u64
    }

    /// Number of the last acknowledged message.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns whether there is no room for a message of this size.
    pub fn is_full(&self, length: usize) -> bool {
        let too_large = self.kept_bytes + length > MOST_KEPT_BYTES && !self.kept.is_empty();
        too_large || self.kept.len() == MOST_KEPT
    }

    /// Adds a message. The caller has checked that there is room.
    pub fn push(&mut self, body: &[u8]) {
        let mut framed = BytesMut::new();
        frame::put(&mut framed, Kind::Message, self.last() + 1, body);
        self.kept_bytes += framed.len();
        self.kept.push_back(framed.freeze());
    }

    /// Adds a message that replaces an unsent one with the same key. It is sent at most once.
    pub fn push_latest(&mut self, key: u64, body: Bytes) {
        self.latest.retain(|latest| latest.key != key);
        if self.latest.len() == MOST_LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(Latest { key, after: self.last(), body });
    }

    /// Writes what was not sent on this connection, until `to` has `most` bytes.
    pub fn write(&mut self, to: &mut BytesMut, most: usize) {
        while to.len() < most {
            if let Some(latest) = self.latest.front().filter(|latest| latest.after <= self.sent) {
                frame::put(to, Kind::Latest, 0, &latest.body);
                self.latest.pop_front();
            } else if let Some(framed) = self.kept.get((self.sent - self.acknowledged) as usize) {
                to.extend_from_slice(framed);
                self.sent += 1;
            } else {
                return;
            }
        }
    }

    /// Drops the messages up to a number.
    ///
    /// # Errors
    /// If that message was never sent.
    pub fn acknowledge(&mut self, through: u64) -> Result<(), Impossible> {
        if through > self.last() {
            return Err(Impossible { claimed: through, known: self.last() });
        }
        while self.acknowledged < through {
            self.kept_bytes -= self.kept.pop_front().map_or(0, |framed| framed.len());
            self.acknowledged += 1;
        }
        self.sent = self.sent.max(self.acknowledged);
        Ok(())
    }

    /// Continues on a new connection to a side that has received all messages up to a number. They are kept, because
    /// receiving is less than acknowledging.
    ///
    /// # Errors
    /// If that message was never sent, or a later one was acknowledged.
    pub fn resume(&mut self, received: u64) -> Result<(), Impossible> {
        if received < self.acknowledged {
            return Err(Impossible { claimed: received, known: self.acknowledged });
        }
        if received > self.last() {
            return Err(Impossible { claimed: received, known: self.last() });
        }
        self.sent = received;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(outgoing: &mut Outgoing) -> Vec<(Kind, u64, Vec<u8>)> {
        let mut bytes = BytesMut::new();
        outgoing.write(&mut bytes, usize::MAX);
        std::iter::from_fn(|| frame::take(&mut bytes).unwrap())
            .map(|frame| (frame.kind, frame.number, frame.body.to_vec()))
            .collect()
    }

    #[test]
    fn a_latest_message_keeps_its_place_among_the_others_and_is_not_resent() {
        let mut outgoing = Outgoing::default();
        outgoing.push(b"a");
        outgoing.push_latest(1, Bytes::from_static(b"10%"));
        outgoing.push_latest(2, Bytes::from_static(b"5%"));
        outgoing.push_latest(1, Bytes::from_static(b"20%"));
        outgoing.push(b"b");
        let (a, b) = ((Kind::Message, 1, b"a".to_vec()), (Kind::Message, 2, b"b".to_vec()));
        let latest = |body: &[u8]| (Kind::Latest, 0, body.to_vec());
        assert_eq!(written(&mut outgoing), [a.clone(), latest(b"5%"), latest(b"20%"), b.clone()]);
        outgoing.resume(0).unwrap();
        assert_eq!(written(&mut outgoing), [a, b]);
    }

    #[test]
    fn a_full_buffer_has_room_again_after_an_acknowledgment() {
        let mut outgoing = Outgoing::default();
        (0..2).for_each(|_| outgoing.push(&[0; MOST_KEPT_BYTES / 2]));
        assert!(outgoing.is_full(1));
        outgoing.acknowledge(2).unwrap();
        assert!(!outgoing.is_full(MOST_KEPT_BYTES + 1), "a single message always fits");
        (0..MOST_KEPT).for_each(|_| outgoing.push(b""));
        assert!(outgoing.is_full(0));
    }

    #[test]
    fn numbers_that_were_never_sent_are_refused() {
        let mut outgoing = Outgoing::default();
        outgoing.push(b"a");
        assert!(outgoing.acknowledge(2).is_err());
        assert!(outgoing.resume(2).is_err());
        outgoing.acknowledge(1).unwrap();
        assert!(outgoing.resume(0).is_err(), "the message is gone");
    }
}
