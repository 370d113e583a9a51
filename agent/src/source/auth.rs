//! Credentials for a Git server. No `Debug`, error or log line shows their values.

use std::fmt;

/// What a Secret of `source.secretRef` or of a mirror holds.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GitCredentials {
    /// For https; the password alone also opens an encrypted `identity`.
    pub username: Option<String>,
    /// The password, or a token in its place.
    pub password: Option<String>,
    /// A token that goes as `Authorization: Bearer`.
    pub bearer_token: Option<String>,
    /// Certificates (PEM) of the authorities that the server's certificate may come from, instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// Client certificate with its chain, and its private key (both PEM).
    pub client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// Private key for SSH, in any form that OpenSSH writes.
    pub identity: Option<String>,
    /// The server's keys for SSH.
    pub known_hosts: Option<String>,
}

impl GitCredentials {
    /// User and password, if there is a password that is not a key's passphrase.
    pub(crate) fn login(&self) -> Option<(&str, &str)> {
        let password = self.password.as_deref().filter(|_| self.identity.is_none())?;
        // A token is enough for most servers: they take any user name, and `git` is what most of them document.
        Some((self.username.as_deref().unwrap_or("git"), password))
    }

    /// The header that says who we are over https.
    pub(super) fn authorization(&self) -> Option<String> {
        use base64::Engine as _;
        if let Some(token) = &self.bearer_token {
            return Some(format!("Bearer {token}"));
        }
        let (user, password) = self.login()?;
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))))
    }

    /// The text without secrets, should a library or server have put one there.
    pub(super) fn scrub(&self, text: &str) -> String {
        let secrets = [self.password.as_deref(), self.bearer_token.as_deref()];
        secrets
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "(redacted)"))
    }
}

impl fmt::Debug for GitCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |there: bool| if there { "(set)" } else { "(none)" };
        f.debug_struct("GitCredentials")
            .field("username", &has(self.username.is_some()))
            .field("password", &has(self.password.is_some()))
            .field("bearer_token", &has(self.bearer_token.is_some()))
            .field("ca", &has(self.ca.is_some()))
            .field("client_certificate", &has(self.client_certificate.is_some()))
            .field("identity", &has(self.identity.is_some()))
            .field("known_hosts", &has(self.known_hosts.is_some()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::GitCredentials;

    #[test]
    fn debug_and_scrubbed_texts_show_no_value() {
        let credentials = GitCredentials {
            username: Some("alice-the-user".to_owned()),
            password: Some("hunter2".to_owned()),
            bearer_token: Some("hunter3".to_owned()),
            client_certificate: Some((b"hunter4".to_vec(), b"hunter5".to_vec())),
            identity: Some("hunter6".to_owned()),
            known_hosts: Some("hunter7".to_owned()),
            ca: Some(b"hunter8".to_vec()),
        };
        let shown = format!("{credentials:?}");
        assert!(
            !shown.contains("hunter") && !shown.contains("alice") && shown.matches("(set)").count() == 7,
            "{shown}"
        );
        assert_eq!(credentials.scrub("no hunter2, no hunter3 here"), "no (redacted), no (redacted) here");
    }

    #[test]
    fn the_passphrase_of_a_key_is_no_login() {
        let password = Some("hunter2".to_owned());
        let token = GitCredentials { password: password.clone(), ..GitCredentials::default() };
        assert_eq!(token.login(), Some(("git", "hunter2")));
        let key = GitCredentials { password, identity: Some("key".to_owned()), ..GitCredentials::default() };
        assert_eq!((key.login(), key.authorization()), (None, None));
    }
}
