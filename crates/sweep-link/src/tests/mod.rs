//! Two sides and what happens between them.

mod cuts;
mod leases;
mod strangers;

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::Clock;

/// A clock that tests can advance, with [`tokio::time::pause`].
fn clock() -> Clock {
    static START: OnceLock<Instant> = OnceLock::new();
    // Far from zero, so that nothing is before the clock's start.
    Clock(|| Duration::from_secs(10_000) + Instant::now().saturating_duration_since(*START.get_or_init(Instant::now)))
}

/// A stream that carries a number of bytes in small pieces, and is then cut.
struct Cut<S> {
    stream: S,
    left: usize,
    piece: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context, to: &mut ReadBuf) -> Poll<io::Result<()>> {
        let most = self.piece.min(self.left).min(to.remaining());
        if most == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut space = vec![0; most];
        let mut read = ReadBuf::new(&mut space);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut read);
        self.left -= read.filled().len();
        to.put_slice(read.filled());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = self.piece.min(self.left).min(bytes.len());
        if most == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, &bytes[..most]);
        self.left -= if let Poll::Ready(Ok(written)) = polled { written } else { 0 };
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
