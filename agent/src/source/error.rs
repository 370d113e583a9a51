//! Why a look at the Git server gave no commit. No text holds a credential: URLs have none (see `url`), and what the
//! Git library says is cleaned before it gets here.

use std::time::Duration;

use super::ACCEPT_REVISION;
use super::signature::Flaw;

/// Why there is no commit. `to_string()` says what failed, where and why; [`SourceError::hint`] what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The URL is not one that the agent takes.
    #[error("source.url {url}: {reason}")]
    InvalidUrl {
        /// The URL without user and password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The branch is not a name that Git allows.
    #[error("source.branch {branch:?} is not a branch name")]
    InvalidBranch {
        /// What the spec says.
        branch: String,
    },
    /// The server refuses the credentials, or wants some.
    #[error("{url}: {}", if *.presented { "the Git server refuses the credentials" } else { "the Git server wants credentials" })]
    Unauthorized {
        /// The repository.
        url: String,
        /// Whether credentials were sent.
        presented: bool,
    },
    /// There is no such repository for this user.
    #[error("{url}: the Git server knows no such repository (404)")]
    RepositoryMissing {
        /// The repository.
        url: String,
    },
    /// The server could not be reached or did not talk Git.
    #[error("{url}: {reason}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What the Git library says.
        reason: String,
    },
    /// The server's certificate is not trusted.
    #[error("{url}: the server's certificate is not trusted: {reason}")]
    UntrustedCertificate {
        /// The repository.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The server wants a client certificate, or another one.
    #[error("{url}: the server {} ({reason})", if *.presented { "refuses the client certificate" } else { "wants a client certificate" })]
    ClientCertificate {
        /// The repository.
        url: String,
        /// Whether one was shown.
        presented: bool,
        /// What TLS says.
        reason: String,
    },
    /// The server's SSH key is not a known one.
    #[error("{url}: the server's SSH key is not trusted: {reason}")]
    UntrustedHostKey {
        /// The repository.
        url: String,
        /// Host name.
        host: String,
        /// Port.
        port: u16,
        /// Why not.
        reason: String,
    },
    /// There is no usable private key for SSH.
    #[error("{url}: the private key cannot be used: {reason}")]
    Identity {
        /// The repository.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The server let us in and then said no.
    #[error("{url}: the Git server says: {said}")]
    Declined {
        /// The repository.
        url: String,
        /// Its words.
        said: String,
    },
    /// The commit or tag is not signed as `source.verify` wants it.
    #[error("{object} is not taken: {flaw}")]
    Signature {
        /// Which one.
        object: String,
        /// Secret with the public keys.
        secret: String,
        /// What is wrong.
        flaw: Flaw,
    },
    /// `source.verify` cannot be carried out.
    #[error("signatures cannot be judged: {reason}")]
    Keyring {
        /// Why not.
        reason: String,
    },
    /// It took longer than `source.timeoutSeconds`.
    #[error("{url}: no result within {} s ({} received)", .after.as_secs(), size(*.received))]
    Timeout {
        /// The repository.
        url: String,
        /// The time that was allowed.
        after: Duration,
        /// Bytes received so far.
        received: u64,
    },
    /// An earlier look that timed out has not ended; no second one is started beside it.
    #[error("{url}: an earlier fetch that timed out is still running ({} received)", size(*.received))]
    StillRunning {
        /// The repository.
        url: String,
        /// Bytes received so far.
        received: u64,
    },
    /// More bytes or objects than the agent takes.
    #[error("{url}: the branch is too large: {reason}")]
    TooLarge {
        /// The repository.
        url: String,
        /// Which limit.
        reason: String,
    },
    /// The repository has no commit at all.
    #[error("{url}: the repository is empty")]
    EmptyRepository {
        /// The repository.
        url: String,
    },
    /// The repository has no such branch.
    #[error("{url}: there is no {} {branch:?}; {}", if *.tag { "tag" } else { "branch" }, existing(.branches, *.more))]
    BranchMissing {
        /// The repository.
        url: String,
        /// The branch or tag that was looked for.
        branch: String,
        /// Whether it is a tag.
        tag: bool,
        /// Some branches that exist.
        branches: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// The branch's head does not follow the commit that was applied last.
    #[error("the head of the branch, {to}, does not follow the commit applied last, {from}: {}", if *.went_back { "the branch went back to an older commit" } else { "the branch was rewritten" })]
    NotFastForward {
        /// The commit applied last.
        from: String,
        /// The head now.
        to: String,
        /// Whether the head is an ancestor of the commit applied last.
        went_back: bool,
    },
    /// Objects are missing or broken, on the server or here.
    #[error("{url}: broken objects: {reason}")]
    Corrupt {
        /// The repository.
        url: String,
        /// What the Git library says.
        reason: String,
    },
    /// The agent's own disk.
    #[error("the agent's Git store could not be used: {reason}")]
    Storage {
        /// What failed.
        reason: String,
    },
}

impl SourceError {
    /// What to do about it, for the FleetSync of this namespace and name.
    pub fn hint(&self, namespace: &str, fleetsync: &str) -> String {
        match self {
            Self::InvalidUrl { .. } => "write https://HOST/PATH, ssh://git@HOST/PATH or git@HOST:PATH; passwords, tokens and \
                                        keys belong in a Secret named by source.secretRef"
                .to_owned(),
            Self::InvalidBranch { .. } => "write the branch's short name, for example main".to_owned(),
            Self::Unauthorized { presented: true, .. } => {
                "check username and password (or token, and whether it has expired; for SSH, whether the server knows the deploy \
                 key) in the Secret named by source.secretRef"
                    .to_owned()
            }
            Self::Unauthorized { presented: false, .. } => {
                "put username and password (or a token as the password) in a Secret and name it in source.secretRef"
                    .to_owned()
            }
            Self::RepositoryMissing { .. } => {
                "check source.url, and whether the user of source.secretRef may read the repository: many servers \
                 answer 404 for that, too"
                    .to_owned()
            }
            Self::Unreachable { .. } => {
                "check source.url, and that the agent's pod may reach the server (DNS, NetworkPolicy, firewall); the \
                 agent uses no proxy and follows no redirect to another server"
                    .to_owned()
            }
            Self::UntrustedCertificate { .. } => {
                "put the certificate of the server's authority in key ca.crt of the Secret named by source.secretRef"
                    .to_owned()
            }
            Self::ClientCertificate { presented, .. } => format!(
                "{} key tls.crt (with its chain) and key tls.key of the Secret named by source.secretRef",
                if *presented { "renew the certificate in" } else { "put a certificate that the server's administrator issues into" }
            ),
            Self::UntrustedHostKey { host, port, .. } => format!(
                "compare the fingerprint with what the server's administrator publishes; if it is right, put the lines of \
                 ssh-keyscan -p {port} {host} into key known_hosts of the Secret named by source.secretRef; if not, somebody \
                 stands between the agent and the server"
            ),
            Self::Identity { .. } => format!(
                "make a key (ssh-keygen -t ed25519 -N '' -f deploy), give deploy.pub to the Git server as a deploy key that \
                 may only read, and put both into the Secret: kubectl create secret generic -n {namespace} NAME \
                 --from-file=identity=deploy --from-file=known_hosts=FILE"
            ),
            Self::Declined { .. } => {
                "check the path in source.url, and whether the deploy key may read that repository".to_owned()
            }
            Self::Signature { flaw, secret, .. } => {
                format!("nothing of it was read or applied; {}", flaw.hint(secret))
            }
            Self::Keyring { .. } => {
                "put public keys (gpg --armor --export, or lines of allowed signers) into the Secret named by \
                 source.verify.secretRef"
                    .to_owned()
            }
            Self::Timeout { .. } => {
                "raise source.timeoutSeconds if the repository is large; otherwise see whether the server answers"
                    .to_owned()
            }
            Self::StillRunning { .. } => {
                "wait: it ends by itself, and what it has fetched is used; raise source.timeoutSeconds if the \
                 repository is large"
                    .to_owned()
            }
            Self::TooLarge { .. } => {
                "keep the fleet in a repository of its own, without large files in its history".to_owned()
            }
            Self::EmptyRepository { .. } => "push a first commit: kubectl asm init makes one".to_owned(),
            Self::BranchMissing { .. } => "set source.branch to a branch that exists, or push this one".to_owned(),
            Self::NotFastForward { to, .. } => format!(
                "put the branch back, or, if this is meant, accept the commit: kubectl annotate fleetsync -n \
                 {namespace} {fleetsync} --overwrite {ACCEPT_REVISION}={to}"
            ),
            Self::Corrupt { .. } => {
                "the store is fetched anew at the next look; if it happens again, run git fsck on the server".to_owned()
            }
            Self::Storage { .. } => "see whether the volume behind --data-dir is writable and has space".to_owned(),
        }
    }

    /// Reason of the condition `SourceReady`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidUrl { .. } => "InvalidUrl",
            Self::InvalidBranch { .. } => "InvalidBranch",
            Self::Unauthorized { .. } => "Unauthorized",
            Self::RepositoryMissing { .. } => "RepositoryMissing",
            Self::Unreachable { .. } => "Unreachable",
            Self::UntrustedCertificate { .. } => "UntrustedCertificate",
            Self::ClientCertificate { .. } => "ClientCertificate",
            Self::UntrustedHostKey { .. } => "UntrustedHostKey",
            Self::Identity { .. } => "IdentityUnusable",
            Self::Declined { .. } => "Declined",
            Self::Signature { flaw, .. } => flaw.reason(),
            Self::Keyring { .. } => "KeysUnusable",
            Self::Timeout { .. } => "Timeout",
            Self::StillRunning { .. } => "StillRunning",
            Self::TooLarge { .. } => "TooLarge",
            Self::EmptyRepository { .. } => "EmptyRepository",
            Self::BranchMissing { .. } => "BranchMissing",
            Self::NotFastForward { .. } => "NotFastForward",
            Self::Corrupt { .. } => "Corrupt",
            Self::Storage { .. } => "Storage",
        }
    }

    /// Whether the Git server could not be had at all, as opposed to something that a person must change: exit code 3
    /// against 2.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized { .. }
                | Self::RepositoryMissing { .. }
                | Self::Unreachable { .. }
                | Self::UntrustedCertificate { .. }
                | Self::ClientCertificate { .. }
                | Self::UntrustedHostKey { .. }
                | Self::Identity { .. }
                | Self::Declined { .. }
                | Self::Timeout { .. }
                | Self::StillRunning { .. }
        )
    }
}

fn existing(branches: &[String], more: usize) -> String {
    let list = branches.join(", ");
    match (branches.len(), more) {
        (0, _) => "the server shows none".to_owned(),
        (_, 0) => format!("there are: {list}"),
        _ => format!("there are: {list} and {more} more"),
    }
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
