//! Whether a hint comes from whom it should, by each sender's own documentation. Pure: headers and bytes in, verdict out.
//! Nothing of a body is ever understood, so nothing of it can be believed.

use asm_shared::api::WebhookKind;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How far Gitee's clock and ours may be apart; the hour that its documentation names.
const GITEE_MILLISECONDS: i64 = 3_600_000;

/// What is left to be shown.
pub(super) enum Proof {
    /// Nothing: the headers prove it.
    Given,
    /// That the body is the one that was signed.
    OfBody(OfBody),
}

/// The signature of a body, and what of the body has been seen.
pub(super) struct OfBody {
    mac: Hmac<Sha256>,
    signature: Vec<u8>,
}

impl OfBody {
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.mac.update(bytes);
    }

    /// In constant time.
    pub(super) fn holds(self) -> bool {
        self.mac.verify_slice(&self.signature).is_ok()
    }
}

/// Looks at the headers. `None`: they prove nothing, and the body need not be read.
pub(super) fn of(kind: WebhookKind, token: &str, headers: &HeaderMap, now_milliseconds: i64) -> Option<Proof> {
    match kind {
        WebhookKind::GitHub => signed(token, one(headers, "x-hub-signature-256")?.strip_prefix("sha256=")?),
        WebhookKind::Generic => signed(token, one(headers, "x-signature")?.strip_prefix("sha256=")?),
        WebhookKind::Gitea => signed(token, one(headers, "x-gitea-signature")?),
        WebhookKind::GitLab => same(token, one(headers, "x-gitlab-token")?).then_some(Proof::Given),
        WebhookKind::Codeup => same(token, one(headers, "x-codeup-token")?).then_some(Proof::Given),
        WebhookKind::Gitee => gitee(token, headers, now_milliseconds).then_some(Proof::Given),
    }
}

/// The header, if it is there once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

fn signed(token: &str, hex: &str) -> Option<Proof> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if hex.len() != 64 {
        return None;
    }
    let pairs = hex.as_bytes().chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?));
    let signature = pairs.collect::<Option<Vec<u8>>>()?;
    let mac = Hmac::new_from_slice(token.as_bytes()).ok()?;
    Some(Proof::OfBody(OfBody { mac, signature }))
}

/// In constant time, whatever the lengths are.
fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()).as_slice().ct_eq(Sha256::digest(other.as_bytes()).as_slice()).into()
}

/// The password itself, or `base64(HMAC-SHA-256(token, TIMESTAMP "\n" token))`, perhaps as in a URL.
fn gitee(token: &str, headers: &HeaderMap, now: i64) -> bool {
    let Some(shown) = one(headers, "x-gitee-token") else { return false };
    if same(token, shown) {
        return true;
    }
    let Some(timestamp) = one(headers, "x-gitee-timestamp") else { return false };
    let in_time = timestamp.parse::<i64>().is_ok_and(|at| now.abs_diff(at) <= GITEE_MILLISECONDS.unsigned_abs());
    let shown = shown.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let (Ok(signature), Ok(mut mac)) = (STANDARD.decode(shown), Hmac::<Sha256>::new_from_slice(token.as_bytes()))
    else {
        return false;
    };
    mac.update(format!("{timestamp}\n{token}").as_bytes());
    mac.verify_slice(&signature).is_ok() && in_time
}

#[cfg(test)]
mod tests {
    use asm_shared::api::WebhookKind::{self, Codeup, Generic, GitHub, GitLab, Gitea, Gitee};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{Proof, of};

    const KINDS: [WebhookKind; 6] = [GitHub, GitLab, Gitea, Gitee, Codeup, Generic];
    const NOW: i64 = 1_700_000_000_000;

    fn judge(kind: WebhookKind, headers: &[(&str, &str)], body: &[u8]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        match of(kind, "It's a Secret to Everybody", &map, NOW) {
            None => false,
            Some(Proof::Given) => true,
            Some(Proof::OfBody(mut proof)) => {
                body.chunks(3).for_each(|piece| proof.read(piece));
                proof.holds()
            }
        }
    }

    /// The example of GitHub's documentation.
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn each_sender_proves_itself_as_it_documents() {
        let body = b"Hello, World!";
        let prefixed = format!("sha256={SIGNATURE}");
        assert!(judge(GitHub, &[("X-Hub-Signature-256", &prefixed)], body));
        assert!(judge(Generic, &[("X-Signature", &prefixed)], body));
        assert!(judge(Gitea, &[("X-Gitea-Signature", SIGNATURE)], body));
        assert!(judge(GitLab, &[("X-Gitlab-Token", "It's a Secret to Everybody")], b"whatever"));
        assert!(judge(Codeup, &[("X-Codeup-Token", "It's a Secret to Everybody")], b"whatever"));
        assert!(judge(Gitee, &[("X-Gitee-Token", "It's a Secret to Everybody")], b"whatever"));
    }

    #[test]
    fn gitee_signs_the_time() {
        // openssl dgst -sha256 -hmac "$token" -binary | base64
        let signature = "aKwnffuNqpDHBUKqF/ZxrldhYF3iyAtM1GWX8vDY/zQ=";
        let at = |time: &str, signature: &str| {
            judge(Gitee, &[("X-Gitee-Timestamp", time), ("X-Gitee-Token", signature)], b"")
        };
        assert!(at("1700000000000", signature));
        assert!(at("1700000000000", &signature.replace('/', "%2F").replace('=', "%3D")));
        assert!(!at("1700000000001", signature), "another time than was signed");
    }

    #[test]
    fn attack_hints_without_proof_are_refused() {
        let good = format!("sha256={SIGNATURE}");
        assert!(!judge(GitHub, &[("X-Hub-Signature-256", &good)], b"Hello, World"), "another body");
        assert!(!judge(GitHub, &[("X-Hub-Signature-256", &good), ("X-Hub-Signature-256", &good)], b"Hello, World!"));
        assert!(!judge(
            GitHub,
            &[("X-Hub-Signature", "sha1=3dca279e731c97c38e3019a075dee9ebbd0a99f0")],
            b"Hello, World!"
        ));
        assert!(!judge(GitHub, &[("X-Gitlab-Token", "It's a Secret to Everybody")], b""), "another sender's proof");
        for kind in KINDS {
            assert!(!judge(kind, &[], b""), "{kind:?}");
            for value in ["", "sha256=", "sha256=zz", "It's a Secret to everybody", SIGNATURE] {
                let all = [
                    "x-hub-signature-256",
                    "x-signature",
                    "x-gitea-signature",
                    "x-gitlab-token",
                    "x-codeup-token",
                    "x-gitee-token",
                ];
                let headers = all.map(|name| (name, value));
                assert!(!judge(kind, &headers, b"another body"), "{kind:?} {value}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_proves_anything(value in "[ -~]{0,90}", time in "[0-9-]{0,25}", body in any::<Vec<u8>>()) {
            let all = ["x-hub-signature-256", "x-signature", "x-gitea-signature", "x-gitlab-token", "x-codeup-token", "x-gitee-token"];
            for value in [value.clone(), format!("sha256={value}")] {
                let mut headers: Vec<(&str, &str)> = all.iter().map(|name| (*name, value.as_str())).collect();
                headers.push(("x-gitee-timestamp", &time));
                for kind in KINDS {
                    prop_assert!(!judge(kind, &headers, &body));
                }
            }
        }
    }
}
