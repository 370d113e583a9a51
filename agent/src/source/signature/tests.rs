//! The files in `fixtures` were made by GnuPG 2.2 and OpenSSH 9, with fixed dates: keys of January 2025, signatures of
//! June 2025.

use jiff::Timestamp;
use proptest::prelude::*;

use super::object::Signed;
use super::{Flaw, Keyring};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name))
    };
}

const CONTENT: &str = fixture!("content");

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn ring(keys: &[&str]) -> Keyring {
    let names: Vec<String> = (0..keys.len()).map(|at| format!("{at}.pub")).collect();
    let files = names.iter().zip(keys).map(|(name, key)| (name.as_str(), key.as_bytes()));
    Keyring::read("signers", files).unwrap()
}

fn judge_at(keys: &[&str], content: &str, signature: &str, now: &str) -> Result<String, Flaw> {
    let signed = Signed { content: content.as_bytes().to_vec(), signature: Some(signature.to_owned()) };
    ring(keys).judge(&signed, at(now))
}

fn judge(keys: &[&str], signature: &str) -> Result<String, Flaw> {
    judge_at(keys, CONTENT, signature, "2026-06-01T00:00:00Z")
}

const ANN: &str = "3B248B966744225097D3B611622CAAD4738C9AC8";

#[test]
fn signatures_of_trusted_keys_are_good() {
    for (keys, signature, by) in [
        (fixture!("ann.pub"), fixture!("ann.sig"), format!("Ann <ann@example.com> (OpenPGP {ANN})")),
        (
            fixture!("rex.pub"),
            fixture!("rex.sig"),
            "Rex <rex@example.com> (OpenPGP 60FA9655BDF8221294EDCFFE7764BED48C21EC9E)".into(),
        ),
        (
            fixture!("sub.pub"),
            fixture!("sub.sig"),
            "Sub <sub@example.com> (OpenPGP A11B292444C44B9ABB56C36514D2843FCCAE5AFA)".into(),
        ),
    ] {
        assert_eq!(judge(&[fixture!("old.pub"), keys], signature), Ok(by));
    }
    for (key, signature) in [
        (fixture!("ssh-ed.pub"), fixture!("ssh-ed.sig")),
        (fixture!("ssh-ec.pub"), fixture!("ssh-ec.sig")),
        (fixture!("ssh-rsa.pub"), fixture!("ssh-rsa.sig")),
    ] {
        let by = judge(&[fixture!("ann.pub"), key], signature).unwrap();
        assert!(by.contains("@example.com (SSH SHA256:"), "{by}");
        let allowed = format!("# our people\nann@example.com namespaces=\"git,file\" {key}");
        assert!(judge(&[&allowed], signature).unwrap().starts_with("ann@example.com (SSH SHA256:"));
    }
}

#[test]
fn attack_unsigned_commits_are_refused() {
    let unsigned = Signed { content: CONTENT.into(), signature: None };
    assert_eq!(ring(&[fixture!("ann.pub")]).judge(&unsigned, at("2026-06-01T00:00:00Z")), Err(Flaw::Unsigned));
}

#[test]
fn attack_signatures_of_unknown_keys_are_refused_and_named() {
    assert_eq!(judge(&[fixture!("rex.pub")], fixture!("ann.sig")), Err(Flaw::UnknownKey(ANN.into())));
    assert!(
        matches!(judge(&[fixture!("ssh-ec.pub")], fixture!("ssh-ed.sig")), Err(Flaw::UnknownKey(id)) if id.starts_with("SHA256:"))
    );
    // A key of the other kind only.
    assert!(matches!(judge(&[fixture!("ann.pub")], fixture!("ssh-ed.sig")), Err(Flaw::UnknownKey(_))));
    assert!(matches!(judge(&[fixture!("ssh-ed.pub")], fixture!("ann.sig")), Err(Flaw::UnknownKey(_))));
}

#[test]
fn attack_content_that_was_not_signed_is_refused() {
    let other = CONTENT.replace("4b825dc", "deadbee");
    let now = "2026-06-01T00:00:00Z";
    for (key, signature) in [
        (fixture!("ann.pub"), fixture!("ann.sig")),
        (fixture!("rex.pub"), fixture!("rex.sig")),
        (fixture!("sub.pub"), fixture!("sub.sig")),
        (fixture!("ssh-ed.pub"), fixture!("ssh-ed.sig")),
        (fixture!("ssh-ec.pub"), fixture!("ssh-ec.sig")),
        (fixture!("ssh-rsa.pub"), fixture!("ssh-rsa.sig")),
    ] {
        assert!(matches!(judge_at(&[key], &other, signature, now), Err(Flaw::Tampered(_))), "{signature}");
    }
}

#[test]
fn attack_expired_keys_and_signatures_are_refused_whatever_date_they_write() {
    // The signature is dated when the key was still good: its holder writes the date.
    let flaw = judge(&[fixture!("old.pub")], fixture!("old.sig")).unwrap_err();
    assert_eq!(
        flaw.to_string(),
        "its signature is by key EEEEC99A541C11519FDFBCD98D62DA4BE91D1B38, which expired at 2026-01-01T00:00:00Z"
    );
    assert!(judge_at(&[fixture!("old.pub")], CONTENT, fixture!("old.sig"), "2025-12-31T23:59:59Z").is_ok());
    let short = judge(&[fixture!("ann.pub")], fixture!("ann-short.sig")).unwrap_err();
    assert!(matches!(short, Flaw::Expired { what: "and itself", .. }), "{short:?}");
    // From the future, by our clock.
    let early = judge_at(&[fixture!("ann.pub")], CONTENT, fixture!("ann.sig"), "2025-05-01T00:00:00Z").unwrap_err();
    assert!(matches!(early, Flaw::NotYet { .. }), "{early:?}");
    for (options, good) in [
        ("valid-before=\"20260601\"", false),
        ("valid-before=\"20260602Z\"", true),
        ("valid-after=\"202606010001\"", false),
        ("valid-after=\"20250101\",valid-before=\"20270101\"", true),
    ] {
        let allowed = format!("ann@example.com {options} {}", fixture!("ssh-ed.pub"));
        assert_eq!(judge(&[&allowed], fixture!("ssh-ed.sig")).is_ok(), good, "{options}");
    }
}

#[test]
fn attack_revoked_keys_are_refused() {
    assert!(matches!(judge(&[fixture!("rex-revoked.pub")], fixture!("rex.sig")), Err(Flaw::Revoked(_))));
    assert!(matches!(judge(&[fixture!("sub-revoked.pub")], fixture!("sub.sig")), Err(Flaw::Revoked(_))));
    let files = [("allowed", fixture!("ssh-ed.pub")), ("revoked_keys", fixture!("ssh-ed.pub"))];
    let ring = Keyring::read("signers", files.into_iter().map(|(name, text)| (name, text.as_bytes()))).unwrap();
    let signed = Signed { content: CONTENT.into(), signature: Some(fixture!("ssh-ed.sig").into()) };
    assert!(matches!(ring.judge(&signed, at("2026-06-01T00:00:00Z")), Err(Flaw::Revoked(_))));
}

#[test]
fn a_key_that_was_extended_counts_beside_its_older_self() {
    // But a revocation counts wherever it stands.
    for keys in [[fixture!("rex-revoked.pub"), fixture!("rex.pub")], [fixture!("rex.pub"), fixture!("rex-revoked.pub")]]
    {
        assert!(matches!(judge(&keys, fixture!("rex.sig")), Err(Flaw::Revoked(_))));
    }
    assert!(judge(&[fixture!("old.pub"), fixture!("old-extended.pub")], fixture!("old.sig")).is_ok());
}

#[test]
fn attack_weak_keys_and_hashes_are_refused() {
    assert!(matches!(judge(&[fixture!("weak.pub")], fixture!("weak.sig")), Err(Flaw::Weak { .. })));
    assert!(matches!(judge(&[fixture!("rex.pub")], fixture!("rex-sha1.sig")), Err(Flaw::Weak { .. })));
    assert!(matches!(judge(&[fixture!("ssh-small.pub")], fixture!("ssh-small.sig")), Err(Flaw::Weak { .. })));
}

#[test]
fn attack_an_ssh_signature_for_something_else_is_refused() {
    assert!(matches!(judge(&[fixture!("ssh-ed.pub")], fixture!("ssh-ed-file.sig")), Err(Flaw::NotForThis { .. })));
}

#[test]
fn a_secret_that_cannot_be_used_says_which_file_and_line() {
    let error = |name: &str, text: &str| Keyring::read("s", [(name, text.as_bytes())].into_iter()).unwrap_err();
    let ed = fixture!("ssh-ed.pub").trim();
    assert_eq!(error("a", ""), "there is no public key in it");
    assert_eq!(error("a", "# nobody\nc4n4ry\n"), "key a: line 2: it has no key of a known type");
    assert_eq!(
        error("a", &format!("x cert-authority {ed}")),
        "key a: line 1: authorities for SSH certificates are not supported"
    );
    assert_eq!(
        error("a", &format!("cert-authority {ed}")),
        "key a: line 1: authorities for SSH certificates are not supported"
    );
    assert_eq!(error("a", &format!("x namespaces=\"file\" {ed}")), "key a: line 1: the key is for file, not for git");
    assert!(error("a", &format!("x no-touch-required {ed}")).contains("is not known"));
    assert!(error("a", &format!("x valid-after=\"soon\" {ed}")).contains("is no time"));
    assert_eq!(error("a", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nc4n4ry\n"), "key a: a public key cannot be read");
    let private = error("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nc4n4ry\n");
    assert!(private.contains("holds a private key") && !private.contains("c4n4ry"));
}

proptest! {
    #[test]
    fn no_signature_makes_it_panic(text in "[ -~\n]{0,200}", cut in 0..400_usize, byte in any::<u8>()) {
        let keys = [fixture!("ann.pub"), fixture!("ssh-ed.pub"), fixture!("rex.pub")];
        for kind in ["PGP", "SSH"] {
            let armored = format!("-----BEGIN {kind} SIGNATURE-----\n{text}\n-----END {kind} SIGNATURE-----\n");
            prop_assert!(judge(&keys, &armored).is_err());
        }
        // Good ones with a wrong byte somewhere.
        for good in [fixture!("ann.sig"), fixture!("ssh-ed.sig"), fixture!("rex.sig")] {
            let mut bytes = good.as_bytes().to_vec();
            let cut = cut % bytes.len();
            bytes[cut] = byte;
            let _ = judge(&keys, &String::from_utf8_lossy(&bytes));
            let _ = judge(&keys, &String::from_utf8_lossy(&bytes[..cut]));
        }
    }

    #[test]
    fn no_keyring_makes_it_panic(text in "[ -~\n]{0,200}") {
        let _ = Keyring::read("s", [("a", text.as_bytes())].into_iter());
        let line = format!("x {text} {}", fixture!("ssh-ed.pub"));
        let _ = Keyring::read("s", [("a", line.as_bytes())].into_iter());
    }
}
