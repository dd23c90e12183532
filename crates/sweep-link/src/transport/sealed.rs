//! A stream that only holders of the key can read, write, or alter: Noise with a shared key and no certificates.
//!
//! ```text
//! agent      ── 48 bytes: ephemeral key, sealed with the shared key ──►  controller: a wrong key fails here,
//!            ◄─ 48 bytes: ephemeral key, sealed with both ────────────   before any costly arithmetic
//!            ── 18 bytes: an empty packet ────────────────────────────►  a replayed greeting fails here
//! ```
//! Then packets follow: a length (2 bytes, big-endian) and sealed bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use snow::{HandshakeState, TransportState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::key::Key;

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

/// Both sides must speak the same protocol. What they say later tells its version.
const PROLOGUE: &[u8] = b"sweep link";

/// Bytes by which sealing lengthens a packet.
const TAG: usize = 16;

/// Bytes of an ephemeral key and its seal.
const GREETING: usize = 32 + TAG;

/// Maximum size of a packet's contents, in bytes. Noise allows 65,519; less memory is needed with less.
const LARGEST: usize = 16 << 10;

/// Bytes that are read at once.
const READ_AT_ONCE: usize = 4 << 10;

/// A stream of sealed packets over another stream.
#[derive(Debug)]
pub struct Sealed<S> {
    stream: S,
    noise: TransportState,
    /// Received and sealed.
    sealed: BytesMut,
    /// Received and opened.
    opened: BytesMut,
    /// Sealed and not yet written.
    unwritten: BytesMut,
}

/// Opens a sealed stream to a controller.
///
/// # Errors
/// If the other side has another key, or the stream fails.
pub async fn open<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, key: &Key) -> io::Result<Sealed<S>> {
    let mut noise = handshake(key, true)?;
    write_greeting(&mut noise, &mut stream).await?;
    read_greeting(&mut noise, &mut stream).await?;
    let mut sealed = Sealed::new(stream, noise)?;
    sealed.seal(&[])?;
    sealed.flush().await?;
    Ok(sealed)
}

/// Receives a sealed stream from an agent. Exactly 114 bytes are exchanged before the other side has proved that it has the
/// key, and a wrong one fails after 48.
///
/// # Errors
/// If the other side has another key, repeats what it overheard, or the stream fails.
pub async fn receive<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, key: &Key) -> io::Result<Sealed<S>> {
    let mut noise = handshake(key, false)?;
    read_greeting(&mut noise, &mut stream).await?;
    write_greeting(&mut noise, &mut stream).await?;
    let mut sealed = Sealed::new(stream, noise)?;
    let mut proof = [0; 2 + TAG];
    sealed.stream.read_exact(&mut proof).await?;
    sealed.sealed.extend_from_slice(&proof);
    // Another length than that of an empty packet leaves a packet that is not whole.
    if !sealed.unseal()? || !sealed.opened.is_empty() {
        return Err(foreign());
    }
    Ok(sealed)
}

fn handshake(key: &Key, initiator: bool) -> io::Result<HandshakeState> {
    let params = PATTERN.parse().expect("the pattern is valid");
    let builder = snow::Builder::new(params).prologue(PROLOGUE).and_then(|builder| builder.psk(0, key.bytes()));
    let builder = builder.expect("each is given once");
    let state = if initiator { builder.build_initiator() } else { builder.build_responder() };
    state.map_err(|error| io::Error::other(format!("no handshake can start: {error}")))
}

async fn write_greeting<S: AsyncWrite + Unpin>(noise: &mut HandshakeState, stream: &mut S) -> io::Result<()> {
    let mut greeting = [0; GREETING];
    let length = noise.write_message(&[], &mut greeting).map_err(|_| foreign())?;
    debug_assert_eq!(length, GREETING, "an ephemeral key and a seal");
    stream.write_all(&greeting).await?;
    stream.flush().await
}

async fn read_greeting<S: AsyncRead + Unpin>(noise: &mut HandshakeState, stream: &mut S) -> io::Result<()> {
    let mut greeting = [0; GREETING];
    stream.read_exact(&mut greeting).await?;
    noise.read_message(&greeting, &mut []).map(drop).map_err(|_| foreign())
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the other side does not have the key")
}

impl<S> Sealed<S> {
    fn new(stream: S, noise: HandshakeState) -> io::Result<Sealed<S>> {
        let noise = noise.into_transport_mode().map_err(|_| foreign())?;
        let (sealed, opened, unwritten) = Default::default();
        Ok(Sealed { stream, noise, sealed, opened, unwritten })
    }

    /// Seals contents as one packet.
    fn seal(&mut self, contents: &[u8]) -> io::Result<()> {
        let start = self.unwritten.len();
        let length = contents.len() + TAG;
        self.unwritten.extend_from_slice(&(length as u16).to_be_bytes());
        self.unwritten.resize(start + 2 + length, 0);
        let written = self.noise.write_message(contents, &mut self.unwritten[start + 2..]);
        written.map(drop).map_err(|error| io::Error::other(format!("cannot be sealed: {error}")))
    }

    /// Opens the first packet, and returns whether there was a whole one.
    fn unseal(&mut self) -> io::Result<bool> {
        let Some(length) = self.sealed.first_chunk::<2>() else { return Ok(false) };
        let length = usize::from(u16::from_be_bytes(*length));
        if !(TAG..=LARGEST + TAG).contains(&length) {
            return Err(foreign());
        }
        if self.sealed.len() < 2 + length {
            return Ok(false);
        }
        self.opened.resize(length - TAG, 0);
        self.noise.read_message(&self.sealed[2..2 + length], &mut self.opened).map_err(|_| foreign())?;
        self.sealed.advance(2 + length);
        Ok(true)
    }
}

impl<S: AsyncWrite + Unpin> Sealed<S> {
    fn poll_unwritten(&mut self, cx: &mut Context) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unwritten))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unwritten.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sealed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context, to: &mut ReadBuf) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.opened.is_empty() {
            if this.unseal()? {
                continue;
            }
            let mut space = [0; READ_AT_ONCE];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            match (read.filled(), this.sealed.is_empty()) {
                ([], true) => return Poll::Ready(Ok(())),
                ([], false) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                (bytes, _) => this.sealed.extend_from_slice(bytes),
            }
        }
        let length = this.opened.len().min(to.remaining());
        to.put_slice(&this.opened.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sealed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context, contents: &[u8]) -> Poll<io::Result<usize>> {
        // One packet at a time, so that memory is bounded.
        ready!(self.poll_unwritten(cx))?;
        let length = contents.len().min(LARGEST);
        self.seal(&contents[..length])?;
        if let Poll::Ready(Err(error)) = self.poll_unwritten(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
