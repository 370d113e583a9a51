//! The Secret that a Gateway names for TLS, read as istiod reads it. Dates are all that is kept of what is in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use x509_parser::pem::Pem;

/// Types of Secrets that istiod does not look at, whatever they hold.
const UNSEEN: [&str; 2] = ["helm.sh/release.v1", "kubernetes.io/service-account-token"];
/// Keys of a certificate and of its private key, in the order in which istiod looks for them.
const PAIRS: [(&str, &str); 2] = [("cert", "key"), ("tls.crt", "tls.key")];
/// Keys of what clients' certificates are checked with.
const AUTHORITIES: [&str; 2] = ["cacert", "ca.crt"];
/// Blocks of one file that are looked at: a bundle of every authority there is has some hundreds.
const MOST_BLOCKS: usize = 1_000;
/// People are told this long before a certificate ends …
const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// … or when so much of its life is left, if that is later: one that is renewed every day is always about to end.
const SHARE: i32 = 6;

/// What is wanted of a Secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// A certificate with its key.
    pub pair: bool,
    /// What clients' certificates are checked with.
    pub authority: bool,
}

/// From when to when what is in a Secret is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub until: Timestamp,
}

impl Validity {
    /// When both are good.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Why it is not good at a time.
    pub fn fault(&self, now: Timestamp) -> Option<String> {
        if now < self.from {
            return Some(format!("holds a certificate that is not valid before {}", self.from));
        }
        (now >= self.until).then(|| format!("holds a certificate that expired at {}", self.until))
    }

    /// From when people are to be told that it ends.
    pub fn notice(&self) -> Timestamp {
        let life = self.until.duration_since(self.from);
        self.until.checked_sub(NOTICE.min(life / SHARE)).unwrap_or(self.until)
    }

    /// Is it good, and about to end?
    pub fn is_ending(&self, now: Timestamp) -> bool {
        self.fault(now).is_none() && self.notice() <= now
    }

    /// When there is something else to be said of it.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        [self.from, self.notice(), self.until].into_iter().filter(|at| *at > now).min()
    }
}

/// Reads a Secret as the API server gives it.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence about the Secret. Nothing that it holds is told but names of keys.
pub fn read(secret: &Value, parts: Parts) -> Result<Validity, String> {
    let kind = secret.get("type").and_then(Value::as_str).unwrap_or_default();
    if UNSEEN.contains(&kind) {
        return Err(format!("is of type {kind}, which Istio does not look at"));
    }
    let mut valid = Validity { from: Timestamp::MIN, until: Timestamp::MAX };
    if parts.pair {
        valid = valid.and(pair(secret)?);
    }
    if parts.authority {
        valid = valid.and(authority(secret)?);
    }
    Ok(valid)
}

fn pair(secret: &Value) -> Result<Validity, String> {
    let found = PAIRS.iter().find_map(|(certificate, key)| {
        Some(((*certificate, field(secret, certificate)?), (*key, field(secret, key)?)))
    });
    let Some(((of_certificate, certificate), (of_key, key))) = found else {
        return Err(format!("has no tls.crt with tls.key (nor cert with key); it has {}", keys(secret)));
    };
    let is_key = |label: &str| label.ends_with("PRIVATE KEY") && !label.starts_with("ENCRYPTED");
    if !blocks(&key).any(|block| is_key(&block.label)) {
        return Err(format!("holds no private key in {of_key} that can be used without a password"));
    }
    // What follows the first one is its chain, which clients may know otherwise.
    let first = blocks(&certificate).find(|block| block.label == "CERTIFICATE");
    let first = first.ok_or_else(|| format!("holds no certificate in {of_certificate}"))?;
    validity(&first).ok_or_else(|| format!("holds a certificate in {of_certificate} that cannot be read"))
}

/// One of them that is good is enough.
fn authority(secret: &Value) -> Result<Validity, String> {
    let found = AUTHORITIES.iter().find_map(|key| Some((*key, field(secret, key)?)));
    let Some((key, bundle)) = found else {
        return Err(format!(
            "has no ca.crt (nor cacert), which clients are to be checked with; it has {}",
            keys(secret)
        ));
    };
    let all = blocks(&bundle).filter(|block| block.label == "CERTIFICATE");
    let last = all.filter_map(|block| validity(&block)).max_by_key(|valid| valid.until);
    last.ok_or_else(|| format!("holds no certificate in {key}"))
}

fn validity(block: &Pem) -> Option<Validity> {
    let certificate = block.parse_x509().ok()?;
    let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    Some(Validity {
        from: Timestamp::from_second(from).unwrap_or(Timestamp::MIN),
        until: Timestamp::from_second(until).unwrap_or(Timestamp::MAX),
    })
}

fn blocks(text: &[u8]) -> impl Iterator<Item = Pem> {
    Pem::iter_from_buffer(text).take(MOST_BLOCKS).filter_map(Result::ok)
}

/// What stands under a key; nothing for an empty one.
fn field(secret: &Value, key: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(secret.get("data")?.get(key)?.as_str()?.trim()).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

/// The names of its keys, a few of them.
fn keys(secret: &Value) -> String {
    let names: Vec<&str> =
        secret.get("data").and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a}, {b}, {c} and {} more", rest.len()),
        few => few.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Good from 2026-01-01 to 2026-04-01.
    const CERTIFICATE: &str = include_str!("testdata/shop.crt");
    const KEY: &str = "-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";

    fn secret(kind: &str, data: &[(&str, &str)]) -> Value {
        let data: serde_json::Map<String, Value> =
            data.iter().map(|(key, text)| ((*key).to_owned(), STANDARD.encode(text).into())).collect();
        json!({"type": kind, "data": data})
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    const PAIR: Parts = Parts { pair: true, authority: false };
    const BOTH: Parts = Parts { pair: true, authority: true };

    /// One Secret a row: what is wrong with it, if anything is.
    #[test]
    fn faults() {
        let locked = KEY.replace("EC PRIVATE", "ENCRYPTED PRIVATE");
        let broken = CERTIFICATE.replace("MIIB", "AAAA");
        let tls = "kubernetes.io/tls";
        for (what, kind, data, parts, fault) in [
            ("as kubectl makes it", tls, vec![("tls.crt", CERTIFICATE), ("tls.key", KEY)], PAIR, ""),
            ("as older Istio has it", "Opaque", vec![("cert", CERTIFICATE), ("key", KEY)], PAIR, ""),
            (
                "an empty key counts as none",
                "Opaque",
                vec![("cert", ""), ("key", KEY), ("tls.crt", CERTIFICATE), ("tls.key", KEY)],
                PAIR,
                "",
            ),
            (
                "nothing in it",
                "Opaque",
                vec![],
                PAIR,
                "has no tls.crt with tls.key (nor cert with key); it has nothing",
            ),
            (
                "something else",
                "Opaque",
                vec![("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")],
                PAIR,
                "it has a, b, c and 1 more",
            ),
            ("no key", tls, vec![("tls.crt", CERTIFICATE), ("tls.key", "")], PAIR, "has no tls.crt with tls.key"),
            (
                "a key that is none",
                tls,
                vec![("tls.crt", CERTIFICATE), ("tls.key", "x")],
                PAIR,
                "no private key in tls.key",
            ),
            (
                "a locked key",
                tls,
                vec![("tls.crt", CERTIFICATE), ("tls.key", locked.as_str())],
                PAIR,
                "without a password",
            ),
            ("no certificate", tls, vec![("tls.crt", KEY), ("tls.key", KEY)], PAIR, "holds no certificate in tls.crt"),
            ("a broken one", tls, vec![("tls.crt", broken.as_str()), ("tls.key", KEY)], PAIR, "that cannot be read"),
            (
                "a type that istiod leaves out",
                "kubernetes.io/service-account-token",
                vec![("tls.crt", CERTIFICATE), ("tls.key", KEY)],
                PAIR,
                "which Istio does not look at",
            ),
            ("no authority", tls, vec![("tls.crt", CERTIFICATE), ("tls.key", KEY)], BOTH, "has no ca.crt (nor cacert)"),
            ("with one", tls, vec![("tls.crt", CERTIFICATE), ("tls.key", KEY), ("ca.crt", CERTIFICATE)], BOTH, ""),
            (
                "an authority that is none",
                "Opaque",
                vec![("cacert", "x")],
                Parts { pair: false, authority: true },
                "in cacert",
            ),
        ] {
            match read(&secret(kind, &data), parts) {
                Ok(valid) => {
                    assert_eq!(fault, "", "{what}");
                    assert_eq!(valid.until, at("2026-04-01T00:00:00Z"), "{what}");
                }
                Err(why) => assert!(!fault.is_empty() && why.contains(fault), "{what}: {why}"),
            }
        }
    }

    #[test]
    fn dates() {
        let pem = secret("kubernetes.io/tls", &[("tls.crt", CERTIFICATE), ("tls.key", KEY)]);
        let valid = read(&pem, PAIR).expect("a certificate");
        assert_eq!(valid.notice(), at("2026-03-25T00:00:00Z"), "a week before");
        for (now, fault, ending, next) in [
            ("2025-12-31T23:59:59Z", "not valid before", false, Some("2026-01-01T00:00:00Z")),
            ("2026-01-01T00:00:00Z", "", false, Some("2026-03-25T00:00:00Z")),
            ("2026-03-25T00:00:00Z", "", true, Some("2026-04-01T00:00:00Z")),
            ("2026-04-01T00:00:00Z", "expired at 2026-04-01T00:00:00Z", false, None),
        ] {
            let told = valid.fault(at(now)).unwrap_or_default();
            assert!(told.contains(fault) && told.is_empty() == fault.is_empty(), "{now}: {told}");
            assert_eq!((valid.is_ending(at(now)), valid.next(at(now))), (ending, next.map(at)), "{now}");
        }
        let daily = Validity { from: at("2026-01-01T00:00:00Z"), until: at("2026-01-02T00:00:00Z") };
        assert_eq!(daily.notice(), at("2026-01-01T20:00:00Z"), "a sixth of its life before");
        let always = Validity { from: Timestamp::MIN, until: Timestamp::MAX };
        assert_eq!(always.and(daily), daily);
        assert_eq!(always.fault(at("2026-01-01T00:00:00Z")), None);
    }
}
