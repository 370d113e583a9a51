//! A door for `fuzz/` into the judgement of hints. Nothing else uses it.

use super::proof::{self, Proof};
use asm_shared::api::WebhookKind;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

const KINDS: [WebhookKind; 6] = [
    WebhookKind::GitHub,
    WebhookKind::GitLab,
    WebhookKind::Gitea,
    WebhookKind::Gitee,
    WebhookKind::Codeup,
    WebhookKind::Generic,
];

/// Whether a delivery (header lines, an empty line, the body) proves itself to any sender's rules without the token. That it
/// never does is for the caller to claim.
pub fn hint(delivery: &[u8], token: &str) -> bool {
    let end = delivery.windows(2).position(|pair| pair == b"\n\n").unwrap_or(delivery.len());
    let (head, body) = delivery.split_at(end);
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(100) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii())) {
            headers.append(name, value);
        }
    }
    KINDS.into_iter().any(|kind| match proof::of(kind, token, &headers, 1_700_000_000_000) {
        None => false,
        Some(Proof::Given) => true,
        Some(Proof::OfBody(mut proof)) => {
            proof.read(body);
            proof.holds()
        }
    })
}
