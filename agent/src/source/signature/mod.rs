//! Who signed a commit or tag: OpenPGP and SSH, judged in this process, before anything in the commit is read.
//!
//! Judged by the agent's clock and not by the dates in commits and signatures, which whoever holds a stolen or expired key
//! writes as he likes.

mod object;
mod openpgp;
mod ssh;

use asm_shared::api::VerifyMode;
use git2::{ObjectType, Oid, Repository};
use jiff::Timestamp;

use super::SourceError;
use object::Signed;

/// Largest file with public keys, and largest signed object: both are text that people make.
const LARGEST: usize = 1 << 20;

/// Whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    /// Name of the Secret, for messages.
    secret: String,
    openpgp: Vec<openpgp::Certificate>,
    ssh: ssh::Signers,
}

impl Keyring {
    /// Reads the files of a Secret: OpenPGP public keys, or SSH keys as `authorized_keys` or allowed signers.
    ///
    /// # Errors
    /// A file that cannot be used: a key that is left out silently would be missed only when its owner signs.
    pub fn read<'a>(secret: &str, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Self, String> {
        let mut ring = Self { secret: secret.to_owned(), ..Self::default() };
        for (name, content) in files {
            let text = std::str::from_utf8(content).ok().filter(|text| text.len() <= LARGEST);
            let text = text.ok_or_else(|| format!("key {name} is no text of at most 1 MiB"))?;
            if text.contains("PRIVATE KEY") {
                return Err(format!("key {name} holds a private key: put public keys there, and make a new pair"));
            }
            let read = if text.contains("-----BEGIN PGP") {
                openpgp::read(text).map(|keys| ring.openpgp.extend(keys))
            } else if name == "revoked_keys" {
                ring.ssh.revoke(text)
            } else {
                ring.ssh.read(text)
            };
            read.map_err(|reason| format!("key {name}: {reason}"))?;
        }
        if ring.openpgp.is_empty() && ring.ssh.is_empty() {
            return Err("there is no public key in it".to_owned());
        }
        Ok(ring)
    }

    /// Judges the signature of an object. Gives back whose it is.
    fn judge(&self, signed: &Signed, now: Timestamp) -> Result<String, Flaw> {
        let signature = signed.signature.as_deref().ok_or(Flaw::Unsigned)?;
        if signature.starts_with("-----BEGIN PGP") {
            openpgp::judge(&self.openpgp, &signed.content, signature, now)
        } else if signature.starts_with("-----BEGIN SSH SIGNATURE-----") {
            self.ssh.judge(&signed.content, signature, now)
        } else {
            Err(Flaw::Unreadable("it is neither an OpenPGP nor an SSH signature".to_owned()))
        }
    }
}

/// What is wrong with a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// There is none.
    #[error("it is not signed")]
    Unsigned,
    /// By somebody else.
    #[error("its signature is by key {0}, which is not among the trusted ones")]
    UnknownKey(String),
    /// The content is not what was signed.
    #[error("its signature does not fit: the content is not what key {0} signed")]
    Tampered(String),
    /// The key, or the signature, is over.
    #[error("its signature is by key {key}, {what} expired at {at}")]
    Expired {
        /// Which key.
        key: String,
        /// `which` or the signature itself.
        what: &'static str,
        /// When.
        at: Timestamp,
    },
    /// The key is not valid yet, or the signature is from the future.
    #[error("its signature is by key {key}, {why}")]
    NotYet {
        /// Which key.
        key: String,
        /// Why.
        why: String,
    },
    /// The key was taken back.
    #[error("its signature is by key {0}, which was revoked")]
    Revoked(String),
    /// The key may not sign this.
    #[error("its signature is by key {key}, {why}")]
    NotForThis {
        /// Which key.
        key: String,
        /// Why.
        why: String,
    },
    /// The signature or key is too weak to say anything.
    #[error("its signature by key {key} says nothing: {why}")]
    Weak {
        /// Which key.
        key: String,
        /// Why.
        why: String,
    },
    /// It could not be read.
    #[error("its signature cannot be read: {0}")]
    Unreadable(String),
}

impl Flaw {
    /// Reason of the condition.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Unsigned => "NotSigned",
            Self::UnknownKey(_) => "UnknownSigner",
            Self::Tampered(_) | Self::Unreadable(_) => "SignatureInvalid",
            Self::Expired { .. } | Self::NotYet { .. } => "SignatureExpired",
            Self::Revoked(_) => "SignerRevoked",
            Self::NotForThis { .. } | Self::Weak { .. } => "SignatureWeak",
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self, secret: &str) -> String {
        let again = "make the commit anew with a valid key (git commit --amend -S, or a further signed commit)";
        match self {
            Self::Unsigned => format!(
                "sign it (git commit -S, git tag -s; git config commit.gpgsign true does it always) with a key of Secret \
                 {secret}"
            ),
            Self::UnknownKey(_) => format!(
                "if you trust its owner, add the public key to Secret {secret}; otherwise find out who pushed, and {again}"
            ),
            Self::Tampered(_) | Self::Unreadable(_) => {
                format!("find out who pushed it and how: an honest client makes no such object; then {again}")
            }
            Self::Expired { .. } | Self::NotYet { .. } => {
                format!("let the owner extend the key and put its new public key into Secret {secret}, or {again}")
            }
            Self::Revoked(_) | Self::NotForThis { .. } | Self::Weak { .. } => again.to_owned(),
        }
    }
}

/// What is to be looked at, and by whom it must be signed.
pub(super) struct Demand<'a> {
    pub(super) mode: VerifyMode,
    pub(super) keyring: &'a Keyring,
    pub(super) now: Timestamp,
}

/// Judges the head as the mode says. Gives back whose signature it has.
pub(super) fn verify(
    repository: &Repository,
    demand: &Demand<'_>,
    commit: Oid,
    tag: Option<(&str, Oid)>,
) -> Result<String, SourceError> {
    let mut signers = Vec::new();
    if demand.mode != VerifyMode::Head {
        let (name, tag) = tag.ok_or_else(|| refused(demand, "the head".to_owned(), Flaw::Unsigned))?;
        let what = format!("tag {name} ({commit})");
        let signed = read(repository, tag, ObjectType::Tag)
            .and_then(|raw| object::tag(&raw, name, &commit.to_string()))
            .and_then(|signed| demand.keyring.judge(&signed, demand.now));
        signers.push(signed.map_err(|flaw| refused(demand, what, flaw))?);
    }
    if demand.mode != VerifyMode::Tag {
        let signed = read(repository, commit, ObjectType::Commit)
            .and_then(|raw| object::commit(&raw))
            .and_then(|signed| demand.keyring.judge(&signed, demand.now));
        signers.push(signed.map_err(|flaw| refused(demand, format!("commit {commit}"), flaw))?);
    }
    signers.dedup();
    Ok(signers.join(", "))
}

fn refused(demand: &Demand<'_>, object: String, flaw: Flaw) -> SourceError {
    SourceError::Signature { object, secret: demand.keyring.secret.clone(), flaw }
}

/// The bytes of an object. The library checks that they are those that the ID stands for.
fn read(repository: &Repository, id: Oid, kind: ObjectType) -> Result<Vec<u8>, Flaw> {
    let failed = |error: git2::Error| Flaw::Unreadable(super::remote::clean(error.message(), 200));
    let objects = repository.odb().map_err(failed)?;
    let (size, found) = objects.read_header(id).map_err(failed)?;
    if found != kind {
        // A lightweight tag is a name for a commit and nothing more.
        return Err(Flaw::Unsigned);
    }
    if size > LARGEST {
        return Err(Flaw::Unreadable("the object is larger than 1 MiB".to_owned()));
    }
    Ok(objects.read(id).map_err(failed)?.data().to_vec())
}

/// See [`super::fuzzing`].
pub(super) fn fuzz(raw: &[u8]) -> Result<(), String> {
    let told = |flaw: Flaw| flaw.to_string();
    object::commit(raw).map(drop).map_err(told)?;
    object::tag(raw, "v1", "0123456789012345678901234567890123456789").map(drop).map_err(told)
}

#[cfg(test)]
mod tests;
