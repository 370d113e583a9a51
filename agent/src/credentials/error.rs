//! Why a Secret could not be used. No text holds a value of it.

use std::fmt;

use asm_shared::kubeconfig::KubeconfigProblem;
use jiff::Timestamp;

/// Which Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Place {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {}/{}", self.namespace, self.name)
    }
}

/// Why there are no credentials. `to_string()` says what failed, where, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// There is no such Secret.
    SecretMissing {
        /// Which Secret.
        place: Place,
    },
    /// The Secret lacks a key.
    KeyMissing {
        /// Which Secret.
        place: Place,
        /// The key that was looked for.
        key: String,
        /// The keys that are there.
        keys: Vec<String>,
    },
    /// The kubeconfig holds what the agent does not take.
    Refused {
        /// Which Secret.
        place: Place,
        /// Which key.
        key: String,
        /// Everything that is refused.
        problems: Vec<KubeconfigProblem>,
    },
    /// The kubeconfig's token or client certificate has expired.
    Expired {
        /// Which Secret.
        place: Place,
        /// Which key.
        key: String,
        /// When.
        at: Timestamp,
    },
    /// The content cannot be used.
    Unusable {
        /// Which Secret.
        place: Place,
        /// Which key.
        key: String,
        /// Why not.
        reason: String,
    },
    /// The public keys for signatures cannot be used.
    KeysUnusable {
        /// Which Secret.
        place: Place,
        /// Why not.
        reason: String,
    },
    /// The host cluster did not give the Secret.
    Api {
        /// Which Secret.
        place: Place,
        /// Why not.
        reason: String,
    },
    /// There is no way to reach the host cluster.
    Host {
        /// Why not.
        reason: String,
    },
}

impl std::error::Error for CredentialsError {}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretMissing { place } => write!(f, "{place} does not exist")?,
            Self::KeyMissing { place, key, keys } if keys.is_empty() => {
                write!(f, "{place} has no key {key}, it is empty")?
            }
            Self::KeyMissing { place, key, keys } => {
                write!(f, "{place} has no key {key}, only {}", keys.join(", "))?;
            }
            Self::Refused { place, key, problems } => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                // Each problem says what to do about it.
                return write!(f, "{place}, key {key}: {}", problems.join(". "));
            }
            Self::Expired { place, key, at } => {
                write!(f, "{place}, key {key}: its token or client certificate expired at {at}")?
            }
            Self::Unusable { place, key, reason } => write!(f, "{place}, key {key}: {reason}")?,
            Self::KeysUnusable { place, reason } => write!(f, "{place}: {reason}")?,
            Self::Api { place, reason } => write!(f, "{place} could not be read: {reason}")?,
            Self::Host { reason } => write!(f, "the host cluster cannot be used: {reason}")?,
        }
        write!(f, "; {}", self.hint())
    }
}

impl CredentialsError {
    /// What to do about it.
    fn hint(&self) -> String {
        match self {
            Self::SecretMissing { place } => format!(
                "make it: kubectl create secret generic -n {} {} --from-file=kubeconfig=FILE (for Git: \
                 --from-literal=username=… --from-literal=password=…), or name another one in the FleetSync",
                place.namespace, place.name
            ),
            Self::KeyMissing { key, .. } => {
                format!("put the content under key {key}, or name the right key in the FleetSync")
            }
            Self::Refused { .. } => "correct the kubeconfig in the Secret".to_owned(),
            Self::Expired { .. } => {
                "put a new kubeconfig in the Secret; kubectl create token --duration asks for a longer time".to_owned()
            }
            Self::Unusable { .. } => "put the file in again: kubectl create secret generic … --from-file".to_owned(),
            Self::KeysUnusable { .. } => {
                "put public keys there: gpg --armor --export ID, or lines of SSH allowed signers".to_owned()
            }
            Self::Api { .. } => {
                "see whether the agent's Role lets it get Secrets in its namespace (manifests/install)".to_owned()
            }
            Self::Host { .. } => {
                "in a pod, mount the service account's token; elsewhere give --kubeconfig FILE".to_owned()
            }
        }
    }

    /// Reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SecretMissing { .. } => "SecretMissing",
            Self::KeyMissing { .. } => "KeyMissing",
            Self::Refused { .. } => "KubeconfigRefused",
            Self::Expired { .. } => "CredentialsExpired",
            Self::Unusable { .. } => "SecretUnusable",
            Self::KeysUnusable { .. } => "KeysUnusable",
            Self::Api { .. } => "SecretUnreadable",
            Self::Host { .. } => "HostUnreachable",
        }
    }
}
