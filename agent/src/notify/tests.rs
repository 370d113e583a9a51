//! A receiver with TLS in front, as each kind of it documents; what is sent there, what is not, and what an error says.

use super::message::{Message, Notice, Told, make};
use super::send::{Failure, post};
use super::{Reach, wants};
use crate::credentials::NotificationSecret;
use crate::source::test_tls::{authority, in_front_of};
use asm_shared::api::{NotificationKind, NotificationSpec};
use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// What a receiver got.
#[derive(Clone, Debug, Default)]
struct Got {
    uri: String,
    headers: HeaderMap,
    body: String,
}

struct Receiver {
    secret: NotificationSecret,
    got: Arc<Mutex<Vec<Got>>>,
}

/// Listens at `https://localhost`, with an authority that only the Secret names, and answers as it is told.
async fn receiver(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Receiver {
    let got: Arc<Mutex<Vec<Got>>> = Arc::default();
    let seen = got.clone();
    let router = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: String| {
        seen.lock().unwrap().push(Got { uri: uri.to_string(), headers, body });
        answer()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let authority = authority();
    let port = in_front_of(plain, &authority, "localhost").port();
    let secret = NotificationSecret {
        url: format!("https://localhost:{port}/robot/send?access_token=c4n4ry"),
        secret: Some("SECc4n4ry".to_owned()),
        ca: Some(authority.pem().into_bytes()),
    };
    Receiver { secret, got }
}

fn message(kind: NotificationKind, key: Option<&str>) -> Message {
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let notice = Notice { at, is_warning: true, reason: "HeldBack".to_owned(), text: "m1c1: waits".to_owned() };
    make(kind, &Told::new("asm-system", "shop", vec![notice], 3), key, at)
}

async fn sent(receiver: &Receiver, kind: NotificationKind) -> Result<(), Failure> {
    post(&receiver.secret, kind, message(kind, receiver.secret.secret.as_deref()), Reach::Private).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_gets_what_it_documents() {
    for (kind, answer) in [
        (NotificationKind::DingTalk, r#"{"errcode":0,"errmsg":"ok"}"#),
        (NotificationKind::Lark, r#"{"code":0,"msg":"success"}"#),
        (NotificationKind::Slack, "ok"),
        (NotificationKind::Generic, ""),
    ] {
        let receiver = receiver(move || answer.into_response()).await;
        assert_eq!(sent(&receiver, kind).await, Ok(()), "{kind:?}");
        let got = receiver.got.lock().unwrap().pop().unwrap();
        let body: Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!(got.headers["content-type"], "application/json; charset=utf-8");
        assert!(!got.body.contains("c4n4ry"), "{}", got.body);
        assert!(got.body.contains("m1c1: waits") && got.body.contains('3'), "{}", got.body);
        match kind {
            NotificationKind::DingTalk => {
                assert_eq!(body["msgtype"], "text");
                let wanted = "/robot/send?access_token=c4n4ry&timestamp=1767225600000&sign=";
                assert!(got.uri.starts_with(wanted) && !got.uri.ends_with('='), "{}", got.uri);
            }
            NotificationKind::Lark => {
                assert_eq!((&body["msg_type"], &body["timestamp"]), (&json!("post"), &json!("1767225600")));
                assert!(body["sign"].is_string() && body["content"]["post"]["en_us"]["title"].is_string());
            }
            NotificationKind::Slack => assert!(body["text"].is_string() && got.headers.get("x-signature").is_none()),
            NotificationKind::Generic => {
                assert_eq!((&body["kind"], &body["more"]), (&json!("Notification"), &json!(3)));
                assert!(got.headers["x-signature"].to_str().unwrap().starts_with("sha256="));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_without_the_address() {
    let redirect = || (StatusCode::FOUND, [("location", "https://evil.example.com/")]).into_response();
    let busy = || StatusCode::SERVICE_UNAVAILABLE.into_response();
    let wrong = || (StatusCode::NOT_FOUND, "no_service c4n4ry").into_response();
    let unsigned = || r#"{"errcode":310000,"errmsg":"sign not match"}"#.into_response();
    for (receiver, may_pass, words) in [
        (receiver(redirect).await, false, "redirects, which is not followed"),
        (receiver(busy).await, true, "503"),
        (receiver(wrong).await, false, "404"),
        (receiver(unsigned).await, false, "sign not match"),
    ] {
        let failure = sent(&receiver, NotificationKind::DingTalk).await.unwrap_err();
        assert_eq!(failure.may_pass, may_pass, "{failure:?}");
        assert!(failure.why.contains(words) && !failure.why.contains("c4n4ry"), "{failure:?}");
        assert_eq!(receiver.got.lock().unwrap().len(), 1, "one question, whatever the answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_where_it_might_be_read() {
    let known = receiver(|| "ok".into_response()).await;
    let of = |url: &str, ca: Option<Vec<u8>>| NotificationSecret { url: url.to_owned(), secret: None, ca };
    let https = known.secret.url.clone();
    for (secret, words) in [
        (of(&https.replace("https", "http"), known.secret.ca.clone()), "must begin with https://"),
        (of(&https.replace("localhost", "user:c4n4ry@localhost"), known.secret.ca.clone()), "must not hold a user"),
        (of("c4n4ry", None), "must begin with https://"),
        (of("https://c4n4ry .example.com", None), "no URL"),
        // Somebody else's certificate.
        (of(&https, Some(authority().pem().into_bytes())), "localhost: "),
        (of(&https, Some(b"c4n4ry".to_vec())), "ca.crt holds"),
    ] {
        let failure = post(&secret, NotificationKind::Slack, message(NotificationKind::Slack, None), Reach::Private)
            .await
            .unwrap_err();
        assert!(failure.why.contains(words) && !failure.why.contains("c4n4ry"), "{failure:?}");
    }
    // By name, by address, and where no flag helps.
    let local = https.replace("localhost", "127.0.0.1");
    for (url, reach, words) in [
        (https.clone(), Reach::Public, "--private-receivers"),
        (local, Reach::Public, "--private-receivers"),
        ("https://169.254.169.254/latest?c4n4ry".to_owned(), Reach::Private, "metadata"),
        ("https://[fe80::1]/c4n4ry".to_owned(), Reach::Private, "link-local"),
    ] {
        let secret = of(&url, known.secret.ca.clone());
        let sent = post(&secret, NotificationKind::Slack, message(NotificationKind::Slack, None), reach).await;
        let failure = sent.unwrap_err();
        assert!(failure.why.contains(words) && !failure.why.contains("c4n4ry"), "{failure:?}");
    }
    assert!(known.got.lock().unwrap().is_empty());
}

#[test]
fn who_wants_what_is_said_in_the_spec() {
    let spec = |text: &str| -> NotificationSpec {
        let mut value = json!({"name": "a", "type": "Slack", "secretRef": {"name": "b"}});
        let more: Value = serde_json::from_str(text).unwrap();
        for (key, one) in more.as_object().unwrap() {
            value[key] = one.clone();
        }
        serde_json::from_value(value).unwrap()
    };
    for (text, is_warning, wanted) in [
        ("{}", true, true),
        ("{}", false, false),
        (r#"{"severity": "Normal"}"#, false, true),
        (r#"{"reasons": ["HeldBack"]}"#, true, false),
        (r#"{"reasons": ["HeldBack", "DriftFound"]}"#, true, true),
        (r#"{"reasons": ["DriftFound"], "severity": "Normal"}"#, false, true),
    ] {
        assert_eq!(wants(&spec(text), is_warning, "DriftFound"), wanted, "{text}");
    }
}
