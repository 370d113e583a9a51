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
    GitCredentials {
        username: Some("alice".to_owned()),
        password: Some(password.to_owned()),
        ca: Some(ca.as_bytes().to_vec()),
        ..GitCredentials::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_authority_of_the_secret_is_trusted() {
    let server = GitServer::start().await;
    let revision = server.commit("a.yaml", b"a: 1", "First");
    let (ours, other) = (authority(), authority());
    let port = in_front_of(server.address(), &ours, "localhost").port();

    let only_ca = GitCredentials { ca: Some(ours.pem().into_bytes()), ..GitCredentials::default() };
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

/// GitHub and Codeup answer 403 where others answer 401. It is no `Unreachable`: no mirror is asked for what a person has to mend.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_with_403_is_one_of_credentials_and_asked_once() {
    let server = GitServer::start().await;
    server.commit("a.yaml", b"a: 1", "First");
    let ours = authority();
    let port = in_front_of(server.address(), &ours, "localhost").port();
    server.set(Mood::Status(403));
    let only_ca = GitCredentials { ca: Some(ours.pem().into_bytes()), ..GitCredentials::default() };
    for (credentials, presented) in [(login("c4n4ry", &ours.pem()), true), (only_ca, false)] {
        let before = server.requests();
        let error = fetch(port, Some(&credentials)).await.unwrap_err();
        assert!(matches!(error, SourceError::Unauthorized { presented: p, .. } if p == presented), "{error:?}");
        assert!(!format!("{error} {error:?} {}", error.hint("n", "f")).contains("c4n4ry"));
        assert_eq!(server.requests().0 - before.0, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_credentials_are_not_taken_to_another_server() {
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
    assert_eq!((other.requests(), server.requests().0), ((0, 0), 2), "each asked once, nothing followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_on_the_same_server_is_followed() {
    let server = GitServer::start().await;
    let revision = server.commit("a.yaml", b"a: 1", "First");
    let ours = authority();
    let port = in_front_of(server.address(), &ours, "localhost").port();
    server.set(Mood::Renamed("/old.git", "/fleet.git"));
    let text = format!(r#"{{"url": "https://localhost:{port}/old.git", "timeoutSeconds": 20}}"#);
    let (spec, folder) = (serde_json::from_str(&text).unwrap(), tempfile::tempdir().unwrap());
    let source = Source::open(folder.path());
    let fetched = source.fetch(&spec, Some(&login("hunter2", &ours.pem())), None, None).await.unwrap();
    assert_eq!(fetched.revision, revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_go_as_a_bearer_token() {
    let server = GitServer::start().await;
    let revision = server.commit("a.yaml", b"a: 1", "First");
    let ours = authority();
    let port = in_front_of(server.address(), &ours, "localhost").port();
    server.set(Mood::Bearer("t0ken"));
    let ca = Some(ours.pem().into_bytes());
    let token = |token: &str| GitCredentials {
        bearer_token: Some(token.to_owned()),
        ca: ca.clone(),
        ..GitCredentials::default()
    };
    assert_eq!(fetch(port, Some(&token("t0ken"))).await.unwrap().revision, revision);
    let error = fetch(port, Some(&token("c4n4ry"))).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized { presented: true, .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("c4n4ry"));
    let error = fetch(port, Some(&token("c4n4ry\r\nhost: evil"))).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("c4n4ry"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let server = GitServer::start().await;
    let revision = server.commit("a.yaml", b"a: 1", "First");
    let (ours, clients) = (authority(), authority());
    let port = super::test_tls::for_clients_of(server.address(), &ours, "localhost", &clients).port();
    let with = |client_certificate| GitCredentials {
        ca: Some(ours.pem().into_bytes()),
        client_certificate,
        ..GitCredentials::default()
    };
    let (certificate, key) = super::test_tls::leaf(&clients, "agent");
    let mutual = with(Some((certificate, key)));
    assert_eq!(fetch(port, Some(&mutual)).await.unwrap().revision, revision);

    let before = server.requests();
    let error = fetch(port, Some(&with(None))).await.unwrap_err();
    assert!(matches!(error, SourceError::ClientCertificate { presented: false, .. }), "{error:?}");
    assert!(error.hint("n", "f").contains("tls.crt"));
    let error = fetch(port, Some(&with(Some(super::test_tls::leaf(&authority(), "agent"))))).await.unwrap_err();
    assert!(matches!(error, SourceError::ClientCertificate { presented: true, .. }), "{error:?}");
    assert_eq!(server.requests(), before);
}
