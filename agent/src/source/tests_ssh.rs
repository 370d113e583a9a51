//! Git over SSH against a real server.

use asm_shared::api::SourceSpec;
use russh::keys::ssh_key::EcdsaCurve;
use russh::keys::{Algorithm, PrivateKey};

use super::test_server::GitServer;
use super::test_ssh::{SshServer, key, pem};
use super::{Fetched, GitCredentials, Source, SourceError};

const ECDSA: Algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };

struct Setup {
    git: GitServer,
    ssh: SshServer,
    client: PrivateKey,
}

async fn setup() -> Setup {
    let git = GitServer::start().await;
    let client = key(Algorithm::Ed25519);
    let own = vec![key(Algorithm::Ed25519), key(ECDSA)];
    let root = git.repository().parent().unwrap().to_owned();
    let ssh = SshServer::start(root, client.public_key(), own).await;
    Setup { git, ssh, client }
}

impl Setup {
    fn credentials(&self) -> GitCredentials {
        let (identity, known_hosts) = (Some(pem(&self.client)), Some(self.ssh.known_hosts.clone()));
        GitCredentials { identity, known_hosts, ..GitCredentials::default() }
    }

    async fn fetch(&self, credentials: &GitCredentials) -> Result<Fetched, SourceError> {
        fetch(&self.ssh.url(), credentials).await
    }
}

async fn fetch(url: &str, credentials: &GitCredentials) -> Result<Fetched, SourceError> {
    let folder = tempfile::tempdir().unwrap();
    let spec: SourceSpec = serde_json::from_value(serde_json::json!({"url": url, "timeoutSeconds": 20})).unwrap();
    Source::open(folder.path()).fetch(&spec, Some(credentials), None, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_with_a_deploy_key_and_forwards_no_agent() {
    let setup = setup().await;
    setup.git.commit("big.bin", &vec![7; 300_000], "Zero");
    let revision = setup.git.commit("a.yaml", b"a: 1", "First");
    let fetched = setup.fetch(&setup.credentials()).await.unwrap();
    assert_eq!(fetched.revision, revision);
    assert_eq!(fetched.url, setup.ssh.url());
    let seen = setup.ssh.seen.lock().unwrap();
    assert_eq!(seen.commands, ["git-upload-pack '/fleet.git'"]);
    assert_eq!((seen.users.last().map(String::as_str), seen.agents), (Some("git"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_kinds_and_with_a_passphrase() {
    let mut setup = setup().await;
    setup.git.commit("a.yaml", b"a: 1", "First");
    // The server also has an Ed25519 key; it is asked for the one that is known.
    for client in [key(ECDSA), key(Algorithm::Ed25519)] {
        let root = setup.git.repository().parent().unwrap().to_owned();
        setup.ssh = SshServer::start(root, client.public_key(), vec![key(ECDSA), key(Algorithm::Ed25519)]).await;
        setup.client = client;
        setup.fetch(&setup.credentials()).await.unwrap();
    }
    let locked = setup.client.encrypt(&mut russh::keys::key::safe_rng(), "hunter2").unwrap();
    let mut credentials = GitCredentials { identity: Some(pem(&locked)), ..setup.credentials() };
    let error = setup.fetch(&credentials).await.unwrap_err();
    assert!(matches!(error, SourceError::Identity { .. }) && error.to_string().contains("passphrase"), "{error:?}");
    credentials.password = Some("hunter2".to_owned());
    setup.fetch(&credentials).await.unwrap();
}

/// Made for this test; making one of this kind takes minutes without optimisation.
const RSA: &str = include_str!("testdata/rsa_of_a_test");

#[tokio::test(flavor = "multi_thread")]
async fn an_rsa_key_is_taken_and_signs_with_sha_2_only() {
    let mut setup = setup().await;
    let revision = setup.git.commit("a.yaml", b"a: 1", "First");
    setup.client = PrivateKey::from_openssh(RSA).unwrap();
    let root = setup.git.repository().parent().unwrap().to_owned();
    // The server, too, has an RSA key and nothing else.
    setup.ssh = SshServer::start(root, setup.client.public_key(), vec![setup.client.clone()]).await;
    assert_eq!(setup.fetch(&setup.credentials()).await.unwrap().revision, revision);
    let seen = setup.ssh.seen.lock().unwrap();
    assert!(!seen.algorithms.is_empty());
    assert!(seen.algorithms.iter().all(|algorithm| algorithm.starts_with("rsa-sha2-")), "{:?}", seen.algorithms);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_host_key_that_is_not_known_gets_no_login() {
    let setup = setup().await;
    setup.git.commit("a.yaml", b"a: 1", "First");
    let port = setup.ssh.address.port();
    let other = key(Algorithm::Ed25519).public_key().to_openssh().unwrap();
    for (known_hosts, words) in [
        (Some(format!("[127.0.0.1]:{port} {other}\n")), "the server shows ssh-ed25519 SHA256:"),
        (
            Some(format!(
                "@revoked * {}\n{}",
                setup.ssh.known_hosts.split_once(' ').unwrap().1.trim(),
                setup.ssh.known_hosts
            )),
            "@revoked",
        ),
        (Some(format!("github.com {other}\n")), "no key for [127.0.0.1]:"),
        (None, "no server is trusted on first use"),
    ] {
        let credentials = GitCredentials { known_hosts, ..setup.credentials() };
        let error = setup.fetch(&credentials).await.unwrap_err();
        assert!(matches!(error, SourceError::UntrustedHostKey { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        let hint = error.hint("n", "f");
        assert!(hint.contains(&format!("ssh-keyscan -p {port} 127.0.0.1")) && hint.contains("compare"), "{hint}");
    }
    let seen = setup.ssh.seen.lock().unwrap();
    assert!(seen.users.is_empty() && seen.commands.is_empty(), "{:?}", seen.users);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do_and_no_secret() {
    let setup = setup().await;
    setup.git.commit("a.yaml", b"a: 1", "First");
    let stranger = GitCredentials { identity: Some(pem(&key(Algorithm::Ed25519))), ..setup.credentials() };
    let error = setup.fetch(&stranger).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized { presented: true, .. }), "{error:?}");
    assert!(error.hint("n", "f").contains("deploy key"));

    let missing = setup.ssh.url().replace("fleet.git", "other.git");
    let error = fetch(&missing, &setup.credentials()).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Declined { said, .. } if said == "ERROR: Repository not found."),
        "{error:?}"
    );

    for identity in [None, Some("c4n4ry-no-key".to_owned())] {
        let error = setup.fetch(&GitCredentials { identity, ..setup.credentials() }).await.unwrap_err();
        assert!(matches!(error, SourceError::Identity { .. }), "{error:?}");
        assert!(error.hint("n", "f").contains("ssh-keygen") && !format!("{error:?}{error}").contains("c4n4ry"));
    }
    let known_hosts = Some(format!("[127.0.0.1]:1 {}", setup.client.public_key().to_openssh().unwrap()));
    let credentials = GitCredentials { known_hosts, ..setup.credentials() };
    let error = fetch("ssh://git@127.0.0.1:1/fleet.git", &credentials).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
}
