//! What needs TLS: credentials, and whom to trust.

use asm_shared::api::SourceSpec;

use super::test_server::{GitServer, Mood};
use super::test_tls::{authority, in_front_of};
use super::{Fetched, GitCredentials, Source, SourceError};

fn spec(port: u16) -> SourceSpec {
    let text = format!(r#"{{"url": "https://localhost:{port}/fleet.git", "timeoutSeconds": 20}}"#);
    serde_json::from_str(&text).unwrap()
}

async fn fetch(port: u16, credentials: Option<&GitCredentials>) -> Result<Fetched, SourceError> {
    let folder = tempfile::tempdir().unwrap();
    Source::open(folder.path()).fetch(&spec(port), credentials, None, None).await
}

fn login(password: &str, ca: &str) -> GitCredentials {
    GitCredentials::new("alice", Some(password.to_owned()), Some(ca.as_bytes().to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_authority_of_the_secret_is_trusted() {
    let server = GitServer::start().await;
    let revision = server.commit("a.yaml", b"a: 1", "First");
    let (ours, other) = (authority(), authority());
    let port = in_front_of(server.address(), &ours, "localhost").port();

    let only_ca = GitCredentials::new("", None, Some(ours.pem().into_bytes()));
    assert_eq!(fetch(port, Some(&only_ca)).await.unwrap().revision, revision);

    let before = server.requests();
    let error = fetch(port, None).await.unwrap_err();
    assert!(matches!(error, SourceError::UntrustedCertificate { .. }), "{error:?}");
    assert!(error.hint("n", "f").contains("ca.crt"));
    let error = fetch(port, Some(&login("hunter2", &other.pem()))).await.unwrap_err();
    assert!(matches!(error, SourceError::UntrustedCertificate { .. }), "{error:?}");
    let elsewhere = in_front_of(server.address(), &ours, "git.example.com").port();
    let error = fetch(elsewhere, Some(&login("hunter2", &ours.pem()))).await.unwrap_err();
    assert!(matches!(error, SourceError::UntrustedCertificate { .. }), "{error:?}");
    let error = fetch(port, Some(&login("hunter2", "no certificate"))).await.unwrap_err();
    assert!(error.to_string().contains("ca.crt holds no certificate"), "{error}");
    assert_eq!(server.requests(), before, "nothing was asked of a server that is not trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_tried_once() {
    let server = GitServer::start().await;
    let revision = server.commit("a.yaml", b"a: 1", "First");
    let ours = authority();
    let port = in_front_of(server.address(), &ours, "localhost").port();
    server.set(Mood::Login("alice", "hunter2"));
    assert_eq!(fetch(port, Some(&login("hunter2", &ours.pem()))).await.unwrap().revision, revision);

    let before = server.logins();
    let error = fetch(port, Some(&login("wrong-canary", &ours.pem()))).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized { presented: true, .. }), "{error:?}");
    assert_eq!(server.logins() - before, 1, "the library would try 15 times");
    assert!(!format!("{error} {error:?} {}", error.hint("n", "f")).contains("wrong-canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_not_taken_to_another_server() {
    let (server, other) = (GitServer::start().await, GitServer::start().await);
    let ours = authority();
    let port = in_front_of(server.address(), &ours, "localhost").port();
    for elsewhere in [
        // Another host, and the same host without TLS.
        format!("https://127.0.0.1:{port}"),
        format!("http://localhost:{}", other.address().port()),
    ] {
        server.set(Mood::Redirect(elsewhere.clone()));
        let error = fetch(port, Some(&login("hunter2", &ours.pem()))).await.unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }), "{elsewhere}: {error:?}");
    }
    assert_eq!((other.requests(), server.logins()), ((0, 0), 0));
}
