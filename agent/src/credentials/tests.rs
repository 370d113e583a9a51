use std::collections::BTreeMap;

use asm_shared::kubeconfig::SafeKubeconfig;
use k8s_openapi::ByteString;

use super::error::Place;
use super::{CredentialsError, client, git_from, text};

fn place() -> Place {
    Place::new("asm-system", "git")
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
    assert!(client(&safe).is_ok());
    let broken = SafeKubeconfig {
        certificate_authority: Some("-----BEGIN CERTIFICATE-----\nc4n4ry\n-----END CERTIFICATE-----\n".to_owned()),
        ..safe
    };
    let error = client(&broken).err().unwrap();
    assert!(!error.contains("c4n4ry"), "{error}");
}
