//! The one place that decides what may be shown. Whatever leaves the program as a value of an object (diff, drift report,
//! log, JSON) goes through [`redact`].
//!
//! Secrets are refused by default: of a Secret only identity, type and labels are shown. A fingerprint stands for the
//! value, so that two people can see whether a value changed without seeing it.

use super::{FieldPath, GroupKind, Segment, kinds};
use base64::Engine as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Fields of any kind whose text is a credential.
const SECRET_FIELDS: &[&str] = &[
    "password",
    "passwd",
    "token",
    "clientSecret",
    "client_secret",
    "secretKey",
    "accessKeySecret",
    "privateKey",
    "private_key",
];

/// The value as it may be shown.
#[must_use]
pub fn redact(kind: &GroupKind, path: &FieldPath, value: &Value) -> Value {
    if hides_everything(kind, path) {
        return blank(value);
    }
    match value {
        Value::Object(map) => {
            let shown = map.iter().map(|(name, inner)| (name.clone(), redact(kind, &path.field(name), inner)));
            Value::Object(shown.collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(
            list.iter().enumerate().map(|(index, inner)| redact(kind, &path.index(index), inner)).collect(),
        ),
        Value::String(text) => Value::String(redact_text(text)),
        other => other.clone(),
    }
}

/// Text as it may be shown: no private keys, no credentials in URLs.
#[must_use]
pub fn redact_text(text: &str) -> String {
    if holds_private_key(text) { fingerprint(text.as_bytes()) } else { hide_userinfo(text) }
}

/// Must everything at this path stay hidden?
fn hides_everything(kind: &GroupKind, path: &FieldPath) -> bool {
    if path.is_under(&["metadata", "annotations", super::server_owned::LAST_APPLIED]) {
        return true;
    }
    if kind.is("", "Secret") {
        return !is_open_part_of_a_secret(path);
    }
    if kind.group.ends_with(kinds::ASM) && &*kind.kind == "ASMCredential" {
        // The API names them `cert`, `key`, `ca`; what a later version adds to `spec` is hidden too.
        return path.is_under(&["spec"]) && path.0.len() > 1;
    }
    matches!(path.0.last(), Some(Segment::Field(name)) if is_credential(name))
}

/// Is the value of a field of this name a credential, in objects of any kind?
pub(crate) fn is_credential(field: &str) -> bool {
    SECRET_FIELDS.contains(&field)
}

/// Of a Secret: what it is called and what it is for. Names of keys are no secrets.
fn is_open_part_of_a_secret(path: &FieldPath) -> bool {
    match path.0.as_slice() {
        [] => true,
        [Segment::Field(name), ..] if matches!(&**name, "apiVersion" | "kind" | "type" | "immutable") => true,
        [Segment::Field(name)] => matches!(&**name, "metadata" | "data" | "stringData"),
        [Segment::Field(name), Segment::Field(inner), rest @ ..] if &**name == "metadata" => {
            // Annotations of a Secret often repeat it.
            &**inner != "annotations" || rest.is_empty()
        }
        _ => false,
    }
}

/// A fingerprint in place of every value inside; maps keep their keys.
fn blank(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().map(|(name, inner)| (name.clone(), blank(inner))).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.iter().map(blank).collect()),
        Value::String(text) => Value::String(fingerprint(text.as_bytes())),
        Value::Null => Value::Null,
        other => Value::String(fingerprint(other.to_string().as_bytes())),
    }
}

/// `(redacted, 12 bytes, sha256 1a2b3c)`.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let start: String = hash.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
    format!("(redacted, {} {unit}, sha256 {start})", bytes.len())
}

/// A private key in PEM, as it is or as base64 of it.
fn holds_private_key(text: &str) -> bool {
    let marker = |text: &str| text.contains("-----BEGIN") && text.contains("PRIVATE KEY");
    if marker(text) {
        return true;
    }
    // Base64 of "-----BEGIN " always starts so.
    if !text.trim_start().starts_with("LS0tLS1CRUdJT") {
        return false;
    }
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    match base64::engine::general_purpose::STANDARD.decode(&compact) {
        Ok(decoded) => marker(&String::from_utf8_lossy(&decoded)),
        // Cut off or in another alphabet: it may be one.
        Err(_) => true,
    }
}

/// `https://user:password@host/` → `https://(redacted)@host/`, wherever URLs stand in the text.
fn hide_userinfo(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (head, tail) = rest.split_at(start + 3);
        shown.push_str(head);
        let authority_end = tail.find(|c: char| c == '/' || c == '?' || c == '#' || c.is_whitespace() || c == '"');
        let authority = &tail[..authority_end.unwrap_or(tail.len())];
        rest = match authority.rfind('@') {
            Some(at) => {
                shown.push_str("(redacted)");
                &tail[at..]
            }
            None => tail,
        };
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(object: &Value) -> Value {
        let kind = super::super::ObjectId::of(object).unwrap().group_kind;
        redact(&kind, &FieldPath::root(), object)
    }

    #[test]
    fn secrets_show_names_only() {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "a", "annotations": {"note": "hunter2"}, "labels": {"app": "x"}},
            "data": {"password": "aHVudGVyMg=="}, "stringData": {"a": "hunter2"}, "future": {"x": "hunter2"}
        });
        let text = shown(&secret).to_string();
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
        insta::assert_snapshot!(text, @r#"{"apiVersion":"v1","data":{"password":"(redacted, 12 bytes, sha256 b073ae)"},"future":{"x":"(redacted, 7 bytes, sha256 f52fbd)"},"kind":"Secret","metadata":{"annotations":{"note":"(redacted, 7 bytes, sha256 f52fbd)"},"labels":{"app":"x"},"name":"a"},"stringData":{"a":"(redacted, 7 bytes, sha256 f52fbd)"},"type":"Opaque"}"#);
    }

    #[test]
    fn keys_and_passwords_anywhere() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIhunter2\n-----END RSA PRIVATE KEY-----\n";
        let encoded = base64::engine::general_purpose::STANDARD.encode(pem);
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "annotations": {super::super::server_owned::LAST_APPLIED: "{\"data\":\"hunter2\"}"}},
            "data": {"tls": pem, "b64": encoded, "url": "see https://me:hunter2@host/x and http://host@y", "plain": "a@b"}
        });
        let shown = shown(&map);
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert!(!shown.to_string().contains(&encoded[..60]), "{shown}");
        assert_eq!(shown["data"]["url"], "see https://(redacted)@host/x and http://(redacted)@y");
        assert_eq!(shown["data"]["plain"], "a@b");
    }

    #[test]
    fn single_values_are_judged_by_their_path() {
        let secret = GroupKind::new("", "Secret");
        let value = redact(&secret, &FieldPath::of_fields(["data", "a"]), &json!("x"));
        assert_eq!(value, json!("(redacted, 1 byte, sha256 2d7116)"));
        let credential = GroupKind::new(kinds::ASM, "ASMCredential");
        assert_ne!(redact(&credential, &FieldPath::of_fields(["spec", "key"]), &json!("x")), json!("x"));
        let certificate = json!("-----BEGIN CERTIFICATE-----\nabc");
        assert_eq!(
            redact(&GroupKind::new("", "ConfigMap"), &FieldPath::of_fields(["data", "c"]), &certificate),
            certificate
        );
    }
}
