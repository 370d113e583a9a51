//! Commits from a Git server, read over https or SSH into a bare object store: no working tree, no `git` program.
//!
//! A look at the server costs one request while the branch has not moved. Everything the server controls is bounded:
//! time, bytes, objects, redirects, and where credentials go. A branch may only move forward (see [`Source::fetch`]).

mod auth;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod mirrors;
mod pack;
mod poll;
mod remote;
mod signature;
mod store;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod test_ssh;
#[cfg(test)]
pub(crate) mod test_tls;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_mirrors;
#[cfg(test)]
mod tests_signed;
#[cfg(test)]
mod tests_ssh;
#[cfg(test)]
mod tests_tls;
mod timeouts;
mod transport;
mod url;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, Weak};
use std::time::Duration;

use asm_shared::api::SourceSpec;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use auth::GitCredentials;
pub use error::SourceError;
pub use poll::next_poll;
pub use signature::{Flaw, Keyring};
pub use timeouts::prepare;
pub(crate) use transport::tls_config;

use crate::metrics::FetchOutcome;

/// The head of the branch, whose objects are in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Full commit ID.
    pub revision: String,
    /// First line of its message, without control characters, at most 200 characters.
    pub subject: String,
    /// `Name <mail>` of its author, cleaned likewise.
    pub author: String,
    /// Where it came from: `source.url`, or the mirror that answered when others did not.
    pub url: String,
    /// Why earlier ones of `source.url` and the mirrors were passed over.
    pub passed_over: Vec<String>,
    /// Whose signature it has, when one was asked for.
    pub signed_by: Option<String>,
    /// Whether this is another commit than the last successful [`Source::fetch`] of this `Source` gave.
    pub changed: bool,
    /// The bare repository that holds the commit. May be another folder after a later fetch; this one stays readable
    /// at least until the store has moved twice more.
    pub repository: PathBuf,
}

/// What a Git server may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes that one fetch may receive.
    pub bytes: u64,
    /// Most bytes that the objects of one fetch may be unpacked.
    pub unpacked: u64,
    /// Most bytes that one object may be unpacked: the library holds an object that others build on in memory.
    pub object: u64,
    /// Most objects in one fetch, and most entries in the tree of one commit.
    pub objects: usize,
    /// Packs after which the store is built anew, so that it does not grow for ever.
    pub packs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 512 << 20, unpacked: 4 << 30, object: 64 << 20, objects: 2_000_000, packs: 50 }
    }
}

/// One repository as one FleetSync sees it.
pub struct Source {
    dir: PathBuf,
    limits: Limits,
    lane: Arc<Lane>,
    /// Nobody wants the result any more.
    cancelled: CancellationToken,
    last: Mutex<Option<String>>,
}

/// The way to the Git server for one folder: one thread at a time. It is the thread that holds the permit, not the future
/// that waits for it, so a stuck thread keeps it.
#[derive(Debug)]
struct Lane {
    idle: Arc<Semaphore>,
    received: AtomicU64,
    /// Nobody waits for the thread any more.
    abandoned: AtomicBool,
}

/// The lane of a folder. Sources of the same folder share it: when a replica loses its claim and gets it back, a thread of
/// before may still be at work in there.
fn lane(dir: &Path) -> Arc<Lane> {
    static LANES: LazyLock<std::sync::Mutex<HashMap<PathBuf, Weak<Lane>>>> = LazyLock::new(Default::default);
    // A panic while the lock was held cannot leave the map half changed.
    let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
    lanes.retain(|_, lane| lane.strong_count() > 0);
    if let Some(lane) = lanes.get(dir).and_then(Weak::upgrade) {
        return lane;
    }
    let lane = Arc::new(Lane {
        idle: Arc::new(Semaphore::new(1)),
        received: AtomicU64::new(0),
        abandoned: AtomicBool::new(false),
    });
    lanes.insert(dir.to_owned(), Arc::downgrade(&lane));
    lane
}

/// Marks the thread as abandoned when the future that waits for it ends before it does.
struct Waiting<'a>(&'a Lane);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

impl Source {
    /// A source whose objects are kept in this folder, which is its own and may not exist yet.
    pub fn open(dir: &Path) -> Self {
        Self::with_limits(dir, Limits::default())
    }

    /// A source with other limits than the usual.
    pub fn with_limits(dir: &Path, limits: Limits) -> Self {
        prepare();
        Self {
            dir: dir.to_owned(),
            limits,
            lane: lane(dir),
            cancelled: CancellationToken::new(),
            last: Mutex::new(None),
        }
    }

    /// Looks at the branch and fetches it if it has moved.
    ///
    /// The head must be `last_applied` or a descendant of it, or be the commit named by `accept` (the annotation
    /// [`ACCEPT_REVISION`]); without `last_applied` any head will do. Ends within `spec.timeout_seconds`. A thread
    /// that hangs in the Git library then goes on by itself: when it ends well, the next call finds its objects and
    /// need not fetch them again; until it ends, calls give [`SourceError::StillRunning`].
    ///
    /// Mirrors are asked in their order when the one before cannot be reached; one that is behind is passed over.
    pub async fn fetch(
        &self,
        spec: &SourceSpec,
        secrets: impl Into<Secrets>,
        last_applied: Option<&str>,
        accept: Option<&str>,
    ) -> Result<Fetched, SourceError> {
        let allowed = Duration::from_secs(spec.timeout_seconds.max(1).into());
        let deadline = Instant::now() + allowed;
        let requests = requests(spec, &secrets.into(), self.limits)?;
        let url = spec.url.clone();
        let received = || self.lane.received.load(Ordering::Relaxed);
        let still_running = || SourceError::StillRunning { url: url.clone(), received: received() };
        if self.lane.idle.available_permits() == 0 && self.lane.abandoned.load(Ordering::Relaxed) {
            return Err(still_running());
        }
        let Ok(Ok(permit)) = timeout_at(deadline, Arc::clone(&self.lane.idle).acquire_owned()).await else {
            return Err(still_running());
        };
        self.lane.received.store(0, Ordering::Relaxed);
        self.lane.abandoned.store(false, Ordering::Relaxed);
        let waiting = Waiting(&self.lane);

        let (lane, cancelled) = (Arc::clone(&self.lane), self.cancelled.clone());
        let store = store::Store::new(&self.dir, self.limits.packs);
        let last_applied = last_applied.map(str::to_owned);
        let accept = accept.map(str::to_owned);
        let thread = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            // Ten times the time is the end even of a transfer that trickles on.
            let end = std::time::Instant::now() + allowed * 10;
            // The first may be silent only so long that the others still have their turn.
            let several = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            let patience = if several > 1 { allowed / several } else { allowed * 10 };
            let work = remote::Work { received: &lane.received, cancelled: &cancelled, patience, end };
            mirrors::first(&requests, |request| {
                let head = remote::fetch(request, &store, &work)?;
                history::check(&head, last_applied.as_deref(), accept.as_deref())?;
                Ok(head)
            })
        });
        let Ok(ended) = timeout_at(deadline, thread).await else {
            return Err(SourceError::Timeout { url, after: allowed, received: received() });
        };
        // It has ended: nothing is abandoned.
        std::mem::forget(waiting);
        let (head, passed_over) = ended.unwrap_or_else(|broken| {
            Err(SourceError::Storage { reason: format!("the fetch ended unexpectedly: {broken}") })
        })?;
        let mut last = self.last.lock().await;
        let changed = last.as_deref() != Some(&head.revision);
        *last = Some(head.revision.clone());
        Ok(Fetched {
            revision: head.revision,
            subject: head.subject,
            author: head.author,
            url: head.url,
            passed_over,
            signed_by: head.signed_by,
            changed,
            repository: head.repository,
        })
    }

    /// Makes the next fetch start from nothing: for objects that turn out to be missing or broken when they are read.
    pub async fn discard(&self) -> Result<(), SourceError> {
        let store = store::Store::new(&self.dir, self.limits.packs);
        match tokio::task::spawn_blocking(move || store.retire()).await {
            Ok(outcome) => outcome,
            Err(broken) => Err(SourceError::Storage { reason: broken.to_string() }),
        }
    }
}

/// What the Secrets of a FleetSync's source hold.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Of `source.secretRef`.
    pub source: Option<GitCredentials>,
    /// Of each mirror, in their order; or why that Secret cannot be used.
    pub mirrors: Vec<Result<Option<GitCredentials>, String>>,
    /// Of `source.verify.secretRef`.
    pub keyring: Option<Arc<Keyring>>,
}

impl From<Option<&GitCredentials>> for Secrets {
    fn from(source: Option<&GitCredentials>) -> Self {
        Self { source: source.cloned(), ..Self::default() }
    }
}

/// One request for `source.url` and one for each mirror. Each has its own credentials: they go nowhere else.
fn requests(spec: &SourceSpec, secrets: &Secrets, limits: Limits) -> Result<Vec<mirrors::Asked>, SourceError> {
    let keyring = secrets.keyring.as_ref();
    let mut requests = vec![Ok(remote::Request::new(spec, &spec.url, secrets.source.as_ref(), keyring, limits)?)];
    for (at, mirror) in spec.mirrors.iter().enumerate() {
        let credentials = secrets.mirrors.get(at).cloned().unwrap_or(Ok(None));
        requests.push(credentials.and_then(|credentials| {
            remote::Request::new(spec, &mirror.url, credentials.as_ref(), keyring, limits)
                .map_err(|error| error.to_string())
        }));
    }
    Ok(requests)
}

impl Drop for Source {
    fn drop(&mut self) {
        // A thread that still runs ends now.
        self.cancelled.cancel();
    }
}

/// Annotation on a FleetSync with the full ID of a commit that may be synced although it does not follow the last one.
pub const ACCEPT_REVISION: &str = "kubectl-asm.io/accept-revision";

/// What [`crate::metrics::Metrics::fetched`] counts for the result of a [`Source::fetch`].
pub fn outcome(result: &Result<Fetched, SourceError>) -> FetchOutcome {
    match result {
        Ok(fetched) if fetched.changed => FetchOutcome::Changed,
        Ok(_) => FetchOutcome::Unchanged,
        Err(error) => match error {
            SourceError::Unauthorized { .. } => FetchOutcome::Unauthorized,
            SourceError::Unreachable { .. }
            | SourceError::UntrustedCertificate { .. }
            | SourceError::UntrustedHostKey { .. }
            | SourceError::Declined { .. } => FetchOutcome::Unreachable,
            SourceError::ClientCertificate { .. } | SourceError::Identity { .. } => FetchOutcome::Unauthorized,
            SourceError::Signature { .. } => FetchOutcome::BadSignature,
            SourceError::Timeout { .. } | SourceError::StillRunning { .. } => FetchOutcome::Timeout,
            SourceError::NotFastForward { .. } => FetchOutcome::NotFastForward,
            _ => FetchOutcome::Refused,
        },
    }
}
