//! The agent's own way to Git servers, below the Git library's protocol: https by hyper and rustls, SSH by russh.
//!
//! The library's own http takes no client certificate and only process-wide authorities, and its SSH reads the home
//! folder. Here every conversation has its own credentials, time and bounds, and nothing of the machine's configuration
//! (proxies, agents, `known_hosts`, keys) takes part.
//!
//! The library is told of a transport per scheme, for the whole process; which conversation a connection belongs to is
//! known by the thread: one fetch has one thread ([`Line::enter`]).

mod host_keys;
mod http;
mod ssh;
mod tls;

use std::cell::RefCell;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use git2::transport::Transport;
use git2::{Error, ErrorClass, ErrorCode, Remote};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::pack::{Answer, Bounds, Refused};
use super::url::{RemoteUrl, Scheme};
use super::{GitCredentials, SourceError};

/// TLS as Git's: these authorities, or else the machine's.
pub(crate) fn tls_config(ca: Option<Vec<u8>>) -> Result<rustls::ClientConfig, String> {
    tls::config(&GitCredentials { ca, ..GitCredentials::default() })
}

/// How long a connection may take to stand, name resolution included.
const CONNECT: Duration = Duration::from_secs(15);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// One conversation with one server.
pub(super) struct Line {
    pub(super) url: RemoteUrl,
    pub(super) credentials: GitCredentials,
    pub(super) bounds: Bounds,
    pub(super) bytes: u64,
    /// How long the server may be silent.
    patience: Duration,
    pub(super) end: Instant,
    pub(super) cancelled: CancellationToken,
    /// What ended the conversation: the library would only pass on a sentence.
    fault: Mutex<Option<SourceError>>,
    /// Of this conversation alone, so that its sockets go when it does.
    runtime: Option<Runtime>,
}

thread_local! {
    static LINE: RefCell<Option<Arc<Line>>> = const { RefCell::new(None) };
}

/// Ends the thread's conversation.
pub(super) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        LINE.with_borrow_mut(Option::take);
    }
}

impl Line {
    pub(super) fn new(
        url: RemoteUrl,
        credentials: GitCredentials,
        (bounds, bytes): (Bounds, u64),
        (patience, end): (Duration, Instant),
        cancelled: CancellationToken,
    ) -> Result<Arc<Self>, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| SourceError::Storage { reason: error.to_string() })?;
        let (fault, runtime) = (Mutex::new(None), Some(runtime));
        Ok(Arc::new(Self { url, credentials, bounds, bytes, patience, end, cancelled, fault, runtime }))
    }

    /// Connections that the library opens on this thread are this conversation's until the guard goes.
    pub(super) fn enter(self: &Arc<Self>) -> Entered {
        LINE.set(Some(Arc::clone(self)));
        Entered
    }

    /// What ended the conversation, if it was ended here.
    pub(super) fn fault(&self) -> Option<SourceError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends the conversation: remembers why, and gives the library something to pass on.
    fn end<T>(&self, why: SourceError) -> Result<T, Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        Err(Error::new(ErrorCode::User, ErrorClass::Net, "ended by the agent"))
    }

    /// The same for a stream.
    fn cut<T>(&self, why: SourceError) -> std::io::Result<T> {
        self.end(why).map_err(std::io::Error::other)
    }

    fn unreachable(&self, reason: impl AsRef<str>) -> SourceError {
        let reason = super::remote::clean(&self.credentials.scrub(reason.as_ref()), 300);
        SourceError::Unreachable { url: self.url.to_string(), reason }
    }

    fn refused(&self, refused: Refused) -> SourceError {
        let url = self.url.to_string();
        match refused {
            Refused::TooLarge(reason) => SourceError::TooLarge { url, reason },
            Refused::Broken(reason) => SourceError::Corrupt { url, reason: reason.to_owned() },
        }
    }

    /// Waits for something, but not for ever, and not when nobody wants it any more.
    fn wait<F: Future>(&self, what: &str, limit: Duration, future: F) -> Result<F::Output, SourceError> {
        let Some(runtime) = &self.runtime else { return Err(self.unreachable("the conversation is over")) };
        let left = self.end.saturating_duration_since(Instant::now()).min(self.patience);
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancelled.cancelled() => Err(self.unreachable("nobody waits for the answer any more")),
                outcome = tokio::time::timeout(limit.min(left), future) => outcome.map_err(|_| {
                    self.unreachable(format!("the server was silent for {} s ({what})", limit.min(left).as_secs()))
                }),
            }
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Not dropped: that would wait for a name server.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What makes a connection for the library.
pub(super) fn connect(remote: &Remote<'_>) -> Result<Transport, Error> {
    let line = LINE.with_borrow(Clone::clone);
    let Some(line) = line else {
        return Err(Error::new(ErrorCode::User, ErrorClass::Net, "no conversation on this thread"));
    };
    match line.url.scheme() {
        Scheme::Http | Scheme::Https => Transport::smart(remote, true, http::Http::new(line)),
        Scheme::Ssh => Transport::smart(remote, false, ssh::Ssh::new(line)),
    }
}

/// Counts what comes in and reads along in it.
struct Gauge {
    line: Arc<Line>,
    answer: Answer,
    received: u64,
}

impl Gauge {
    fn new(line: &Arc<Line>) -> Self {
        Self { line: Arc::clone(line), answer: Answer::new(line.bounds), received: 0 }
    }

    fn read(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.received += bytes.len() as u64;
        if self.received > self.line.bytes {
            let reason = format!("more than {} were sent", super::error::size(self.line.bytes));
            return self.line.cut(SourceError::TooLarge { url: self.line.url.to_string(), reason });
        }
        let outcome = self.answer.read(bytes);
        outcome.or_else(|refused| self.line.cut(self.line.refused(refused)))
    }
}
