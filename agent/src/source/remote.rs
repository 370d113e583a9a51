//! The conversation with the Git server. Blocks: runs on its own thread.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use asm_shared::api::SourceSpec;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, Error, ErrorClass, ErrorCode, FetchOptions,
    Oid, ProxyOptions, RemoteCallbacks, RemoteRedirect, Repository, TreeWalkMode, TreeWalkResult,
};

use super::certificate::Authorities;
use super::error::size;
use super::store::Store;
use super::url::RemoteUrl;
use super::{GitCredentials, Limits, SourceError};

/// What to fetch: everything checked that can be checked without the server.
pub(super) struct Request {
    pub(super) url: RemoteUrl,
    branch: String,
    credentials: Option<GitCredentials>,
    authorities: Option<Authorities>,
    limits: Limits,
}

impl Request {
    pub(super) fn new(
        spec: &SourceSpec,
        credentials: Option<&GitCredentials>,
        limits: Limits,
    ) -> Result<Self, SourceError> {
        let url = RemoteUrl::parse(&spec.url)?;
        if !url.is_secure() && credentials.is_some_and(|credentials| credentials.login().is_some()) {
            return Err(SourceError::InvalidUrl {
                url: url.to_string(),
                reason: "user and password would go over http:// in clear text".to_owned(),
            });
        }
        let reference = format!("refs/heads/{}", spec.branch);
        if spec.branch.starts_with('-') || !git2::Reference::is_valid_name(&reference) {
            return Err(SourceError::InvalidBranch { branch: clean(&spec.branch, 100) });
        }
        let authorities = match credentials.and_then(GitCredentials::ca) {
            Some(pem) => Some(
                Authorities::read(pem)
                    .map_err(|reason| SourceError::UntrustedCertificate { url: url.to_string(), reason })?,
            ),
            None => None,
        };
        Ok(Self { url, branch: spec.branch.clone(), credentials: credentials.cloned(), authorities, limits })
    }
}

/// How the work is watched and stopped from outside.
pub(super) struct Work<'a> {
    pub(super) received: &'a AtomicU64,
    pub(super) cancelled: &'a AtomicBool,
    pub(super) end: Instant,
}

impl Work<'_> {
    fn may_go_on(&self) -> bool {
        !self.cancelled.load(Ordering::Relaxed) && Instant::now() < self.end
    }
}

/// The head of the branch, in the store.
pub(super) struct Head {
    pub(super) url: String,
    pub(super) revision: String,
    pub(super) subject: String,
    pub(super) author: String,
    pub(super) repository: PathBuf,
}

/// Why a callback ended the conversation: the library itself only says "user cancelled".
#[derive(Default)]
struct Verdict {
    asked_for_login: Cell<u32>,
    refused: Cell<bool>,
    too_large: RefCell<Option<String>>,
    certificate: RefCell<Option<String>>,
    stopped: Cell<bool>,
    /// The server has answered: from then on, errors of the operating system may be about the disk.
    connected: Cell<bool>,
}

pub(super) fn fetch(request: &Request, store: &Store, work: &Work<'_>) -> Result<Head, SourceError> {
    let repository = store.open()?;
    let verdict = Verdict::default();
    let outcome = converse(request, &repository, work, &verdict);
    let oid = match outcome {
        Ok(Ok(oid)) => oid,
        Ok(Err(refused)) => return Err(refused),
        Err(error) => {
            let error = explain(request, &verdict, &error, work);
            if matches!(error, SourceError::Corrupt { .. }) {
                store.retire()?;
            }
            return Err(error);
        }
    };
    match complete(&repository, oid, request.limits.objects) {
        Ok(true) => {}
        Ok(false) => {
            let reason = format!("commit {oid} has more than {} files and folders", request.limits.objects);
            return Err(SourceError::TooLarge { url: request.url.to_string(), reason });
        }
        Err(error) => {
            store.retire()?;
            return Err(SourceError::Corrupt { url: request.url.to_string(), reason: clean(error.message(), 300) });
        }
    }
    describe(request, &repository, oid).map_err(|error| explain(request, &verdict, &error, work))
}

/// Learns the head and fetches it if it is not here. The outer error is the library's, the inner one ours.
fn converse(
    request: &Request,
    repository: &Repository,
    work: &Work<'_>,
    verdict: &Verdict,
) -> Result<Result<Oid, SourceError>, Error> {
    let url = request.url.to_string();
    let mut remote = repository.remote_anonymous(&url)?;
    let callbacks = callbacks(request, work, verdict);
    // The default of `ProxyOptions` is: no proxy, whatever the environment says.
    let mut connection = remote.connect_auth(Direction::Fetch, Some(callbacks), Some(ProxyOptions::new()))?;
    verdict.connected.set(true);
    let wanted = format!("refs/heads/{}", request.branch);
    let heads = connection.list()?;
    let Some(oid) = heads.iter().find(|head| head.name() == wanted).map(|head| head.oid()) else {
        let mut branches: Vec<_> = heads
            .iter()
            .filter_map(|head| head.name().strip_prefix("refs/heads/"))
            .map(|name| clean(name, 60))
            .collect();
        if heads.is_empty() {
            return Ok(Err(SourceError::EmptyRepository { url }));
        }
        branches.sort_unstable();
        let more = branches.len().saturating_sub(5);
        branches.truncate(5);
        return Ok(Err(SourceError::BranchMissing { url, branch: request.branch.clone(), branches, more }));
    };
    let kept = format!("refs/remotes/origin/{}", request.branch);
    if repository.find_commit(oid).is_ok() {
        // Already here (also when the branch has gone back): only the reference, which keeps the objects named.
        repository.reference(&kept, oid, true, "fetch")?;
        return Ok(Ok(oid));
    }
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(self::callbacks(request, work, verdict))
        .proxy_options(ProxyOptions::new())
        .download_tags(AutotagOption::None)
        .update_fetchhead(false)
        .follow_redirects(RemoteRedirect::None);
    // One branch; with `+`, because whether it moved forward is checked by us, with the commit applied last.
    let refspec = format!("+{wanted}:{kept}");
    connection.remote().fetch(&[&refspec], Some(&mut options), Some("fetch"))?;
    Ok(Ok(oid))
}

fn callbacks<'a>(request: &'a Request, work: &'a Work<'a>, verdict: &'a Verdict) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(move |_, _, allowed| {
        let login = request.credentials.as_ref().and_then(GitCredentials::login);
        let earlier = verdict.asked_for_login.replace(verdict.asked_for_login.get() + 1);
        match login {
            // The library asks again when the server has said no, 15 times: once is enough.
            Some((user, password)) if earlier == 0 && allowed.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                Cred::userpass_plaintext(user, password)
            }
            _ => {
                verdict.refused.set(true);
                Err(Error::new(ErrorCode::Auth, ErrorClass::Http, "no further credentials"))
            }
        }
    });
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
    if let Some(authorities) = &request.authorities {
        callbacks.certificate_check(move |certificate, _host| {
            let Some(leaf) = certificate.as_x509() else { return Ok(CertificateCheckStatus::CertificatePassthrough) };
            match authorities.verify(leaf.data(), request.url.host()) {
                Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
                Err(reason) => {
                    verdict.certificate.replace(Some(reason));
                    Err(Error::new(ErrorCode::Certificate, ErrorClass::Ssl, "certificate refused"))
                }
            }
        });
    }
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

fn describe(request: &Request, repository: &Repository, oid: Oid) -> Result<Head, Error> {
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
        repository: repository.path().to_owned(),
    })
}

fn explain(request: &Request, verdict: &Verdict, error: &Error, work: &Work<'_>) -> SourceError {
    let url = request.url.to_string();
    let said = clean(error.message(), 300);
    let reason = request.credentials.as_ref().map_or_else(|| said.clone(), |known| known.scrub(&said));
    if verdict.refused.get() {
        return SourceError::Unauthorized { url, presented: verdict.asked_for_login.get() > 1 };
    }
    if let Some(reason) = verdict.too_large.take() {
        return SourceError::TooLarge { url, reason };
    }
    if let Some(reason) = verdict.certificate.take() {
        return SourceError::UntrustedCertificate { url, reason };
    }
    if verdict.stopped.get() || error.code() == ErrorCode::Timeout {
        let received = work.received.load(Ordering::Relaxed);
        return SourceError::Unreachable { url, reason: format!("the transfer was ended after {}", size(received)) };
    }
    let presented = verdict.asked_for_login.get() > 0;
    match (error.code(), error.class()) {
        (ErrorCode::Auth, _) => SourceError::Unauthorized { url, presented },
        (ErrorCode::Certificate, _) | (_, ErrorClass::Ssl) => SourceError::UntrustedCertificate { url, reason },
        (_, ErrorClass::Http) if said.ends_with("http status code: 404") => SourceError::RepositoryMissing { url },
        (_, ErrorClass::Http) if said.ends_with("http status code: 403") => {
            SourceError::Unauthorized { url, presented }
        }
        (_, ErrorClass::Http | ErrorClass::Net) => SourceError::Unreachable { url, reason },
        (_, ErrorClass::Os) if !verdict.connected.get() || said.contains("socket") => {
            SourceError::Unreachable { url, reason }
        }
        (_, ErrorClass::Filesystem | ErrorClass::Os | ErrorClass::NoMemory) => SourceError::Storage { reason },
        (_, ErrorClass::Odb | ErrorClass::Indexer | ErrorClass::Object | ErrorClass::Zlib | ErrorClass::Tree) => {
            SourceError::Corrupt { url, reason }
        }
        (_, ErrorClass::Reference | ErrorClass::Repository | ErrorClass::Config) => SourceError::Storage { reason },
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
