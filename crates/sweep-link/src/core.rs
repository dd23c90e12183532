//! What a session keeps over all its connections, on either side.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;

use super::clock::Clock;
use super::frame::{self, Kind};
use super::hello::{Generation, SessionId};
use super::incoming::Incoming;
use super::lease::{AgentLease, ControllerLease, PING};
use super::outgoing::Outgoing;

/// Number of bytes that are written at once. It bounds the memory of a connection, and the messages that are resent
/// after a cut although they arrived.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// Time without any frame after which a controller sends a sign of life.
const ALIVE: Duration = Duration::from_millis(PING.as_millis() as u64 * 3 / 2);

/// One session on one side.
#[derive(Debug)]
pub struct Core {
    pub session: SessionId,
    pub clock: Clock,
    state: Mutex<State>,
    /// Signals that messages were acknowledged, or that the session is over.
    pub room: Notify,
}

/// The part that changes.
#[derive(Debug)]
pub struct State {
    pub outgoing: Outgoing,
    pub incoming: Incoming,
    pub lease: Lease,
    /// The controller of the newest connection, or 0.
    pub generation: Generation,
    /// Counts connections. Only the newest one may change anything.
    pub connection: u64,
    /// Wakes the writer of the newest connection.
    pub wake: Arc<Notify>,
    /// Why the session ended.
    pub over: Option<String>,
    /// The ping to answer.
    pub pong: Option<u64>,
    /// When a ping was last sent, and when anything was.
    pinged: Duration,
    wrote: Duration,
}

/// A lease, as seen from either side.
#[derive(Debug)]
pub enum Lease {
    /// `None` before the first connection.
    Agent(Option<AgentLease>),
    Controller(ControllerLease),
}

/// What a writer does after it has written what it was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits to be woken, at most for this time.
    Wait(Duration),
    /// A newer connection has replaced this one.
    Replaced,
    /// The session is over, and the other side was told.
    Over,
}

impl Core {
    pub fn new(session: SessionId, clock: Clock, lease: Lease, incoming: Incoming) -> Core {
        let state = State {
            outgoing: Outgoing::default(),
            incoming,
            lease,
            generation: 0,
            connection: 0,
            wake: Arc::default(),
            over: None,
            pong: None,
            pinged: Duration::ZERO,
            wrote: Duration::ZERO,
        };
        Core { session, clock, state: Mutex::new(state), room: Notify::new() }
    }

    /// The state. It is locked only for moments, never across a wait.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    /// Ends the session, and returns whether it was not over before. Its connection tells the other side, and senders stop
    /// waiting.
    pub fn end(&self, why: String) -> bool {
        let mut state = self.state();
        let first = state.over.is_none();
        state.over.get_or_insert(why);
        state.wake.notify_one();
        drop(state);
        self.room.notify_waiters();
        first
    }

    /// Appends to `to` what a connection has to write now.
    pub fn fill(&self, connection: u64, to: &mut BytesMut) -> Next {
        let now = self.clock.now();
        let mut state = self.state();
        if state.connection != connection {
            return Next::Replaced;
        }
        state.fill(now, to)
    }
}

impl State {
    /// Starts a new connection, and returns its number and what wakes its writer. The one before notices when it is
    /// woken.
    pub fn connect(&mut self, now: Duration) -> (u64, Arc<Notify>) {
        self.wake.notify_one();
        self.wake = Arc::default();
        self.connection += 1;
        (self.pong, self.pinged, self.wrote) = (None, now, now);
        self.incoming.reconnect();
        (self.connection, self.wake.clone())
    }

    fn fill(&mut self, now: Duration, to: &mut BytesMut) -> Next {
        if let Some(number) = self.pong.take() {
            frame::put(to, Kind::Pong, number, &[]);
        }
        if let Some(through) = self.incoming.due(now) {
            frame::put(to, Kind::Acknowledged, through, &[]);
        }
        self.outgoing.write(to, WRITTEN_AT_ONCE);
        if let Some(why) = self.over.as_ref().filter(|_| to.len() < WRITTEN_AT_ONCE) {
            frame::put(to, Kind::Over, 0, why.as_bytes());
            return Next::Over;
        }
        if !to.is_empty() {
            self.wrote = now;
        }
        let sign = match &mut self.lease {
            Lease::Agent(Some(lease)) if now >= self.pinged + PING => {
                self.pinged = now;
                frame::put(to, Kind::Ping, lease.ping(now), &[]);
                now + PING
            }
            Lease::Agent(_) => self.pinged + PING,
            // A controller that answers pings says enough. This is for one that waits for a slow disk and reads nothing.
            Lease::Controller(_) if now >= self.wrote + ALIVE => {
                self.wrote = now;
                frame::put(to, Kind::Alive, 0, &[]);
                now + ALIVE
            }
            Lease::Controller(_) => self.wrote + ALIVE,
        };
        let wait = self.incoming.next_due().map_or(sign, |due| due.min(sign));
        Next::Wait(wait.saturating_sub(now))
    }
}
