//! Signed commits and tags on their way from a real Git server.

use std::sync::Arc;

use asm_shared::api::SourceSpec;
use git2::{ObjectType, Oid, Repository};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};

use super::test_server::GitServer;
use super::test_ssh::key;
use super::{Fetched, Flaw, Keyring, Secrets, Source, SourceError};

struct Setup {
    server: GitServer,
    ann: PrivateKey,
}

async fn setup() -> Setup {
    let setup = Setup { server: GitServer::start().await, ann: key(Algorithm::Ed25519) };
    setup.server.commit("fleet.yaml", b"a: 1", "First");
    setup
}

fn sign(content: &[u8], key: &PrivateKey) -> String {
    key.sign("git", HashAlg::Sha512, content).unwrap().to_pem(LineEnding::LF).unwrap()
}

impl Setup {
    fn repository(&self) -> Repository {
        Repository::open_bare(self.server.repository()).unwrap()
    }

    fn head(&self) -> Oid {
        self.repository().refname_to_id("refs/heads/main").unwrap()
    }

    /// A commit on top of the head with this signature, made of what is to be signed.
    fn commit(&self, signature: impl FnOnce(&str) -> Option<String>) -> String {
        let repository = self.repository();
        let head = repository.find_commit(self.head()).unwrap();
        let who = git2::Signature::now("Ann", "ann@example.com").unwrap();
        let content = repository.commit_create_buffer(&who, &who, "Next", &head.tree().unwrap(), &[&head]).unwrap();
        let content = std::str::from_utf8(&content).unwrap().to_owned();
        let id = match signature(&content) {
            Some(signature) => repository.commit_signed(&content, signature.trim_end(), None).unwrap(),
            None => repository.odb().unwrap().write(ObjectType::Commit, content.as_bytes()).unwrap(),
        };
        repository.reference("refs/heads/main", id, true, "test").unwrap();
        id.to_string()
    }

    /// A tag object that says this name, under that name.
    fn tag(&self, says: &str, under: &str, signer: Option<&PrivateKey>) {
        let content =
            format!("object {}\ntype commit\ntag {says}\ntagger Ann <a@example.com> 0 +0000\n\nA tag\n", self.head());
        let signature = signer.map_or_else(String::new, |key| sign(content.as_bytes(), key));
        let repository = self.repository();
        let id = repository.odb().unwrap().write(ObjectType::Tag, format!("{content}{signature}").as_bytes()).unwrap();
        repository.reference(&format!("refs/tags/{under}"), id, true, "test").unwrap();
    }

    async fn fetch(&self, mode: &str, tag: Option<&str>) -> Result<Fetched, SourceError> {
        let spec: SourceSpec = serde_json::from_value(serde_json::json!({
            "url": self.server.url(), "tag": tag, "timeoutSeconds": 20,
            "verify": {"mode": mode, "secretRef": {"name": "signers"}},
        }))
        .unwrap();
        let line = format!("ann@example.com {}", self.ann.public_key().to_openssh().unwrap());
        let keyring = Keyring::read("signers", [("allowed", line.as_bytes())].into_iter()).unwrap();
        let secrets = Secrets { keyring: Some(Arc::new(keyring)), ..Secrets::default() };
        let folder = tempfile::tempdir().unwrap();
        Source::open(folder.path()).fetch(&spec, secrets, None, None).await
    }

    async fn flaw(&self, mode: &str, tag: Option<&str>) -> Flaw {
        match self.fetch(mode, tag).await {
            Err(SourceError::Signature { flaw, object, secret }) => {
                assert!(object.contains(&self.head().to_string()) && secret == "signers", "{object}");
                flaw
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_head_must_be_signed_by_somebody_trusted() {
    let setup = setup().await;
    let error = setup.fetch("HEAD", None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("commit {} is not taken: it is not signed", setup.head()));
    assert!(error.hint("n", "f").starts_with("nothing of it was read or applied; sign it (git commit -S"));
    assert_eq!(error.reason(), "NotSigned");

    let good = setup.commit(|content| Some(sign(content.as_bytes(), &setup.ann)));
    let fetched = setup.fetch("HEAD", None).await.unwrap();
    assert_eq!(fetched.revision, good);
    assert!(fetched.signed_by.unwrap().starts_with("ann@example.com (SSH SHA256:"));

    setup.commit(|content| Some(sign(content.as_bytes(), &key(Algorithm::Ed25519))));
    assert!(matches!(setup.flaw("HEAD", None).await, Flaw::UnknownKey(id) if id.starts_with("SHA256:")));
}

#[tokio::test]
async fn attack_a_signature_of_another_commit_is_refused() {
    let setup = setup().await;
    setup.commit(|content| Some(sign(content.replace("Next", "Harmless").as_bytes(), &setup.ann)));
    assert!(matches!(setup.flaw("HEAD", None).await, Flaw::Tampered(_)));
}

#[tokio::test]
async fn attack_an_unsigned_merge_of_signed_commits_is_refused() {
    let setup = setup().await;
    setup.commit(|content| Some(sign(content.as_bytes(), &setup.ann)));
    setup.commit(|_| None);
    assert_eq!(setup.flaw("HEAD", None).await, Flaw::Unsigned);
}

#[tokio::test]
async fn tags_are_followed_and_judged_as_the_mode_says() {
    let setup = setup().await;
    setup.tag("v1", "v1", Some(&setup.ann));
    let fetched = setup.fetch("Tag", Some("v1")).await.unwrap();
    assert_eq!(fetched.revision, setup.head().to_string());
    assert!(fetched.signed_by.is_some());
    // The commit itself has no signature.
    assert_eq!(setup.flaw("TagAndHEAD", Some("v1")).await, Flaw::Unsigned);
    setup.commit(|content| Some(sign(content.as_bytes(), &setup.ann)));
    setup.tag("v2", "v2", Some(&setup.ann));
    setup.fetch("TagAndHEAD", Some("v2")).await.unwrap();
    setup.tag("v3", "v3", None);
    assert_eq!(setup.flaw("Tag", Some("v3")).await, Flaw::Unsigned);
    let error = setup.fetch("Tag", Some("v9")).await.unwrap_err();
    assert!(error.to_string().ends_with("there is no tag \"v9\"; there are: v1, v2, v3"), "{error}");
    let error = setup.fetch("Tag", None).await.unwrap_err();
    assert!(matches!(error, SourceError::Keyring { .. }), "{error:?}");
}

#[tokio::test]
async fn attack_an_older_signed_tag_under_a_newer_name_is_refused() {
    let setup = setup().await;
    setup.tag("v1", "v2", Some(&setup.ann));
    assert!(matches!(setup.flaw("Tag", Some("v2")).await, Flaw::Unreadable(why) if why.contains("another name")));
    // A name for a commit and nothing more.
    let repository = setup.repository();
    repository.reference("refs/tags/light", setup.head(), true, "test").unwrap();
    assert_eq!(setup.flaw("Tag", Some("light")).await, Flaw::Unsigned);
}
