use std::collections::BTreeMap;
use std::time::Duration;

use asm_shared::kubeconfig::SafeKubeconfig;
use k8s_openapi::ByteString;

use super::error::Place;
use super::limits::FAR;
use super::{CredentialsError, Fence, Limits, client, git_from, text};
use crate::lease::{Claim, Tenure};

fn place() -> Place {
    Place::new("asm-system", "git")
}

fn open() -> Fence {
    Fence::new(Tenure::of(Claim::unchallenged("a")))
}

fn data(entries: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()
}

#[test]
fn a_missing_key_names_those_that_are_there() {
    let error = text(&place(), data(&[("config", b"x"), ("value", b"y")]), "kubeconfig").unwrap_err();
    assert!(error.to_string().starts_with("Secret asm-system/git has no key kubeconfig, only config, value; put"));
    let error = text(&place(), data(&[("kubeconfig", b"\xff\xfe")]), "kubeconfig").unwrap_err();
    assert!(error.to_string().starts_with("Secret asm-system/git, key kubeconfig: it is not UTF-8 text; put"));
}

#[test]
fn git_secrets_may_hold_a_token_or_only_an_authority() {
    let login = |entries: &[(&str, &[u8])]| {
        let credentials = git_from(&place(), data(entries)).unwrap();
        credentials.login().map(|(user, password)| (user.to_owned(), password.to_owned()))
    };
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(login(&[("username", b"alice"), ("password", b"token\n")]), pair("alice", "token"));
    assert_eq!(login(&[("password", b"token")]), pair("git", "token"));
    assert_eq!(login(&[("ca.crt", b"PEM")]), None);
    assert_eq!(login(&[("identity", b"KEY"), ("known_hosts", b"x"), ("password", b"passphrase")]), None);
    let error = git_from(&place(), data(&[("tls.crt", b"PEM")])).unwrap_err();
    assert!(error.to_string().contains("has no key tls.key"), "{error}");
    let error = git_from(&place(), data(&[("username", b"alice")])).unwrap_err();
    assert!(matches!(error, CredentialsError::KeyMissing { .. }));
}

#[tokio::test]
async fn a_client_is_made_of_what_is_left_of_a_kubeconfig() {
    let safe = SafeKubeconfig {
        server: "https://127.0.0.1:1".to_owned(),
        certificate_authority: None,
        tls_server_name: None,
        disable_compression: false,
        token: None,
        client_certificate: None,
        basic: None,
    };
    assert!(client(&safe, None, (open(), FAR.limits)).is_ok());
    let broken = SafeKubeconfig {
        certificate_authority: Some("-----BEGIN CERTIFICATE-----\nc4n4ry\n-----END CERTIFICATE-----\n".to_owned()),
        ..safe
    };
    let error = client(&broken, None, (open(), FAR.limits)).err().unwrap();
    assert!(!error.contains("c4n4ry"), "{error}");
}

/// A server with one Secret, which changes after the first look at it.
async fn api_with_a_changing_secret() -> kube::Client {
    use axum::extract::Request;
    use axum::response::IntoResponse as _;
    let answer = |request: Request| async move {
        let metadata = |version: &str| {
            serde_json::json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": "m1c1-kubeconfig", "namespace": "n", "uid": "u", "resourceVersion": version},
            })
        };
        let query = request.uri().query().unwrap_or_default().to_owned();
        let wanted = query.contains("fieldSelector=metadata.name%3Dm1c1-kubeconfig");
        let accept = request.headers().get("accept").and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        assert!(
            wanted && accept.contains("PartialObjectMetadata"),
            "only the metadata of one Secret: {query} {accept}"
        );
        let body = if query.contains("watch=") {
            serde_json::json!({"type": "MODIFIED", "object": metadata("8")}).to_string() + "\n"
        } else {
            let list = serde_json::json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                "metadata": {"resourceVersion": "7"}, "items": [metadata("7")],
            });
            list.to_string()
        };
        ([("content-type", "application/json")], body).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    kube::Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap()
}

#[tokio::test]
async fn a_secret_that_changes_is_noticed() {
    let changed = |version: &str| {
        let version = version.to_owned();
        async move {
            let host = api_with_a_changing_secret().await;
            super::changed(host, "n".to_owned(), "m1c1-kubeconfig".to_owned(), version).await;
        }
    };
    // While nobody looked, and while somebody looks.
    changed("u/6").await;
    changed("u/7").await;
}

/// A server that lets the agent get its Secret and neither list nor watch it. The second look finds another one.
async fn api_without_watch(looks: std::sync::Arc<std::sync::atomic::AtomicU32>) -> kube::Client {
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    let answer = move |request: Request| {
        let looks = looks.clone();
        async move {
            if request.uri().path().ends_with("/secrets") {
                let refused = serde_json::json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
                    "message": "secrets is forbidden: User \"a\" cannot list resource \"secrets\" in API group \"\"",
                });
                return (StatusCode::FORBIDDEN, [("content-type", "application/json")], refused.to_string())
                    .into_response();
            }
            let version = 7 + looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let secret = serde_json::json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "m1c1-kubeconfig", "namespace": "n", "uid": "u", "resourceVersion": version.to_string()},
            });
            ([("content-type", "application/json")], secret.to_string()).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    kube::Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap()
}

/// Time that stands still goes on by itself when everybody waits, so five minutes cost nothing.
#[tokio::test(start_paused = true)]
async fn a_secret_that_may_not_be_watched_is_read_now_and_then() {
    let looks = std::sync::Arc::default();
    let host = api_without_watch(std::sync::Arc::clone(&looks)).await;
    let started = tokio::time::Instant::now();
    super::changed(host, "n".to_owned(), "m1c1-kubeconfig".to_owned(), "u/7".to_owned()).await;
    assert_eq!(looks.load(std::sync::atomic::Ordering::SeqCst), 2, "the first look finds the same Secret");
    assert!(started.elapsed() >= std::time::Duration::from_secs(600));
}

/// An API server that lies: HTML with 200, an object that never ends, garbage where an object should be.
#[tokio::test]
async fn attack_answers_of_an_api_server_are_cut_and_never_quoted() {
    use axum::extract::Request;
    use axum::response::IntoResponse as _;
    let answer = |request: Request| async move {
        let json = [("content-type", "application/json")];
        match request.uri().path().rsplit('/').next().unwrap_or_default() {
            "page" => ([("content-type", "text/html")], "<html>c4n4ry</html>".to_owned()).into_response(),
            "endless" => {
                let piece = || Ok::<_, std::io::Error>(axum::body::Bytes::from(vec![b'a'; 1 << 16]));
                let start = Ok(axum::body::Bytes::from_static(b"{\"kind\": \"Secret\", \"type\": \""));
                let body = futures::stream::iter(std::iter::once(start).chain(std::iter::repeat_with(piece)));
                (json, axum::body::Body::from_stream(body)).into_response()
            }
            // A Secret whose data is none: the parser's words would quote it (CVE-2025-23216).
            _ => (json, r#"{"kind": "Secret", "data": {"a": "c4n4ry !"}, "metadata": {"name": "x"}}"#.to_owned())
                .into_response(),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    let host = super::fence::fenced(&config, open(), FAR).unwrap();
    for (name, word) in [("page", ""), ("endless", "length limit exceeded"), ("odd", "no Secret")] {
        let error = super::secret_version(&host, "n", name).await.unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains("c4n4ry") && error.len() < 500, "{name}: {error}");
    }
}

#[test]
fn nobody_can_be_acted_as_but_a_service_account_of_the_own_namespace() {
    let user = |name: &str| super::Actor::new("team-a", name).map(|actor| actor.user().to_owned());
    assert_eq!(user("deployer").as_deref(), Ok("system:serviceaccount:team-a:deployer"));
    for name in
        ["", "a:b", "system:masters", "team-b:x", "A", "a\r\nimpersonate-group: system:masters", "-a", "a/b", "\u{e9}"]
    {
        assert!(user(name).is_err(), "{name:?}");
    }
    assert!(user(&"a".repeat(254)).is_err());
}

#[test]
fn the_end_of_a_client_certificate_is_known() {
    let mut params = rcgen::CertificateParams::new(vec!["agent".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2027, 3, 4);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let safe = |token: Option<&str>, certificate: Option<&str>| {
        let mut user = serde_json::Map::new();
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        if let Some(token) = token {
            user.insert("token".to_owned(), token.into());
        }
        if let Some(certificate) = certificate {
            user.insert("client-certificate-data".to_owned(), encode(certificate).into());
            user.insert("client-key-data".to_owned(), encode(&key.serialize_pem()).into());
        }
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": user}],
        });
        asm_shared::kubeconfig::sanitize(&config.to_string()).unwrap()
    };
    let at = |time: &str| time.parse().ok();
    assert_eq!(super::renewal::end(&safe(None, Some(&certificate))), at("2027-03-04T00:00:00Z"));
    assert_eq!(super::renewal::end(&safe(Some("opaque"), None)), None);
    // exp 1700000000
    let jwt = "e30.eyJleHAiOiAxNzAwMDAwMDAwfQ.c2ln";
    assert_eq!(super::renewal::end(&safe(Some(jwt), Some(&certificate))), at("2023-11-14T22:13:20Z"));
}

/// An API server that takes a request and says nothing, says half of it, or keeps a watch open without a word.
#[tokio::test]
async fn nobody_waits_for_ever() {
    use axum::response::IntoResponse as _;
    let answer = |request: axum::extract::Request| async move {
        if request.uri().path().ends_with("/never") {
            return std::future::pending().await;
        }
        let start = futures::stream::iter([Ok::<_, std::io::Error>("{\"kind\": \"Secret\"")]);
        let body = futures::StreamExt::chain(start, futures::stream::pending());
        ([("content-type", "application/json")], axum::body::Body::from_stream(body)).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    let limits = Limits { request: Duration::from_millis(200), silence: Duration::from_millis(100) };
    let host = super::fence::fenced(&config, open(), super::Bounds { limits, most: 1 << 20 }).unwrap();
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> = kube::Api::namespaced(host, "n");
    for name in ["never", "half"] {
        let error = asm_io::cluster::ClusterError::from(secrets.get(name).await.unwrap_err());
        assert_eq!(error.kind, asm_io::cluster::ErrorKind::Timeout, "{name}: {error}");
    }
    // A silent watch ends as if the server had ended it.
    let watch = secrets.watch(&kube::api::WatchParams::default(), "1").await.unwrap();
    let said: Vec<_> = futures::StreamExt::collect(watch).await;
    assert!(said.is_empty(), "{said:?}");
}
