//! The conversation with the Git server. Blocks: runs on its own thread.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use asm_shared::api::{SourceSpec, VerifyMode};
use git2::{
    AutotagOption, Direction, Error, ErrorClass, ErrorCode, FetchOptions, ObjectType, Oid, ProxyOptions,
    RemoteCallbacks, Repository, TreeWalkMode, TreeWalkResult,
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::error::size;
use super::pack::Bounds;
use super::signature::{self, Demand, Keyring};
use super::store::Store;
use super::transport::Line;
use super::url::{RemoteUrl, Scheme};
use super::{GitCredentials, Limits, SourceError};

/// What to fetch: everything checked that can be checked without the server.
pub(super) struct Request {
    pub(super) url: RemoteUrl,
    name: String,
    is_tag: bool,
    credentials: GitCredentials,
    limits: Limits,
    verify: Option<(VerifyMode, Arc<Keyring>)>,
}

impl Request {
    pub(super) fn new(
        spec: &SourceSpec,
        url: &str,
        credentials: Option<&GitCredentials>,
        keyring: Option<&Arc<Keyring>>,
        limits: Limits,
    ) -> Result<Self, SourceError> {
        let url = RemoteUrl::parse(url)?;
        if url.scheme() == Scheme::Http && credentials.is_some_and(|known| known.authorization().is_some()) {
            return Err(SourceError::InvalidUrl {
                url: url.to_string(),
                reason: "user and password would go over http:// in clear text".to_owned(),
            });
        }
        let (name, is_tag) = spec.tag.as_ref().map_or((&spec.branch, false), |tag| (tag, true));
        let reference = if is_tag { format!("refs/tags/{name}") } else { format!("refs/heads/{name}") };
        if name.starts_with('-') || !git2::Reference::is_valid_name(&reference) {
            return Err(SourceError::InvalidBranch { branch: clean(name, 100) });
        }
        let keyless = |reason: &str| SourceError::Keyring { reason: reason.to_owned() };
        let verify = match (&spec.verify, keyring) {
            (None, _) => None,
            (Some(wanted), _) if wanted.mode != VerifyMode::Head && !is_tag => {
                return Err(keyless("verify.mode Tag and TagAndHEAD look at a tag, and source.tag names none"));
            }
            (Some(wanted), Some(keyring)) => Some((wanted.mode, Arc::clone(keyring))),
            (Some(_), None) => return Err(keyless("the public keys could not be read")),
        };
        Ok(Self {
            url,
            name: name.clone(),
            is_tag,
            credentials: credentials.cloned().unwrap_or_default(),
            limits,
            verify,
        })
    }

    fn reference(&self) -> String {
        if self.is_tag { format!("refs/tags/{}", self.name) } else { format!("refs/heads/{}", self.name) }
    }

    /// Where the reference is kept: under it the objects stay named.
    fn kept(&self) -> String {
        if self.is_tag {
            format!("refs/remotes/tags/{}", self.name)
        } else {
            format!("refs/remotes/origin/{}", self.name)
        }
    }

    fn line(&self, work: &Work<'_>) -> Result<Arc<Line>, SourceError> {
        let limits = &self.limits;
        let bounds = Bounds { object: limits.object, total: limits.unpacked, objects: limits.objects };
        let times = (work.patience, work.end);
        let (url, credentials) = (self.url.clone(), self.credentials.clone());
        Line::new(url, credentials, (bounds, limits.bytes), times, work.cancelled.clone())
    }
}

/// How the work is watched and stopped from outside.
pub(super) struct Work<'a> {
    pub(super) received: &'a AtomicU64,
    pub(super) cancelled: &'a CancellationToken,
    /// How long a server may be silent.
    pub(super) patience: Duration,
    pub(super) end: Instant,
}

impl Work<'_> {
    fn may_go_on(&self) -> bool {
        !self.cancelled.is_cancelled() && Instant::now() < self.end
    }
}

/// The head of the branch, in the store.
pub(super) struct Head {
    pub(super) url: String,
    pub(super) revision: String,
    pub(super) subject: String,
    pub(super) author: String,
    pub(super) signed_by: Option<String>,
    pub(super) repository: PathBuf,
}

/// Why a callback ended the conversation: the library itself only says "user cancelled".
#[derive(Default)]
struct Verdict {
    too_large: RefCell<Option<String>>,
    stopped: Cell<bool>,
    /// The server has answered: from then on, errors of the operating system may be about the disk.
    connected: Cell<bool>,
}

pub(super) fn fetch(request: &Request, store: &Store, work: &Work<'_>) -> Result<Head, SourceError> {
    let repository = store.open()?;
    let verdict = Verdict::default();
    let line = request.line(work)?;
    let entered = line.enter();
    let outcome = converse(request, &repository, work, &verdict);
    drop(entered);
    let found = match outcome {
        Ok(Ok(oid)) => oid,
        Ok(Err(refused)) => return Err(refused),
        Err(error) => {
            let error = line.fault().unwrap_or_else(|| explain(request, &verdict, &error, work));
            if matches!(error, SourceError::Corrupt { .. }) {
                store.retire()?;
            }
            return Err(error);
        }
    };
    let broken = |error: &Error| explain(request, &verdict, error, work);
    let commit = commit_of(&repository, found).map_err(|error| broken(&error))?;
    // Before anything that somebody wrote into the commit is looked at.
    let signed_by = match &request.verify {
        None => None,
        Some((mode, keyring)) => {
            let demand = Demand { mode: *mode, keyring, now: Timestamp::now() };
            let tag = request.is_tag.then_some((request.name.as_str(), found));
            Some(signature::verify(&repository, &demand, commit, tag)?)
        }
    };
    match complete(&repository, commit, request.limits.objects) {
        Ok(true) => {}
        Ok(false) => {
            let reason = format!("commit {commit} has more than {} files and folders", request.limits.objects);
            return Err(SourceError::TooLarge { url: request.url.to_string(), reason });
        }
        Err(error) => {
            store.retire()?;
            return Err(SourceError::Corrupt { url: request.url.to_string(), reason: clean(error.message(), 300) });
        }
    }
    describe(request, &repository, commit, signed_by).map_err(|error| broken(&error))
}

/// The commit that a tag leads to; a commit is itself.
fn commit_of(repository: &Repository, found: Oid) -> Result<Oid, Error> {
    Ok(repository.find_object(found, None)?.peel(ObjectType::Commit)?.id())
}

/// Learns the head and fetches it if it is not here. The outer error is the library's, the inner one ours.
fn converse(
    request: &Request,
    repository: &Repository,
    work: &Work<'_>,
    verdict: &Verdict,
) -> Result<Result<Oid, SourceError>, Error> {
    let mut remote = repository.remote_anonymous(&request.url.for_library())?;
    let callbacks = callbacks(request, work, verdict);
    let mut connection = remote.connect_auth(Direction::Fetch, Some(callbacks), Some(ProxyOptions::new()))?;
    verdict.connected.set(true);
    let wanted = request.reference();
    let heads = connection.list()?;
    let Some(oid) = heads.iter().find(|head| head.name() == wanted).map(|head| head.oid()) else {
        let names = heads.iter().map(|head| head.name());
        return Ok(Err(missing(request, names.collect())));
    };
    let kept = request.kept();
    if repository.find_object(oid, None).is_ok() {
        // Already here (also when the branch has gone back): only the reference, which keeps the objects named.
        repository.reference(&kept, oid, true, "fetch")?;
        return Ok(Ok(oid));
    }
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(self::callbacks(request, work, verdict))
        .proxy_options(ProxyOptions::new())
        .download_tags(AutotagOption::None)
        .update_fetchhead(false);
    // One reference; with `+`, because whether it moved forward is checked by us, with the commit applied last.
    let refspec = format!("+{wanted}:{kept}");
    connection.remote().fetch(&[&refspec], Some(&mut options), Some("fetch"))?;
    Ok(Ok(oid))
}

/// The branch or tag is not there: which are?
fn missing(request: &Request, names: Vec<&str>) -> SourceError {
    let url = request.url.to_string();
    if names.is_empty() {
        return SourceError::EmptyRepository { url };
    }
    let place = if request.is_tag { "refs/tags/" } else { "refs/heads/" };
    let found = names.into_iter().filter_map(|name| name.strip_prefix(place)).filter(|name| !name.ends_with("^{}"));
    let mut branches: Vec<_> = found.map(|name| clean(name, 60)).collect();
    branches.sort_unstable();
    let more = branches.len().saturating_sub(5);
    branches.truncate(5);
    SourceError::BranchMissing { url, branch: request.name.clone(), tag: request.is_tag, branches, more }
}

fn callbacks<'a>(request: &'a Request, work: &'a Work<'a>, verdict: &'a Verdict) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(move |progress| {
        let received = progress.received_bytes() as u64;
        work.received.store(received, Ordering::Relaxed);
        let limits = &request.limits;
        let over = if received > limits.bytes {
            Some(format!("more than {} were sent", size(limits.bytes)))
        } else if progress.total_objects() > limits.objects {
            Some(format!("{} objects, at most {} are taken", progress.total_objects(), limits.objects))
        } else {
            None
        };
        if let Some(reason) = over {
            verdict.too_large.replace(Some(reason));
            return false;
        }
        go_on(work, verdict)
    });
    // What the server writes for people is not shown anywhere; it is only a sign of life.
    callbacks.sideband_progress(move |_| go_on(work, verdict));
    callbacks
}

fn go_on(work: &Work<'_>, verdict: &Verdict) -> bool {
    let go_on = work.may_go_on();
    if !go_on {
        verdict.stopped.set(true);
    }
    go_on
}

/// Whether everything the commit's tree names is here: the library does not check what it was sent. `false`: too many.
fn complete(repository: &Repository, commit: Oid, limit: usize) -> Result<bool, Error> {
    let tree = repository.find_commit(commit)?.tree()?;
    let odb = repository.odb()?;
    let (mut entries, mut missing) = (0, None);
    let walked = tree.walk(TreeWalkMode::PreOrder, |_, entry| {
        entries += 1;
        // A submodule's commit is in another repository.
        let absent = entry.kind() == Some(git2::ObjectType::Blob) && !odb.exists(entry.id());
        if absent {
            missing = Some(entry.id());
        }
        if absent || entries > limit { TreeWalkResult::Abort } else { TreeWalkResult::Ok }
    });
    if let Some(missing) = missing {
        return Err(Error::new(ErrorCode::NotFound, ErrorClass::Odb, format!("object {missing} was not sent")));
    }
    if entries > limit {
        return Ok(false);
    }
    walked.map(|()| true)
}

fn describe(request: &Request, repository: &Repository, oid: Oid, signed_by: Option<String>) -> Result<Head, Error> {
    let commit = repository.find_commit(oid)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let subject = commit.message_bytes().split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let author = commit.author();
    let author = format!("{} <{}>", text(author.name_bytes()), text(author.email_bytes()));
    Ok(Head {
        url: request.url.to_string(),
        revision: oid.to_string(),
        subject: clean(text(subject.unwrap_or_default()).trim(), 200),
        author: clean(&author, 200),
        signed_by,
        repository: repository.path().to_owned(),
    })
}

/// What the library's error means, when it is not one of ours passed on.
fn explain(request: &Request, verdict: &Verdict, error: &Error, work: &Work<'_>) -> SourceError {
    let url = request.url.to_string();
    let said = clean(error.message(), 300);
    let reason = request.credentials.scrub(&said);
    if let Some(reason) = verdict.too_large.take() {
        return SourceError::TooLarge { url, reason };
    }
    if verdict.stopped.get() || error.code() == ErrorCode::Timeout {
        let received = work.received.load(Ordering::Relaxed);
        return SourceError::Unreachable { url, reason: format!("the transfer was ended after {}", size(received)) };
    }
    match error.class() {
        ErrorClass::Os if !verdict.connected.get() || said.contains("socket") => {
            SourceError::Unreachable { url, reason }
        }
        ErrorClass::Filesystem | ErrorClass::Os | ErrorClass::NoMemory => SourceError::Storage { reason },
        ErrorClass::Odb | ErrorClass::Indexer | ErrorClass::Object | ErrorClass::Zlib | ErrorClass::Tree => {
            SourceError::Corrupt { url, reason }
        }
        ErrorClass::Reference | ErrorClass::Repository | ErrorClass::Config => SourceError::Storage { reason },
        _ => SourceError::Unreachable { url, reason },
    }
}

/// Text from outside on one line, without what could steer a terminal, and not longer than this.
pub(super) fn clean(text: &str, most: usize) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut clean: String =
        text.chars().take(most).map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if text.chars().nth(most).is_some() {
        clean.push('…');
    }
    clean
}
