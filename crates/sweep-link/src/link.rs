//! A handle to a session.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::core::{Core, Lease};
use super::frame::LARGEST_BODY;
use super::hello::{Generation, SessionId};
use super::lease::{Granted, Held};

/// Something that happened in a session. Events of a session come in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<M> {
    /// A connection was made. On the controller's side, the first one is the agent's arrival.
    Connected {
        /// The controller of this connection.
        generation: Generation,
        /// The controller of the connection before, or 0. If it is another one, nothing that the controller sent before
        /// is on its way any longer.
        before: Generation,
        /// The agent's program, if this is the controller's side.
        program: String,
        /// Messages up to this number may have been seen by an earlier controller that did not acknowledge them.
        repeats: u64,
    },
    /// A message. It comes once and in order, and is kept by the sender until it is acknowledged.
    Message { number: u64, message: M },
    /// A message that a newer one may have replaced.
    Latest(M),
    /// The connection was cut. The session continues on the next one.
    Disconnected(Why),
    /// An agent without a controller must save its trials, because its lease ends soon.
    Save,
    /// The session is over. No event follows.
    Over(String),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("the other side closed the connection")]
    Closed,
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("nothing was heard for {} s", super::lease::SILENCE.as_secs())]
    Silent,
    #[error("the other side broke the rules of the link: {0}")]
    Broken(String),
    #[error("{0}")]
    Refused(super::hello::Refused),
    #[error("a newer connection replaced this one")]
    Replaced,
    #[error("the session is over: {0}")]
    Over(String),
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    #[error("the session is over: {0}")]
    Over(String),
    #[error("the other side has not acknowledged the messages before")]
    Full,
    #[error("the message has {0} bytes, and {LARGEST_BODY} is the most")]
    TooLarge(usize),
}

/// A handle to a session, to send messages of type `M`.
#[derive(Debug)]
pub struct Link<M> {
    core: Arc<Core>,
    messages: PhantomData<fn(M)>,
}

impl<M> Clone for Link<M> {
    fn clone(&self) -> Link<M> {
        Link { core: self.core.clone(), messages: PhantomData }
    }
}

impl<M: Serialize> Link<M> {
    pub(crate) fn new(core: Arc<Core>) -> Link<M> {
        Link { core, messages: PhantomData }
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.core.session
    }

    /// Sends a message, connected or not. If too many are unacknowledged, this waits. Do not wait in the task that takes
    /// the events: it would wait for itself.
    ///
    /// # Errors
    /// If the session is over, or the message is too large.
    pub async fn send(&self, message: &M) -> Result<(), NotSent> {
        let body = encode(message)?;
        loop {
            let room = self.core.room.notified();
            match self.push(&body) {
                Err(NotSent::Full) => room.await,
                result => return result,
            }
        }
    }

    /// Sends a message, or returns [`NotSent::Full`] if too many are unacknowledged.
    ///
    /// # Errors
    /// If there is no room, the session is over, or the message is too large.
    pub fn try_send(&self, message: &M) -> Result<(), NotSent> {
        self.push(&encode(message)?)
    }

    /// Sends a message of which only the latest with the same key matters. It never waits, may never arrive, and does not
    /// arrive twice.
    ///
    /// # Errors
    /// If the message is too large.
    pub fn send_latest(&self, key: u64, message: &M) -> Result<(), NotSent> {
        let body = Bytes::from(encode(message)?);
        let mut state = self.core.state();
        state.outgoing.push_latest(key, body);
        state.wake.notify_one();
        Ok(())
    }

    /// Tells the other side that all messages up to a number are safe, so that it need not keep them.
    pub fn acknowledge(&self, through: u64) {
        let mut state = self.core.state();
        let before = state.incoming.next_due();
        state.incoming.acknowledge(self.core.clock.now(), through);
        // A writer that knows of a due acknowledgment sleeps until then.
        if state.incoming.next_due() != before {
            state.wake.notify_one();
        }
    }

    /// Waits until all sent messages are acknowledged, or the session is over.
    pub async fn drained(&self) {
        loop {
            let room = self.core.room.notified();
            {
                let state = self.core.state();
                if state.over.is_some() || state.outgoing.last() == state.outgoing.acknowledged() {
                    return;
                }
            }
            room.await;
        }
    }

    /// Ends the session. The other side gets [`Event::Over`] with the reason, now or when it next dials. On this side, no
    /// event follows.
    pub fn end(&self, why: impl Into<String>) {
        self.core.end(why.into());
    }

    /// What the agent may do now, if this is the agent's side and it has had a connection.
    pub fn held(&self) -> Option<Held> {
        match &self.core.state().lease {
            Lease::Agent(lease) => lease.as_ref().map(|lease| lease.at(self.core.clock.now())),
            Lease::Controller(_) => None,
        }
    }

    /// What the controller may do now with the agent's trials, if this is the controller's side.
    pub fn granted(&self) -> Option<Granted> {
        match &self.core.state().lease {
            Lease::Agent(_) => None,
            Lease::Controller(lease) => Some(lease.at(self.core.clock.now())),
        }
    }

    fn push(&self, body: &[u8]) -> Result<(), NotSent> {
        let mut state = self.core.state();
        if let Some(why) = &state.over {
            return Err(NotSent::Over(why.clone()));
        }
        if state.outgoing.is_full(body.len()) {
            return Err(NotSent::Full);
        }
        state.outgoing.push(body);
        state.wake.notify_one();
        Ok(())
    }
}

fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, NotSent> {
    let body = serde_json::to_vec(message).expect("a message has no map with keys that are not text");
    if body.len() > LARGEST_BODY { Err(NotSent::TooLarge(body.len())) } else { Ok(body) }
}
