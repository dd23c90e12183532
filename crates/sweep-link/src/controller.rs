//! The controller's side: all agents of a sweep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::clock::Clock;
use super::connection::{Events, Frames, converse, disconnect, finish};
use super::core::{Core, Lease};
use super::frame::{self, Kind};
use super::hello::{Answer, Generation, Hello, Known, Refused, SessionId, judge};
use super::incoming::Incoming;
use super::lease::{ControllerLease, Granted, Terms};
use super::link::{Event, Link, Why};

/// Maximum number of sessions that a controller remembers, over or not. Later ones are refused.
pub const MOST_SESSIONS: usize = 1 << 16;

/// Time between two looks at all leases.
const WATCH: Duration = Duration::from_secs(1);

/// The sessions of all agents. Their events go to one channel.
#[derive(Debug)]
pub struct Controller<M> {
    generation: Generation,
    terms: Terms,
    clock: Clock,
    events: Events<M>,
    sessions: Mutex<HashMap<SessionId, Entry>>,
}

#[derive(Debug)]
enum Entry {
    /// An earlier controller had it.
    Expected {
        recorded: u64,
        lease: ControllerLease,
    },
    Here(Arc<Core>),
    /// Remembered, so that its agent is refused.
    Over,
}

impl<M: DeserializeOwned> Controller<M> {
    /// Creates a controller. Its generation is higher than that of every earlier controller of the sweep, and its terms
    /// are not shorter than theirs.
    pub fn new(generation: Generation, terms: Terms, clock: Clock, events: Events<M>) -> Controller<M> {
        Controller { generation, terms, clock, events, sessions: Mutex::default() }
    }

    /// Names a session of an earlier controller, and the last of its messages that was recorded. If the agent does not
    /// come before its lease ends, [`Event::Over`] follows.
    pub fn expect(&self, session: SessionId, recorded: u64) {
        let lease = ControllerLease::new(self.clock.now(), self.terms);
        self.sessions().insert(session, Entry::Expected { recorded, lease });
    }

    /// Returns a handle to an agent that has come.
    pub fn link<Out: Serialize>(&self, session: SessionId) -> Option<Link<Out>> {
        match self.sessions().get(&session)? {
            Entry::Here(core) => Some(Link::new(core.clone())),
            Entry::Expected { .. } | Entry::Over => None,
        }
    }

    /// Ends a session. A connected agent is told at once, and another one when it next dials.
    pub fn end(&self, session: SessionId, why: impl Into<String>) {
        if let Some(Entry::Here(core)) = self.sessions().insert(session, Entry::Over) {
            core.end(why.into());
        }
    }

    /// Greets an agent and exchanges messages with it until the connection ends.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite) -> Why {
        let (reader, mut writer) = tokio::io::split(stream);
        let mut frames = Frames::new(reader);
        let hello = match frames.next().await.and_then(|frame| read_hello(&frame)) {
            Ok(hello) => hello,
            Err(why) => return why,
        };
        let Ok(permit) = self.events.reserve().await else { return Why::Closed };
        let greeted = self.greet(&hello);
        let answer = match &greeted {
            Ok((_, _, received, repeats)) => {
                let Hello { generation: before, ref program, .. } = hello;
                let (program, repeats) = (program.clone(), *repeats);
                let event = Event::Connected { generation: self.generation, before, program, repeats };
                permit.send((hello.session, event));
                Answer::Accepted { generation: self.generation, received: *received, terms: self.terms }
            }
            Err(refused) => {
                drop(permit);
                Answer::Refused(refused.clone())
            }
        };
        let sent = send_answer(&mut writer, &answer).await;
        match (greeted, sent) {
            (Err(refused), _) => Why::Refused(refused),
            (Ok((core, (connection, _), ..)), Err(error)) => {
                let why = Why::Lost(error.to_string());
                disconnect(&core, &self.events, connection, why.clone()).await;
                why
            }
            (Ok((core, turn, ..)), Ok(())) => {
                let connection = turn.0;
                let why = converse(&core, &self.events, turn, frames, writer).await;
                disconnect(&core, &self.events, connection, why.clone()).await;
                why
            }
        }
    }

    /// Ends each session whose lease has ended, until this is dropped.
    pub async fn watch(&self) {
        let mut ticks = tokio::time::interval(WATCH);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for (session, core) in self.expired() {
                let why = "the agent was silent until its lease ended".to_owned();
                match core {
                    Some(core) => finish(&core, &self.events, why).await,
                    None => drop(self.events.send((session, Event::Over(why))).await),
                }
            }
        }
    }

    /// Takes the sessions whose lease has ended.
    fn expired(&self) -> Vec<(SessionId, Option<Arc<Core>>)> {
        let now = self.clock.now();
        let mut expired = Vec::new();
        for (session, entry) in self.sessions().iter_mut() {
            let core = match entry {
                Entry::Expected { lease, .. } if lease.at(now) == Granted::Over => None,
                Entry::Here(core) if is_over(core, now) => Some(core.clone()),
                _ => continue,
            };
            *entry = Entry::Over;
            expired.push((*session, core));
        }
        expired
    }

    /// Decides about an agent, and returns its session, its new connection, the last message that is here, and up to
    /// which message an earlier controller may have seen.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn greet(&self, hello: &Hello) -> Result<(Arc<Core>, (u64, Arc<Notify>), u64, u64), Refused> {
        let now = self.clock.now();
        let mut sessions = self.sessions();
        let known = match sessions.get_mut(&hello.session) {
            None => Known::New,
            Some(Entry::Over) => Known::Over,
            Some(Entry::Expected { lease, .. }) if lease.at(now) == Granted::Over => Known::Over,
            Some(Entry::Expected { recorded, .. }) => Known::Recorded(*recorded),
            Some(Entry::Here(core)) if is_over(core, now) => Known::Over,
            Some(Entry::Here(core)) => Known::Here(core.state().incoming.received()),
        };
        let received = judge(hello, self.generation, known)?;
        if known == Known::New && sessions.len() >= MOST_SESSIONS {
            return Err(Refused::Full(MOST_SESSIONS));
        }
        let core = match sessions.get(&hello.session) {
            Some(Entry::Here(core)) => core.clone(),
            _ => {
                let lease = Lease::Controller(ControllerLease::new(now, self.terms));
                Arc::new(Core::new(hello.session, self.clock, lease, Incoming::after(received)))
            }
        };
        let mut state = core.state();
        let theirs = if hello.generation == self.generation { hello.received } else { 0 };
        state.outgoing.resume(theirs).map_err(|error| Refused::Impossible(error.to_string()))?;
        if let Lease::Controller(lease) = &mut state.lease {
            lease.ping(now);
        }
        state.generation = self.generation;
        let connection = state.connect(now);
        drop(state);
        sessions.insert(hello.session, Entry::Here(core.clone()));
        let repeats = if known == Known::New && received < hello.last { hello.last } else { 0 };
        Ok((core, connection, received, repeats))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.sessions.lock().expect("no panic while it is held")
    }
}

fn is_over(core: &Core, now: Duration) -> bool {
    let state = core.state();
    let expired = matches!(&state.lease, Lease::Controller(lease) if lease.at(now) == Granted::Over);
    expired || state.over.is_some()
}

fn read_hello(frame: &frame::Frame) -> Result<Hello, Why> {
    if frame.kind != Kind::Hello {
        return Err(Why::Broken(format!("{:?} came instead of a greeting", frame.kind)));
    }
    serde_json::from_slice(&frame.body).map_err(|error| Why::Broken(format!("the greeting cannot be read: {error}")))
}

async fn send_answer(writer: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> std::io::Result<()> {
    let mut bytes = BytesMut::new();
    let body = serde_json::to_vec(answer).expect("an answer has no map with keys that are not text");
    frame::put(&mut bytes, Kind::Answer, 0, &body);
    writer.write_all_buf(&mut bytes).await?;
    writer.flush().await
}
