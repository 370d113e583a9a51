//! Credentials for a Git server. No `Debug`, error or log line shows their values.

use std::fmt;

/// What the Secret of `source.secretRef` holds.
#[derive(Clone, PartialEq, Eq)]
pub struct GitCredentials {
    username: String,
    password: Option<String>,
    ca: Option<Vec<u8>>,
}

impl GitCredentials {
    /// User and password (or a token as the password), and the certificates (PEM) of the authorities that the server's
    /// certificate may come from, instead of the system's. Without a password only the authorities are used.
    pub fn new(username: impl Into<String>, password: Option<String>, ca: Option<Vec<u8>>) -> Self {
        Self { username: username.into(), password, ca }
    }

    /// User and password, if there is a password.
    pub(crate) fn login(&self) -> Option<(&str, &str)> {
        self.password.as_deref().map(|password| (self.username.as_str(), password))
    }

    pub(super) fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }

    /// The text without the password, should a library or server have put it there.
    pub(super) fn scrub(&self, text: &str) -> String {
        match self.password.as_deref() {
            Some(password) if !password.is_empty() => text.replace(password, "(redacted)"),
            _ => text.to_owned(),
        }
    }
}

impl fmt::Debug for GitCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |there: bool| if there { "(set)" } else { "(none)" };
        f.debug_struct("GitCredentials")
            .field("username", &has(!self.username.is_empty()))
            .field("password", &has(self.password.is_some()))
            .field("ca", &has(self.ca.is_some()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::GitCredentials;

    #[test]
    fn debug_and_scrubbed_texts_show_no_value() {
        let credentials = GitCredentials::new("alice-the-user", Some("hunter2".to_owned()), Some(b"PEM".to_vec()));
        assert_eq!(
            format!("{credentials:?}"),
            r#"GitCredentials { username: "(set)", password: "(set)", ca: "(set)" }"#
        );
        assert_eq!(credentials.scrub("cannot use hunter2 here"), "cannot use (redacted) here");
    }
}
