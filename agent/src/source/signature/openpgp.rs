//! OpenPGP signatures against public keys. The library checks numbers; whether a key counts is judged here, as GnuPG does:
//! self-signatures, expiry, revocation, what a key is for.

use jiff::{SignedDuration, Timestamp};
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::ser::Serialize as _;
use pgp::types::{KeyDetails, PublicParams, Tag, VerifyingKey};

use super::Flaw;

/// Length of an RSA key of 2048 bits, from which on it counts: the modulus, the exponent, and how long they are.
const RSA_LENGTH: usize = 256 + 1 + 4;
/// How far ahead of ours another clock may be.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);
const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// A public key with its subkeys and what their owner says of them.
pub(super) type Certificate = SignedPublicKey;

/// Public keys in armor, one block after the other.
pub(super) fn read(text: &str) -> Result<Vec<Certificate>, String> {
    let mut found = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let block = format!("{BEGIN}{block}");
        let (keys, _) =
            SignedPublicKey::from_string_many(&block).map_err(|_| "a public key cannot be read".to_owned())?;
        for key in keys {
            found.push(key.map_err(|_| "a public key cannot be read".to_owned())?);
        }
    }
    if found.is_empty() { Err("it has no OpenPGP public key".to_owned()) } else { Ok(found) }
}

/// Judges a signature. Gives back whose it is.
pub(super) fn judge(
    certificates: &[Certificate],
    content: &[u8],
    signature: &str,
    now: Timestamp,
) -> Result<String, Flaw> {
    let (signature, _) = DetachedSignature::from_string(signature)
        .map_err(|_| Flaw::Unreadable("it is no OpenPGP signature in armor".to_owned()))?;
    let signature = &signature.signature;
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err(Flaw::Unreadable("it is a signature of something else than a document".to_owned()));
    }
    // The same key may be there twice, as it was and extended; but a revocation counts wherever it stands.
    let verdicts = certificates.iter().filter_map(|certificate| {
        let verdict = judge_by(certificate, signature, content, now)?;
        Some(verdict.map(|key| format!("{} (OpenPGP {key})", owner(certificate))))
    });
    let rank = |verdict: &Result<String, Flaw>| match verdict {
        Err(Flaw::Revoked(_)) => 0,
        Ok(_) => 1,
        Err(_) => 2,
    };
    verdicts.min_by_key(rank).unwrap_or_else(|| Err(Flaw::UnknownKey(issuer(signature))))
}

/// Judges a signature by one certificate; none if it is not by a key of it.
fn judge_by(
    certificate: &Certificate,
    signature: &Signature,
    content: &[u8],
    now: Timestamp,
) -> Option<Result<String, Flaw>> {
    if is_by(signature, &certificate.primary_key) {
        let key = by(signature, content, &certificate.primary_key, now);
        return Some(key.and_then(|key| primary(certificate, &key, true, now)));
    }
    let subkey = certificate.public_subkeys.iter().find(|subkey| is_by(signature, &subkey.key))?;
    let key = by(signature, content, &subkey.key, now);
    let key = key.and_then(|key| bound(certificate, subkey, &key, now).map(|()| key));
    Some(key.and_then(|key| primary(certificate, &key, false, now)))
}

/// Who it is, for people.
fn owner(certificate: &Certificate) -> String {
    let user = certificate.details.users.first();
    let name = user.map_or_else(|| "somebody".to_owned(), |user| String::from_utf8_lossy(user.id.id()).into_owned());
    super::super::remote::clean(&name, 100)
}

fn is_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let by_fingerprint = signature.issuer_fingerprint();
    if by_fingerprint.is_empty() {
        signature.issuer_key_id().into_iter().any(|id| *id == key.legacy_key_id())
    } else {
        by_fingerprint.into_iter().any(|print| *print == key.fingerprint())
    }
}

fn issuer(signature: &Signature) -> String {
    let print = signature.issuer_fingerprint().first().map(|print| print.to_string().to_uppercase());
    let id = || signature.issuer_key_id().first().map(|id| id.to_string().to_uppercase());
    print.or_else(id).unwrap_or_else(|| "unknown (the signature names none)".to_owned())
}

/// The signature itself: by this key, over this content, in time, and strong enough. Gives back the key's name.
fn by(signature: &Signature, content: &[u8], key: &impl VerifyingKey, now: Timestamp) -> Result<String, Flaw> {
    let name = key.fingerprint().to_string().to_uppercase();
    if let Some(why) = weak(signature, key) {
        return Err(Flaw::Weak { key: name, why });
    }
    signature.verify(key, content).map_err(|_| Flaw::Tampered(name.clone()))?;
    let made = signature.created().map(time);
    let Some(made) = made.filter(|made| *made >= time(key.created_at())) else {
        return Err(Flaw::NotYet { key: name, why: "which is younger than the signature".to_owned() });
    };
    if made > now + AHEAD {
        return Err(Flaw::NotYet { key: name, why: format!("made at {made}, which is still to come") });
    }
    let end = signature.signature_expiration_time().and_then(|after| later(made, after.as_secs()));
    match end.filter(|end| *end <= now) {
        Some(at) => Err(Flaw::Expired { key: name, what: "and itself", at }),
        None => Ok(name),
    }
}

fn weak(signature: &Signature, key: &impl KeyDetails) -> Option<String> {
    match signature.hash_alg() {
        Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => {}
        Some(HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_512 | HashAlgorithm::Sha224) => {}
        Some(other) => return Some(format!("{other:?} can be forged")),
        None => return Some("its hash is not known".to_owned()),
    }
    match key.public_params() {
        PublicParams::RSA(rsa) if rsa.write_len() < RSA_LENGTH => {
            Some("an RSA key of fewer than 2048 bits can be forged".to_owned())
        }
        PublicParams::DSA(_) | PublicParams::Elgamal(_) => Some("DSA can be forged".to_owned()),
        _ => None,
    }
}

/// The primary key: not revoked, not expired, and, if it made the signature itself, made for signing.
fn primary(certificate: &Certificate, key: &str, signs: bool, now: Timestamp) -> Result<String, Flaw> {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    if details.revocation_signatures.iter().any(|revocation| revocation.verify_key(primary).is_ok()) {
        return Err(Flaw::Revoked(key.to_owned()));
    }
    let direct = details.direct_signatures.iter().filter(|own| own.verify_key(primary).is_ok());
    let on_users = details.users.iter().flat_map(|user| {
        let own = |own: &&Signature| own.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        let own: Vec<&Signature> = user.signatures.iter().filter(own).collect();
        // What is said of a name that was taken back since says nothing any more.
        let taken_back = own
            .iter()
            .filter(|own| own.typ() == Some(SignatureType::CertRevocation))
            .filter_map(|own| own.created())
            .max();
        own.into_iter().filter(move |own| own.is_certification() && own.created() > taken_back)
    });
    let newest = direct.chain(on_users).max_by_key(|own| own.created());
    let Some(newest) = newest else {
        return Err(Flaw::NotForThis {
            key: key.to_owned(),
            why: "whose owner has signed nothing about it".to_owned(),
        });
    };
    alive(newest, primary, key, now)?;
    if signs && !newest.key_flags().sign() {
        return Err(Flaw::NotForThis { key: key.to_owned(), why: "which is not for signing".to_owned() });
    }
    Ok(key.to_owned())
}

/// A subkey: bound to the primary key by both of them, for signing, not revoked, not expired.
fn bound(certificate: &Certificate, subkey: &SignedPublicSubKey, key: &str, now: Timestamp) -> Result<(), Flaw> {
    let primary = &certificate.primary_key;
    let not = |why: &str| Flaw::NotForThis { key: key.to_owned(), why: why.to_owned() };
    let own = subkey.signatures.iter().filter(|own| own.verify_subkey_binding(primary, &subkey.key).is_ok());
    let own: Vec<&Signature> = own.collect();
    if own.iter().any(|own| own.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err(Flaw::Revoked(key.to_owned()));
    }
    let bindings = own.into_iter().filter(|own| own.typ() == Some(SignatureType::SubkeyBinding));
    let newest =
        bindings.max_by_key(|own| own.created()).ok_or_else(|| not("which its primary key does not confirm"))?;
    if !newest.key_flags().sign() {
        return Err(not("which is not for signing"));
    }
    // Or anybody could adopt somebody else's key as his own subkey.
    let back = newest.embedded_signature();
    if back.is_none_or(|back| back.verify_primary_key_binding(&subkey.key, primary).is_err()) {
        return Err(not("which does not confirm its primary key"));
    }
    alive(newest, &subkey.key, key, now)
}

/// Whether what was last said of a key leaves it alive.
fn alive(said: &Signature, about: &impl KeyDetails, key: &str, now: Timestamp) -> Result<(), Flaw> {
    let after = said.key_expiration_time().map(pgp::types::Duration::as_secs).filter(|seconds| *seconds > 0);
    let end = after.and_then(|after| later(time(about.created_at()), after));
    match end.filter(|end| *end <= now) {
        Some(at) => Err(Flaw::Expired { key: key.to_owned(), what: "which", at }),
        None => Ok(()),
    }
}

fn time(time: pgp::types::Timestamp) -> Timestamp {
    // 32 bits of seconds are always in range.
    Timestamp::from_second(i64::from(time.as_secs())).unwrap_or_default()
}

fn later(from: Timestamp, seconds: u32) -> Option<Timestamp> {
    if seconds == 0 { None } else { from.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok() }
}
