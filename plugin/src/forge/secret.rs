//! Values that must not be seen, and what keeps them out of everything that is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;
use std::sync::Mutex;

/// A token or a password. It has no `Display`, and its `Debug` tells nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value itself; only for requests.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Takes known secrets, and the user part of every URL, out of text that others wrote: Git, hooks, forges.
#[derive(Debug, Default)]
pub(crate) struct Redactor(Mutex<Vec<Secret>>);

impl Redactor {
    /// Remembers a secret, and the spellings in which Git and HTTP carry it.
    pub(crate) fn add(&self, user: Option<&str>, secret: &Secret) {
        let text = secret.expose();
        if text.is_empty() {
            return;
        }
        let mut spellings = vec![text.to_owned(), encoded(text), base64(text)];
        for user in [user.unwrap_or_default(), "", "x-access-token", "oauth2"] {
            spellings.push(base64(&format!("{user}:{text}")));
        }
        if let Ok(mut known) = self.0.lock() {
            known.extend(spellings.into_iter().map(Secret::new));
            // A secret that holds another one goes first.
            known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
            known.dedup();
        }
    }

    /// The text without them.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = without_userinfo(text);
        if let Ok(known) = self.0.lock() {
            for secret in known.iter() {
                text = text.replace(secret.expose(), "***");
            }
        }
        text
    }
}

/// `https://user:token@host` and `https://token@host` without what stands before the `@`.
fn without_userinfo(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace()).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            // The user of an SSH address is no secret, and without it nobody knows whose key was tried.
            Some((user, _)) if before.ends_with("ssh://") && !user.contains(':') => shown.push_str(authority),
            Some((_, host)) => shown.push_str(host),
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown + rest
}

/// What need not be encoded anywhere in a URL.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encoded as a segment of a path, or as a value of a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Percent-decoded; what is no valid encoding stays.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// As basic authentication carries it.
pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_every_spelling() {
        let redactor = Redactor::default();
        redactor.add(Some("bot"), &Secret::new("s3cr&t/x"));
        for text in [
            "fatal: unable to access 'https://bot:s3cr&t/x@git.example.com/a.git/': 403",
            "Authorization: token s3cr&t/x",
            &format!("Authorization: Basic {}", base64("bot:s3cr&t/x")),
            "https://bot:s3cr%26t%2Fx@git.example.com/a.git",
        ] {
            let clean = redactor.clean(text);
            assert!(!clean.contains("s3cr") && !clean.contains(&base64("bot:s3cr&t/x")), "{clean}");
        }
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "***");
    }

    #[test]
    fn users_of_addresses_are_left_out() {
        let clean = |text| Redactor::default().clean(text);
        assert_eq!(clean("see https://u:p@h:8/x and http://t@h"), "see https://h:8/x and http://h");
        assert_eq!(clean("ssh://git@h/x ssh://git:p@h/x git@h:x"), "ssh://git@h/x ssh://h/x git@h:x");
        assert_eq!(clean("https://h/a@b"), "https://h/a@b");
    }

    #[test]
    fn base64_and_percent() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text), expected);
        }
        assert_eq!(encoded("a b/ü"), "a%20b%2F%C3%BC");
        assert_eq!(decoded("a%20b%2F%C3%BC%zz%"), "a b/ü%zz%");
    }
}
