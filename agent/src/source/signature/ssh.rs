//! SSH signatures (`gpg.format=ssh`) against allowed signers, as `ssh-keygen -Y verify` judges them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::Flaw;

/// What a signature by Git is for.
const NAMESPACE: &str = "git";
/// Bits of an RSA key from which on it counts.
const RSA_BITS: u32 = 2048;

/// Who may sign.
#[derive(Clone, Debug, Default)]
pub(super) struct Signers {
    signers: Vec<Signer>,
    revoked: Vec<KeyData>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signer {
    /// Who it is, for people.
    name: String,
    key: PublicKey,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Signers {
    pub(super) fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    /// Lines of `authorized_keys` or of allowed signers.
    pub(super) fn read(&mut self, text: &str) -> Result<(), String> {
        for (number, line) in lines(text) {
            self.signers.push(signer(line).map_err(|reason| format!("line {number}: {reason}"))?);
        }
        Ok(())
    }

    /// Keys whose signatures do not count any more.
    pub(super) fn revoke(&mut self, text: &str) -> Result<(), String> {
        for (number, line) in lines(text) {
            let signer = signer(line).map_err(|reason| format!("line {number}: {reason}"))?;
            self.revoked.push(signer.key.key_data().clone());
        }
        Ok(())
    }

    pub(super) fn judge(&self, content: &[u8], signature: &str, now: Timestamp) -> Result<String, Flaw> {
        let signature = SshSig::from_pem(signature.trim_end())
            .map_err(|_| Flaw::Unreadable("it is no SSH signature in armor".to_owned()))?;
        let key = print(signature.public_key());
        if self.revoked.contains(signature.public_key()) {
            return Err(Flaw::Revoked(key));
        }
        let known: Vec<&Signer> =
            self.signers.iter().filter(|signer| signer.key.key_data() == signature.public_key()).collect();
        let Some(first) = known.first() else { return Err(Flaw::UnknownKey(key)) };
        if signature.namespace() != NAMESPACE {
            let why = format!("for {:?}, not for Git", super::super::remote::clean(signature.namespace(), 40));
            return Err(Flaw::NotForThis { key, why });
        }
        if let Some(why) = weak(signature.public_key(), signature.algorithm()) {
            return Err(Flaw::Weak { key, why });
        }
        first.key.verify(NAMESPACE, content, &signature).map_err(|_| Flaw::Tampered(key.clone()))?;
        // The same key may stand in several lines, one after the other in time.
        let mut flaw = None;
        for signer in known {
            match signer.in_time(&key, now) {
                Ok(()) => return Ok(format!("{} (SSH {key})", signer.name)),
                Err(why) => flaw = Some(why),
            }
        }
        Err(flaw.unwrap_or(Flaw::UnknownKey(key)))
    }
}

impl Signer {
    fn in_time(&self, key: &str, now: Timestamp) -> Result<(), Flaw> {
        if let Some(at) = self.before.filter(|at| now >= *at) {
            return Err(Flaw::Expired { key: key.to_owned(), what: "which", at });
        }
        match self.after.filter(|at| now < *at) {
            Some(at) => Err(Flaw::NotYet { key: key.to_owned(), why: format!("which is valid only after {at}") }),
            None => Ok(()),
        }
    }
}

fn print(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn weak(key: &KeyData, algorithm: Algorithm) -> Option<String> {
    match (key, algorithm) {
        (KeyData::Rsa(key), _) if key.key_size() < RSA_BITS => {
            Some(format!("an RSA key of fewer than {RSA_BITS} bits can be forged"))
        }
        (_, Algorithm::Rsa { hash: None }) => Some("SHA-1 can be forged".to_owned()),
        (_, Algorithm::Dsa) => Some("DSA can be forged".to_owned()),
        _ => None,
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// `[PRINCIPALS [OPTIONS]] TYPE KEY [COMMENT]`.
fn signer(line: &str) -> Result<Signer, String> {
    let is_type = |word: &str| ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|start| word.starts_with(start));
    let words = words(line)?;
    let at = words.iter().position(|word| is_type(word)).ok_or("it has no key of a known type")?;
    let (before, key) = words.split_at(at);
    let text = key.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    let key_of = PublicKey::from_openssh(&text).map_err(|_| "the key cannot be read")?;
    let comment = key.iter().skip(2).copied().collect::<Vec<_>>().join(" ");
    let name = before.first().map_or(comment.as_str(), |principals| principals);
    let name = if name.is_empty() { "somebody" } else { name };
    let mut signer = Signer { name: super::super::remote::clean(name, 100), key: key_of, after: None, before: None };
    for option in before.iter().skip(1).flat_map(|options| split_options(options)) {
        let (name, value) =
            option.split_once('=').map_or((option, ""), |(name, value)| (name, value.trim_matches('"')));
        match name.to_ascii_lowercase().as_str() {
            "namespaces" if value.split(',').any(|name| matches!(name, NAMESPACE | "*")) => {}
            "namespaces" => return Err(format!("the key is for {value}, not for git")),
            "valid-after" => signer.after = Some(time(value)?),
            "valid-before" => signer.before = Some(time(value)?),
            "cert-authority" => return Err("authorities for SSH certificates are not supported".to_owned()),
            other => return Err(format!("option {:?} is not known", super::super::remote::clean(other, 40))),
        }
    }
    if before.first().is_some_and(|first| split_options(first).any(|word| word.eq_ignore_ascii_case("cert-authority")))
    {
        return Err("authorities for SSH certificates are not supported".to_owned());
    }
    Ok(signer)
}

/// Words at spaces outside quotes.
fn words(line: &str) -> Result<Vec<&str>, String> {
    let mut quoted = false;
    let words = line.split(|c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    });
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok(words) }
}

fn split_options(options: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    options.split(move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// `YYYYMMDD[HHMM[SS]][Z]`. Without `Z` OpenSSH means the local time of the machine; a pod's is UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no time such as 20260101 or 20260101120000Z");
    let digits = text.trim_end_matches('Z');
    let format = match digits.len() {
        8 => return time(&format!("{digits}000000")),
        12 => return time(&format!("{digits}00")),
        14 => "%Y%m%d%H%M%S",
        _ => return Err(wrong()),
    };
    let time = DateTime::strptime(format, digits).map_err(|_| wrong())?;
    time.in_tz("UTC").map(|time| time.timestamp()).map_err(|_| wrong())
}
