//! One connection of a session, after the greeting.

use std::sync::Arc;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::core::{Core, Lease, Next};
use super::frame::{self, Frame, Kind};
use super::hello::SessionId;
use super::lease::SILENCE;
use super::link::{Event, Why};

/// Where the events of sessions go. The channel is bounded: if nobody takes events, nothing more is read.
pub type Events<M> = mpsc::Sender<(SessionId, Event<M>)>;

/// Room for received bytes. It is small because a controller has one for each agent.
const READ_AT_ONCE: usize = 8 << 10;

/// A larger buffer is given back once it is empty.
const LARGEST_BUFFER: usize = 64 << 10;

/// Received bytes that are not yet frames.
#[derive(Debug)]
pub struct Frames<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub fn new(reader: R) -> Frames<R> {
        Frames { reader, buffer: BytesMut::new() }
    }

    /// Returns the next frame. Cancellation loses no data.
    ///
    /// # Errors
    /// If there is none.
    pub async fn next(&mut self) -> Result<Frame, Why> {
        loop {
            if let Some(frame) = frame::take(&mut self.buffer).map_err(|error| Why::Broken(error.to_string()))? {
                return Ok(frame);
            }
            if self.buffer.is_empty() && self.buffer.capacity() > LARGEST_BUFFER {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(READ_AT_ONCE);
            match timeout(SILENCE, self.reader.read_buf(&mut self.buffer)).await {
                Err(_) => return Err(Why::Silent),
                Ok(Ok(0)) => return Err(Why::Closed),
                Ok(Err(error)) => return Err(Why::Lost(error.to_string())),
                Ok(Ok(_)) => {}
            }
        }
    }
}

/// Exchanges messages until the connection ends. The caller then sends [`Event::Disconnected`] with [`disconnect`].
pub async fn converse<M: DeserializeOwned>(
    core: &Core,
    events: &Events<M>,
    (connection, wake): (u64, Arc<Notify>),
    frames: Frames<impl AsyncRead + Unpin>,
    writer: impl AsyncWrite + Unpin,
) -> Why {
    tokio::select! {
        why = read(core, events, connection, frames) => why,
        why = write(core, connection, &wake, writer) => why,
    }
}

/// Reports the end of a connection, if no newer one has replaced it and the session goes on.
pub async fn disconnect<M>(core: &Core, events: &Events<M>, connection: u64, why: Why) {
    let Ok(permit) = events.reserve().await else { return };
    let state = core.state();
    if state.connection == connection && state.over.is_none() {
        permit.send((core.session, Event::Disconnected(why)));
    }
}

async fn read<M: DeserializeOwned>(
    core: &Core,
    events: &Events<M>,
    connection: u64,
    mut frames: Frames<impl AsyncRead + Unpin>,
) -> Why {
    loop {
        let frame = match frames.next().await {
            Ok(frame) => frame,
            Err(why) => return why,
        };
        let taken = match frame.kind {
            Kind::Message | Kind::Latest => deliver(core, events, connection, &frame).await,
            Kind::Over => {
                let why = String::from_utf8_lossy(&frame.body).into_owned();
                finish(core, events, why.clone()).await;
                Err(Why::Over(why))
            }
            _ => control(core, connection, &frame),
        };
        if let Err(why) = taken {
            return why;
        }
    }
}

/// Hands a message on. Nothing is recorded before there is room for the event, so that a connection that ends meanwhile
/// loses nothing.
async fn deliver<M: DeserializeOwned>(
    core: &Core,
    events: &Events<M>,
    connection: u64,
    frame: &Frame,
) -> Result<(), Why> {
    let message = match serde_json::from_slice(&frame.body) {
        Ok(message) => message,
        // It would be sent again and again.
        Err(error) => {
            let why = format!("a message cannot be read: {error}; use the same `sweep` on all hosts");
            finish(core, events, why.clone()).await;
            return Err(Why::Broken(why));
        }
    };
    let Ok(permit) = events.reserve().await else { return Err(Why::Closed) };
    let mut state = core.state();
    if state.connection != connection {
        return Err(Why::Replaced);
    }
    if state.over.is_some() {
        return Ok(());
    }
    if frame.kind == Kind::Latest {
        permit.send((core.session, Event::Latest(message)));
    } else if state.incoming.accept(frame.number).map_err(|gap| Why::Broken(gap.to_string()))? {
        permit.send((core.session, Event::Message { number: frame.number, message }));
    }
    Ok(())
}

/// Handles a frame that is no message.
fn control(core: &Core, connection: u64, frame: &Frame) -> Result<(), Why> {
    let now = core.clock.now();
    let mut state = core.state();
    if state.connection != connection {
        return Err(Why::Replaced);
    }
    match (frame.kind, &mut state.lease) {
        (Kind::Acknowledged, _) => {
            state.outgoing.acknowledge(frame.number).map_err(|error| Why::Broken(error.to_string()))?;
            core.room.notify_waiters();
        }
        (Kind::Ping, Lease::Controller(lease)) => {
            if lease.ping(now) {
                state.pong = Some(frame.number);
                state.wake.notify_one();
            }
        }
        (Kind::Pong, Lease::Agent(Some(lease))) => lease.pong(now, frame.number),
        (Kind::Alive, _) => {}
        (kind, _) => return Err(Why::Broken(format!("{kind:?} is not expected here"))),
    }
    Ok(())
}

/// Ends the session on this side, because of the other one.
pub async fn finish<M>(core: &Core, events: &Events<M>, why: String) {
    let permit = events.reserve().await;
    if core.end(why.clone())
        && let Ok(permit) = permit
    {
        permit.send((core.session, Event::Over(why)));
    }
}

async fn write(core: &Core, connection: u64, wake: &Notify, mut writer: impl AsyncWrite + Unpin) -> Why {
    let mut bytes = BytesMut::new();
    loop {
        let next = core.fill(connection, &mut bytes);
        let wrote = !bytes.is_empty();
        let written = async {
            writer.write_all_buf(&mut bytes).await?;
            writer.flush().await
        };
        if wrote && let Err(error) = written.await {
            return Why::Lost(error.to_string());
        }
        match next {
            // There may be more.
            Next::Wait(_) if wrote => {}
            Next::Wait(longest) => {
                // Memory for a burst is given back.
                bytes = BytesMut::new();
                let _ = timeout(longest, wake.notified()).await;
            }
            Next::Replaced => return Why::Replaced,
            Next::Over => {
                let _ = writer.shutdown().await;
                return Why::Over("this side ended it".into());
            }
        }
    }
}
