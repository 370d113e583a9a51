//! What is sent, as each receiver documents it. No receiver is given text that it would read as anything but text: no
//! Markdown, no mention of everybody, no link.

use asm_shared::api::NotificationKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use std::fmt::Write as _;

/// Things that a message tells one by one.
const TOLD: usize = 20;
/// Letters of one thing.
const LONGEST: usize = 500;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) at: Timestamp,
    pub(super) is_warning: bool,
    pub(super) reason: String,
    pub(super) text: String,
}

/// What a message tells.
#[derive(Clone, Debug)]
pub(super) struct Told {
    namespace: String,
    fleetsync: String,
    notices: Vec<Notice>,
    /// How many more things happened.
    more: usize,
}

impl Told {
    pub(super) fn new(namespace: &str, fleetsync: &str, mut notices: Vec<Notice>, missed: usize) -> Self {
        let more = notices.len().saturating_sub(TOLD) + missed;
        notices.truncate(TOLD);
        for notice in &mut notices {
            notice.text = cleaned(&notice.text);
        }
        Self { namespace: namespace.to_owned(), fleetsync: fleetsync.to_owned(), notices, more }
    }

    fn title(&self) -> String {
        let mut reasons: Vec<&str> = self.notices.iter().map(|notice| notice.reason.as_str()).collect();
        reasons.dedup();
        reasons.sort_unstable();
        reasons.dedup();
        format!("[{}] {}", self.fleetsync, reasons.join(", "))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.notices.iter().map(|notice| format!("{}: {}", notice.reason, notice.text)).collect();
        if self.more > 0 {
            lines.push(format!("and {} more; kubectl asm status {} tells all", self.more, self.fleetsync));
        }
        lines
    }
}

/// On one line, without control characters and those that turn the direction of writing, and not too long.
fn cleaned(text: &str) -> String {
    let unseen = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut line: String = text.chars().map(|c| if unseen(c) { ' ' } else { c }).take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        line.push('…');
    }
    line
}

/// A request: what follows the address, headers, body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Parameters to be added to the address.
    pub(super) query: Vec<(&'static str, String)>,
    /// `X-Signature`.
    pub(super) signature: Option<String>,
    pub(super) body: String,
}

/// The message for a receiver, signed if there is a key.
pub(super) fn make(kind: NotificationKind, told: &Told, key: Option<&str>, now: Timestamp) -> Message {
    let plain = |body: Value| Message { query: Vec::new(), signature: None, body: body.to_string() };
    match kind {
        NotificationKind::DingTalk => ding_talk(told, key, now),
        NotificationKind::Lark => plain(lark(told, key, now)),
        NotificationKind::Slack => plain(slack(told)),
        NotificationKind::Generic => generic(told, key, now),
    }
}

/// Custom robots: the signature of milliseconds and key, by the key, is part of the address.
fn ding_talk(told: &Told, key: Option<&str>, now: Timestamp) -> Message {
    let content = format!("{}\n{}", told.title(), told.lines().join("\n"));
    let body = json!({"msgtype": "text", "text": {"content": content}, "at": {"isAtAll": false}});
    let query = key.map(|key| {
        let timestamp = now.as_millisecond().to_string();
        let sign = STANDARD.encode(mac(key.as_bytes(), format!("{timestamp}\n{key}").as_bytes()));
        vec![("timestamp", timestamp), ("sign", sign)]
    });
    Message { query: query.unwrap_or_default(), signature: None, body: body.to_string() }
}

/// Custom bots: seconds and key together are the key by which nothing is signed. A post's text is never read as a tag.
fn lark(told: &Told, key: Option<&str>, now: Timestamp) -> Value {
    let lines: Vec<Value> = told.lines().iter().map(|line| json!([{"tag": "text", "text": line}])).collect();
    let mut body = json!({
        "msg_type": "post", "content": {"post": {"en_us": {"title": told.title(), "content": lines}}},
    });
    if let (Some(key), Some(fields)) = (key, body.as_object_mut()) {
        let timestamp = now.as_second().to_string();
        let sign = STANDARD.encode(mac(format!("{timestamp}\n{key}").as_bytes(), b""));
        fields.insert("timestamp".to_owned(), timestamp.into());
        fields.insert("sign".to_owned(), sign.into());
    }
    body
}

/// Incoming webhooks: the three characters that mean something are escaped, and nothing is formatted.
fn slack(told: &Told) -> Value {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let lines: Vec<String> = told.lines().iter().map(|line| format!("• {}", escape(line))).collect();
    json!({
        "text": format!("{}\n{}", escape(&told.title()), lines.join("\n")),
        "mrkdwn": false, "unfurl_links": false, "unfurl_media": false,
    })
}

fn generic(told: &Told, key: Option<&str>, now: Timestamp) -> Message {
    let notices: Vec<Value> = told
        .notices
        .iter()
        .map(|notice| {
            let severity = if notice.is_warning { "Warning" } else { "Normal" };
            json!({"time": notice.at.to_string(), "severity": severity, "reason": notice.reason, "message": notice.text})
        })
        .collect();
    let body = json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "Notification", "sentAt": now.to_string(),
        "fleetSync": {"namespace": told.namespace, "name": told.fleetsync}, "notices": notices, "more": told.more,
    })
    .to_string();
    let signature = key.map(|key| {
        let mut text = "sha256=".to_owned();
        for byte in mac(key.as_bytes(), body.as_bytes()) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    });
    Message { query: Vec::new(), signature, body }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Did the receiver take it? Some answer 200 to everything and say in the body what is wrong; `Err`: what it says.
pub(super) fn taken(kind: NotificationKind, body: &[u8]) -> Result<(), String> {
    let fields: &[&str] = match kind {
        NotificationKind::DingTalk => &["errcode"],
        NotificationKind::Lark => &["code", "StatusCode"],
        NotificationKind::Slack | NotificationKind::Generic => return Ok(()),
    };
    let answer: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON".to_owned())?;
    let Some(code) = fields.iter().find_map(|field| answer.get(field).and_then(Value::as_i64)) else {
        return Err("the answer has no code".to_owned());
    };
    if code == 0 {
        return Ok(());
    }
    let said = ["errmsg", "msg"].iter().find_map(|field| answer.get(field).and_then(Value::as_str));
    Err(format!("code {code}: {}", cleaned(said.unwrap_or("no reason given"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(texts: &[&str]) -> Told {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let notice =
            |text: &&str| Notice { at, is_warning: true, reason: "DriftFound".to_owned(), text: (*text).to_owned() };
        Told::new("asm-system", "shop", texts.iter().map(notice).collect(), 0)
    }

    fn make_at(kind: NotificationKind, told: &Told, key: Option<&str>) -> Message {
        make(kind, told, key, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    /// Signatures as `printf '1767225600000\nSECkey' | openssl dgst -sha256 -hmac SECkey -binary | base64` gives them.
    #[test]
    fn signatures_are_those_of_the_documents() {
        let ding = make_at(NotificationKind::DingTalk, &told(&["a"]), Some("SECkey"));
        assert_eq!(ding.query[0], ("timestamp", "1767225600000".to_owned()));
        assert_eq!(ding.query[1].1, "lMCNjuXad1JajbI0Q0yqsM/sY+9FxvWEX+fYsJbiPJ0=");
        let lark: Value =
            serde_json::from_str(&make_at(NotificationKind::Lark, &told(&["a"]), Some("key")).body).unwrap();
        assert_eq!(
            (&lark["timestamp"], &lark["sign"]),
            (&json!("1767225600"), &json!("GtUAh0BEDjvNWsfOfp8KlIIpJJpLhP90vZCPOZ8xC68="))
        );
        let generic = make_at(NotificationKind::Generic, &told(&["a"]), Some("key"));
        let wanted: String = mac(b"key", generic.body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(generic.signature, Some(format!("sha256={wanted}")));
        for kind in [NotificationKind::DingTalk, NotificationKind::Lark, NotificationKind::Generic] {
            let unsigned = make_at(kind, &told(&["a"]), None);
            assert!(unsigned.query.is_empty() && unsigned.signature.is_none() && !unsigned.body.contains("sign"));
        }
    }

    #[test]
    fn text_stays_text() {
        let evil = told(&["<at user_id=\"all\"></at> <!channel> <https://evil|click> \u{202e}abc\nnext & more"]);
        let slack: Value = serde_json::from_str(&make_at(NotificationKind::Slack, &evil, None).body).unwrap();
        let text = slack["text"].as_str().unwrap();
        assert!(!text.contains('<') && text.contains("&lt;!channel&gt;") && text.contains("&amp; more"), "{text}");
        assert_eq!(slack["mrkdwn"], false);
        let lark: Value = serde_json::from_str(&make_at(NotificationKind::Lark, &evil, None).body).unwrap();
        let first = &lark["content"]["post"]["en_us"]["content"][0][0];
        assert_eq!(first["tag"], "text");
        assert!(first["text"].as_str().unwrap().contains(" abc next"), "{first}");
        let ding: Value = serde_json::from_str(&make_at(NotificationKind::DingTalk, &evil, None).body).unwrap();
        assert_eq!((&ding["msgtype"], &ding["at"]["isAtAll"]), (&json!("text"), &json!(false)));
    }

    #[test]
    fn a_flood_is_one_message_with_a_number() {
        let many: Vec<String> = (0..50).map(|n| format!("thing {n} {}", "x".repeat(5000))).collect();
        let told = told(&many.iter().map(String::as_str).collect::<Vec<_>>());
        for kind in
            [NotificationKind::DingTalk, NotificationKind::Lark, NotificationKind::Slack, NotificationKind::Generic]
        {
            let body = make_at(kind, &told, None).body;
            assert!(body.len() < 20_000, "{kind:?}: {} bytes", body.len());
            assert!(body.contains("30"), "{kind:?} does not say how many more");
        }
    }

    #[test]
    fn a_refusal_inside_a_good_answer_is_seen() {
        for (kind, body, wanted) in [
            (NotificationKind::DingTalk, r#"{"errcode":0,"errmsg":"ok"}"#, None),
            (
                NotificationKind::DingTalk,
                r#"{"errcode":310000,"errmsg":"sign not match"}"#,
                Some("code 310000: sign not match"),
            ),
            (
                NotificationKind::Lark,
                r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
                None,
            ),
            (
                NotificationKind::Lark,
                r#"{"code":19021,"data":{},"msg":"sign match fail or timestamp is not within one hour"}"#,
                Some("code 19021: sign match fail or timestamp is not within one hour"),
            ),
            (NotificationKind::Lark, "<html>", Some("the answer is no JSON")),
            (NotificationKind::Slack, "ok", None),
            (NotificationKind::Generic, "", None),
        ] {
            assert_eq!(taken(kind, body.as_bytes()).err().as_deref(), wanted, "{body}");
        }
    }
}
