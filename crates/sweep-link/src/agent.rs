//! The agent's side: one session with whoever controls the sweep.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::clock::Clock;
use super::connection::{Events, Frames, converse, disconnect, finish};
use super::core::{Core, Lease};
use super::frame::{self, Kind};
use super::hello::{Answer, Hello, SessionId, VERSION};
use super::incoming::Incoming;
use super::lease::{AgentLease, Held, PING};
use super::link::{Event, Link, Why};

/// The session of an agent.
#[derive(Debug)]
pub struct Agent<M> {
    core: Arc<Core>,
    program: String,
    events: Events<M>,
    /// Held during a greeting, so that each one knows what came of the one before.
    greeting: tokio::sync::Mutex<()>,
}

impl<M: DeserializeOwned> Agent<M> {
    /// Creates a session without a connection. `program` names the program and its version, for messages.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(program: impl Into<String>, clock: Clock, events: Events<M>) -> io::Result<Agent<M>> {
        let core = Core::new(SessionId::random()?, clock, Lease::Agent(None), Incoming::default());
        Ok(Agent { core: Arc::new(core), program: program.into(), events, greeting: Default::default() })
    }

    /// Returns a handle to send messages.
    pub fn link<Out: Serialize>(&self) -> Link<Out> {
        Link::new(self.core.clone())
    }

    /// Returns whether the session is over.
    pub fn is_over(&self) -> bool {
        self.core.state().over.is_some()
    }

    /// Greets the controller and exchanges messages with it until the connection ends. The session continues on the next
    /// connection.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite) -> Why {
        let (reader, mut writer) = tokio::io::split(stream);
        let mut frames = Frames::new(reader);
        let turn = match self.greet(&mut frames, &mut writer).await {
            Ok(turn) => turn,
            Err(why) => return why,
        };
        let connection = turn.0;
        let why = converse(&self.core, &self.events, turn, frames, writer).await;
        disconnect(&self.core, &self.events, connection, why.clone()).await;
        why
    }

    /// Reports when trials must be saved and when the lease has ended, until it has.
    pub async fn watch(&self) {
        let mut saved = None;
        loop {
            let now = self.core.clock.now();
            match self.link::<()>().held() {
                None => sleep(PING).await,
                Some(Held::Until(at)) => sleep(at - now).await,
                Some(Held::SaveUntil(end)) => {
                    if saved.replace(end) != Some(end) {
                        let _ = self.events.send((self.core.session, Event::Save)).await;
                    }
                    sleep(end.saturating_sub(now)).await;
                }
                Some(Held::Over) => {
                    let why = "no controller was heard until the lease ended".into();
                    return finish(&self.core, &self.events, why).await;
                }
            }
        }
    }

    async fn greet(
        &self,
        frames: &mut Frames<impl AsyncRead + Unpin>,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(u64, Arc<Notify>), Why> {
        let _greeting = self.greeting.lock().await;
        let sent = self.core.clock.now();
        let mut bytes = BytesMut::new();
        let hello = serde_json::to_vec(&self.hello()).expect("a greeting has no map with keys that are not text");
        frame::put(&mut bytes, Kind::Hello, 0, &hello);
        let written = async {
            writer.write_all_buf(&mut bytes).await?;
            writer.flush().await
        };
        written.await.map_err(|error| Why::Lost(error.to_string()))?;
        let frame = frames.next().await?;
        if frame.kind != Kind::Answer {
            return Err(Why::Broken(format!("{:?} came instead of an answer", frame.kind)));
        }
        let answer = serde_json::from_slice(&frame.body)
            .map_err(|error| Why::Broken(format!("the answer cannot be read: {error}")))?;
        let (generation, received, terms) = match answer {
            Answer::Accepted { generation, received, terms } => (generation, received, terms),
            Answer::Refused(refused) => {
                if refused.is_final() {
                    finish(&self.core, &self.events, refused.to_string()).await;
                }
                return Err(Why::Refused(refused));
            }
        };
        let Ok(permit) = self.events.reserve().await else { return Err(Why::Closed) };
        let now = self.core.clock.now();
        let mut state = self.core.state();
        let before = state.generation;
        if generation < before {
            return Err(Why::Broken(format!(
                "controller {generation} answered, and controller {before} came after it"
            )));
        }
        let in_time = match &mut state.lease {
            Lease::Agent(Some(lease)) => lease.renew(now, sent, terms),
            lease => {
                *lease = Lease::Agent(Some(AgentLease::new(sent, terms)));
                true
            }
        };
        if !in_time || state.over.is_some() {
            return Err(Why::Over("the lease ended before the answer came".into()));
        }
        state.outgoing.resume(received).map_err(|error| Why::Broken(error.to_string()))?;
        if generation != before {
            state.incoming = Incoming::default();
            state.generation = generation;
        }
        permit.send((self.core.session, Event::Connected { generation, before, program: String::new(), repeats: 0 }));
        Ok(state.connect(now))
    }

    fn hello(&self) -> Hello {
        let state = self.core.state();
        Hello {
            version: VERSION,
            program: self.program.clone(),
            session: self.core.session,
            generation: state.generation,
            received: state.incoming.received(),
            acknowledged: state.outgoing.acknowledged(),
            last: state.outgoing.last(),
        }
    }
}
