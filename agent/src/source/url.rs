//! The URLs that the agent fetches from: a strict grammar, because what is not taken here cannot confuse what comes
//! after (CVE-2021-41254, `ssh://-oProxyCommand=…`, `ext::…`).

use std::fmt;

use super::SourceError;

/// A checked URL: `http(s)://` without user, query and fragment; or `ssh://USER@HOST/PATH`, or `USER@HOST:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteUrl {
    text: String,
    host: String,
    port: u16,
    scheme: Scheme,
    /// For SSH: who logs in.
    user: String,
    /// For SSH: what `git-upload-pack` is asked for.
    path: String,
}

/// How the server is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Ssh,
}

/// The user of every forge's SSH.
const SSH_USER: &str = "git";

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl RemoteUrl {
    pub(super) fn parse(text: &str) -> Result<Self, SourceError> {
        Self::read(text).map_err(|reason| SourceError::InvalidUrl { url: shown(text), reason: reason.to_owned() })
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host name or address, without port and brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// As the Git library is told it: one of the schemes that `transport` serves.
    pub(super) fn for_library(&self) -> String {
        match self.scheme {
            Scheme::Ssh => format!("ssh://{}/repository", self.host),
            Scheme::Http | Scheme::Https => self.text.clone(),
        }
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.len() > 2048 {
            return Err("it is longer than 2048 characters");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has spaces, control characters or characters outside ASCII (write those as %XX)");
        }
        if let Some(rest) = text.strip_prefix("https://") {
            Self::read_http(text, rest, Scheme::Https)
        } else if let Some(rest) = text.strip_prefix("http://") {
            Self::read_http(text, rest, Scheme::Http)
        } else if let Some(rest) = text.strip_prefix("ssh://") {
            Self::read_ssh(text, rest)
        } else {
            Self::read_scp(text)
        }
    }

    fn read_http(text: &str, rest: &str, scheme: Scheme) -> Result<Self, &'static str> {
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err("it holds a user or password, which everybody who may read the FleetSync could see");
        }
        let (host, port) = host(authority)?;
        path_is_plain(path)?;
        let port = port.unwrap_or(if scheme == Scheme::Https { 443 } else { 80 });
        let text = text.trim_end_matches('/').to_owned();
        Ok(Self { text, host: host.to_owned(), port, scheme, user: String::new(), path: String::new() })
    }

    fn read_ssh(text: &str, rest: &str) -> Result<Self, &'static str> {
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, authority) = ssh_user(authority)?;
        let (host, port) = host(authority)?;
        path_is_plain(path)?;
        let path = percent_decoded(path)?;
        // `/~user/…` is relative to somebody's home, as Git has it.
        let path = if path.starts_with("/~") { path.get(1..).unwrap_or_default().to_owned() } else { path };
        Self::ssh(text, user, host, port.unwrap_or(22), path)
    }

    /// `USER@HOST:PATH`, as Git takes it: no port, the path as it stands.
    fn read_scp(text: &str) -> Result<Self, &'static str> {
        let scp = text.split_once('@').filter(|_| !text.contains("://"));
        let Some((user, rest)) = scp else { return Err(other_scheme(text)) };
        let user = ssh_name(user)?;
        let (authority, path) = if rest.starts_with('[') {
            let end = rest.find("]:").ok_or("the address has no closing bracket and colon")?;
            (rest.get(..=end).unwrap_or_default(), rest.get(end + 2..).unwrap_or_default())
        } else {
            rest.split_once(':').ok_or_else(|| other_scheme(text))?
        };
        if authority.contains('@') {
            return Err("it holds a password, which everybody who may read the FleetSync could see");
        }
        let (host, _) = host(authority)?;
        path_is_plain(path)?;
        Self::ssh(text, user, host, 22, path.to_owned())
    }

    fn ssh(text: &str, user: &str, host: &str, port: u16, path: String) -> Result<Self, &'static str> {
        // Goes to the server's shell in single quotes, and must not look like an option there.
        if path.trim_start_matches('/').starts_with('-') || path.contains(['\'', '!', '\n', '\r', '\0']) {
            return Err("the path has characters that the server's shell could take for something else");
        }
        let (user, host) = (user.to_owned(), host.to_owned());
        Ok(Self { text: text.to_owned(), host, port, scheme: Scheme::Ssh, user, path })
    }
}

/// User and the rest of an authority of SSH.
fn ssh_user(authority: &str) -> Result<(&str, &str), &'static str> {
    match authority.rsplit_once('@') {
        Some((user, rest)) => Ok((ssh_name(user)?, rest)),
        None => Ok((SSH_USER, authority)),
    }
}

fn ssh_name(user: &str) -> Result<&str, &'static str> {
    if user.contains(':') {
        return Err("it holds a password, which everybody who may read the FleetSync could see");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if user.is_empty() || user.starts_with('-') || !user.bytes().all(plain) {
        return Err("what is before the @ is no user name");
    }
    Ok(user)
}

fn percent_decoded(path: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match (first, pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let path = String::from_utf8(bytes).map_err(|_| "the path is not UTF-8 behind its %")?;
    path_is_plain(&path.replace('%', "%25"))?;
    Ok(path)
}

fn other_scheme(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("file:") || lower.starts_with('/') || lower.starts_with('.') {
        "local repositories are not supported: the agent reads no files"
    } else if lower.contains("::") && !lower.contains("://") {
        "remote helpers (ext::, fd::) run programs and are not supported"
    } else {
        "it must begin with https:// or ssh:// (or http://, without credentials), or be USER@HOST:PATH"
    }
}

fn host(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or("the address has no closing bracket")?;
        address.parse::<std::net::Ipv6Addr>().map_err(|_| "what is between brackets is no IPv6 address")?;
        match port {
            "" => (address, None),
            _ => (address, Some(port.strip_prefix(':').ok_or("there is something between host and port")?)),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if host.is_empty() {
            return Err("it has no host");
        }
        if host.starts_with(['-', '.']) || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            return Err("the host is no name or address");
        }
        (host, port)
    };
    asm_shared::kubeconfig::check_host(host)?;
    match port.map(|port| (port, port.parse::<u16>())) {
        None => Ok((host, None)),
        Some((digits, Ok(port @ 1..))) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok((host, Some(port))),
        Some(_) => Err("the port is no number from 1 to 65535"),
    }
}

fn path_is_plain(path: &str) -> Result<(), &'static str> {
    if path.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    if path.trim_matches('/').is_empty() {
        return Err("it has no path: write the repository's full URL");
    }
    if path.contains('\\') || path.contains('"') || path.contains('<') || path.contains('>') {
        return Err("the path has characters that a URL cannot have");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("the path has . or .. in it");
    }
    for (at, _) in path.match_indices('%') {
        match path.get(at + 1..at + 3).map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(0x20..=0x7e | 0x80..)) => {}
            _ => return Err("the path has a % that is not followed by the two digits of a character"),
        }
    }
    Ok(())
}

/// What may be shown of a URL that was not understood: no user or password, no control characters.
fn shown(text: &str) -> String {
    let authority = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(authority);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let rest = match rest.get(..end).and_then(|authority| authority.rfind('@')) {
        Some(at) => rest.get(at + 1..).unwrap_or_default(),
        None => rest,
    };
    let shown = format!("{scheme}{rest}");
    let shown = shown.split(['?', '#']).next().unwrap_or_default();
    super::remote::clean(shown, 200)
}

#[cfg(test)]
mod tests {
    use super::{RemoteUrl, Scheme};

    #[test]
    fn takes_plain_https_and_http() {
        for (url, host, secure) in [
            ("https://git.example.com/team/fleet.git", "git.example.com", true),
            ("https://git.example.com:8443/fleet", "git.example.com", true),
            ("http://10.0.0.1:3000/a/b", "10.0.0.1", false),
            ("https://[fd00::1]:3000/a%20b", "fd00::1", true),
            ("https://codeup.aliyun.com/5f/team/-fleet.git", "codeup.aliyun.com", true),
        ] {
            let parsed = RemoteUrl::parse(url).unwrap();
            assert_eq!(parsed.host(), host);
            assert_eq!((parsed.scheme() == Scheme::Https, parsed.to_string().as_str()), (secure, url));
        }
    }

    #[test]
    fn takes_both_forms_of_ssh() {
        for (url, user, host, port, path) in [
            ("git@github.com:team/fleet.git", "git", "github.com", 22, "team/fleet.git"),
            ("git@github.com:/srv/fleet.git", "git", "github.com", 22, "/srv/fleet.git"),
            ("bot-1@[fd00::1]:fleet", "bot-1", "fd00::1", 22, "fleet"),
            ("ssh://git@git.example.com/team/fleet.git", "git", "git.example.com", 22, "/team/fleet.git"),
            ("ssh://git.example.com:2222/fleet", "git", "git.example.com", 2222, "/fleet"),
            ("ssh://ann@[::1]:2222/~ann/my%20fleet", "ann", "::1", 2222, "~ann/my fleet"),
        ] {
            let parsed = RemoteUrl::parse(url).unwrap();
            assert_eq!(parsed.scheme(), Scheme::Ssh);
            assert_eq!((parsed.user(), parsed.host(), parsed.port(), parsed.path()), (user, host, port, path));
        }
    }

    #[test]
    fn refuses_everything_else_and_says_why() {
        for (url, reason) in [
            ("", "empty"),
            ("ssh://-oProxyCommand=touch/x", "no name"),
            ("ssh://-oProxyCommand=touch@host/x", "no user name"),
            ("ssh://git@host/a'b", "shell"),
            ("ssh://git@host/a%27b", "shell"),
            ("ssh://git@host/a%0ab", "%"),
            ("ssh://git@host/-upload", "shell"),
            ("ssh://git@host", "no path"),
            ("ssh://git@host/../x", ".."),
            ("ssh://git@host/%2e%2e/x", ".."),
            ("ssh://git:hunter2@host/x", "password"),
            ("git@host:--upload-pack=touch", "shell"),
            ("git@-host:x", "no name"),
            ("-git@host:x", "no user name"),
            ("git@host:", "no path"),
            ("host:path", "must begin with"),
            ("ext::sh -c touch", "spaces"),
            ("ext::sh", "remote helpers"),
            ("file:///etc", "local"),
            ("/srv/git/fleet.git", "local"),
            ("../fleet", "local"),
            ("--upload-pack=touch", "must begin with https://"),
            ("git://example.com/fleet", "must begin with https://"),
            ("HTTPS://example.com/fleet", "must begin with https://"),
            ("https://", "no host"),
            ("https:///fleet", "no host"),
            ("https://-x/fleet", "no name"),
            ("https://a b/fleet", "spaces"),
            ("https://exa\u{7}mple.com/fleet", "control"),
            ("https://例え.jp/fleet", "ASCII"),
            ("https://example.com", "no path"),
            ("https://example.com//", "no path"),
            ("https://example.com/a?x=1", "query"),
            ("https://example.com/a#x", "fragment"),
            ("https://example.com/../a", ".."),
            ("https://example.com/a%0d%0aHost:evil", "%"),
            ("https://example.com/a%", "%"),
            ("https://example.com/a%zz", "%"),
            ("https://example.com:0/a", "port"),
            ("https://example.com:+80/a", "port"),
            ("https://example.com:99999/a", "port"),
            ("https://[::1/a", "bracket"),
            ("https://[example]/a", "IPv6"),
            ("https://[::1]80/a", "between"),
            ("https://example.com\\@evil.com/a", "user"),
        ] {
            let error = RemoteUrl::parse(url).unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
        assert!(RemoteUrl::parse(&format!("https://example.com/{}", "a".repeat(3000))).is_err());
    }

    #[test]
    fn errors_never_show_credentials() {
        for url in [
            "https://alice:hunter2@example.com/fleet",
            "https://hunter2@example.com/fleet",
            "https://alice:hun@ter2@example.com/fleet",
            "alice:hunter2@example.com:fleet",
            "ftp://alice:hunter2@example.com/fleet",
            "https://example.com/fleet?token=hunter2",
        ] {
            let error = format!("{:?} {0}", RemoteUrl::parse(url).unwrap_err());
            assert!(!error.contains("hunter2") && !error.contains("ter2@"), "{error}");
        }
    }
}
