//! Connections that nobody can hold for long or open in numbers: probes and scrapes are over in milliseconds.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most connections at a time; others wait in the kernel's queue.
    pub(crate) connections: usize,
    /// Longest life of a connection, keep-alive included: a client simply connects again.
    pub(crate) lifetime: Duration,
    /// Longest time without anything written to it. Who never finishes a request, or never reads an answer, gets nothing.
    pub(crate) quiet: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, lifetime: Duration::from_secs(30), quiet: Duration::from_secs(30) }
    }
}

pub(crate) struct Limited {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    limits: Limits,
}

impl Limited {
    pub(crate) fn new(listener: TcpListener, limits: Limits) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(limits.connections)), limits }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        // Axum's own accept waits and retries on errors such as too many open files.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let Limits { lifetime, quiet, .. } = self.limits;
        let (end, heard) = (Box::pin(sleep(lifetime)), Box::pin(sleep(quiet)));
        (Connection { stream, end, heard, quiet, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub(crate) struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    /// Ends when nothing was written for too long.
    heard: Pin<Box<Sleep>>,
    quiet: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn alive(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let over = self.end.as_mut().poll(context).is_ready() || self.heard.as_mut().poll(context).is_ready();
        if over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.alive(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.alive(cx)?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buffer))?;
        let until = Instant::now() + self.quiet;
        self.heard.as_mut().reset(until);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Past its end, a connection is dropped without a goodbye.
        if self.alive(cx).is_err() {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::{Limited, Limits};

    #[tokio::test]
    async fn a_client_that_never_finishes_its_request_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { connections: 1, quiet: Duration::from_millis(200), ..Limits::default() };
        let limited = Limited::new(listener, limits);
        tokio::spawn(async move { axum::serve(limited, Router::new()).await });
        for _ in 0..2 {
            // The second one gets in only because the first was cut: there is one permit.
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
            let mut rest = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "the connection was left open");
        }
    }
}
