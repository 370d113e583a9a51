//! The server's keys for SSH, as the Secret's `known_hosts` says: nothing is trusted on first use.

use hmac::{Hmac, KeyInit as _, Mac as _};
use ssh_key::known_hosts::{HostPatterns, Marker};
use ssh_key::{Algorithm, HashAlg, KnownHosts, PublicKey};

/// What is known of one server.
#[derive(Debug)]
pub(super) struct HostKeys {
    keys: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

impl HostKeys {
    /// What `known_hosts` says of a server.
    pub(super) fn of(known_hosts: &str, host: &str, port: u16) -> Result<Self, String> {
        let name = name(host, port);
        let (mut keys, mut revoked, mut authority, mut broken, mut others) = (Vec::new(), Vec::new(), false, 0, 0);
        for entry in KnownHosts::new(known_hosts) {
            match entry {
                Err(_) => broken += 1,
                Ok(entry) if !names(entry.host_patterns(), &name) => others += 1,
                Ok(entry) => match entry.marker() {
                    None => keys.push(entry.public_key().clone()),
                    Some(Marker::Revoked) => revoked.push(entry.public_key().clone()),
                    Some(Marker::CertAuthority) => authority = true,
                },
            }
        }
        if keys.is_empty() {
            let why = if authority {
                format!("known_hosts names only an authority for {name}; certificates of hosts are not supported")
            } else if broken > 0 {
                format!("known_hosts has no key for {name}; {broken} of its lines cannot be read")
            } else {
                format!("known_hosts has no key for {name} (it has {others} for other hosts)")
            };
            return Err(why);
        }
        Ok(Self { keys, revoked })
    }

    /// What the server is asked to show: only kinds of keys that are known, or it might show another of its keys.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for key in &self.keys {
            let of_key = match key.algorithm() {
                // Never with SHA-1.
                Algorithm::Rsa { .. } => {
                    [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec()
                }
                other => vec![other],
            };
            for algorithm in of_key {
                if !algorithms.contains(&algorithm) {
                    algorithms.push(algorithm);
                }
            }
        }
        algorithms
    }

    /// Whether the server's key is one of them.
    pub(super) fn check(&self, shown: &PublicKey) -> Result<(), String> {
        let print = |key: &PublicKey| format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        let is_shown = |key: &PublicKey| key.key_data() == shown.key_data();
        if self.revoked.iter().any(is_shown) {
            return Err(format!("known_hosts says @revoked of the key that the server shows, {}", print(shown)));
        }
        if self.keys.iter().any(is_shown) {
            return Ok(());
        }
        let known: Vec<String> = self.keys.iter().take(4).map(print).collect();
        Err(format!("the server shows {}, known_hosts has {}", print(shown), known.join(", ")))
    }
}

/// As OpenSSH writes it.
fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn names(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let Ok(mut mac) = Hmac::<sha1::Sha1>::new_from_slice(salt) else { return false };
            mac.update(name.as_bytes());
            mac.verify_slice(hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let matches = |pattern: &str| glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
            let excluded = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(matches);
            !excluded && patterns.iter().any(|pattern| !pattern.starts_with('!') && matches(pattern))
        }
    }
}

/// `*` and `?`, without going back further than the last `*`.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::{HostKeys, glob};

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const EC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

    fn key(text: &str) -> ssh_key::PublicKey {
        text.parse().unwrap()
    }

    #[test]
    fn finds_names_as_openssh_does() {
        // Made by `ssh-keygen -H`.
        let hashed = "|1|PsuK6ikQPlbD5ipkfM3I2rg7Q6M=|JR8LQ3kV9JkRwpRruxpjA8CDCqg=";
        for (line, host, port, found) in [
            (format!("github.com {ED}"), "GitHub.com", 22, true),
            (format!("github.com {ED}"), "github.com", 2222, false),
            (format!("[github.com]:2222 {ED}"), "github.com", 2222, true),
            (
                format!("a.example.com,*.git.example.com,!bad.git.example.com {ED} a comment"),
                "x.git.example.com",
                22,
                true,
            ),
            (format!("a.example.com,*.git.example.com,!bad.git.example.com {ED}"), "bad.git.example.com", 22, false),
            (format!("{hashed} {ED}"), "example.com", 22, true),
            (format!("{hashed} {ED}"), "example.org", 22, false),
            (format!("# github.com {ED}"), "github.com", 22, false),
            (format!("@cert-authority github.com {ED}"), "github.com", 22, false),
            ("github.com nonsense".to_owned(), "github.com", 22, false),
        ] {
            assert_eq!(HostKeys::of(&line, host, port).is_ok(), found, "{line}, {host}");
        }
        let error = |text: &str| HostKeys::of(text, "github.com", 22).unwrap_err();
        assert!(error(&format!("@cert-authority github.com {ED}")).contains("authority"));
        assert!(error("github.com nonsense").contains("1 of its lines cannot be read"));
        assert!(error("").contains("no key for github.com"));
    }

    #[test]
    fn takes_a_key_that_is_known_and_no_other() {
        let known = HostKeys::of(&format!("github.com {ED}\n@revoked * {EC}\n"), "github.com", 22).unwrap();
        assert_eq!(known.check(&key(ED)), Ok(()));
        assert!(known.check(&key(EC)).unwrap_err().contains("@revoked"));
        assert_eq!(known.algorithms(), [ssh_key::Algorithm::Ed25519]);
        let other = HostKeys::of(&format!("github.com {EC}\n"), "github.com", 22).unwrap();
        let error = other.check(&key(ED)).unwrap_err();
        assert!(
            error.starts_with("the server shows ssh-ed25519 SHA256:") && error.contains("known_hosts has ecdsa"),
            "{error}"
        );
    }

    #[test]
    fn patterns() {
        for (pattern, text, matches) in
            [("*", "", true), ("a*c*e", "abcde", true), ("a?c", "abc", true), ("a*b", "aXc", false), ("", "a", false)]
        {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
        assert!(!glob(&b"*a".repeat(40), &b"a".repeat(39)));
    }
}
