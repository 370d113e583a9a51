//! The URLs that the agent fetches from: a strict grammar, because what is not taken here cannot confuse what comes
//! after (CVE-2021-41254, `ssh://-oProxyCommand=…`, `ext::…`).

use std::fmt;

use super::SourceError;

/// A checked `http://` or `https://` URL without user, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteUrl {
    text: String,
    host: String,
    secure: bool,
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl RemoteUrl {
    pub(super) fn parse(text: &str) -> Result<Self, SourceError> {
        Self::read(text).map_err(|reason| SourceError::InvalidUrl { url: shown(text), reason: reason.to_owned() })
    }

    /// Whether it is `https://`.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host name or address, without port and brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
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
        let (secure, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(other_scheme(text));
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err("it holds a user or password, which everybody who may read the FleetSync could see");
        }
        let host = host(authority)?;
        path_is_plain(path)?;
        Ok(Self { text: text.to_owned(), host: host.to_owned(), secure })
    }
}

fn other_scheme(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("ssh://") || (!lower.contains("://") && lower.contains('@') && lower.contains(':')) {
        "SSH is not supported yet: use the https:// URL with a token"
    } else if lower.starts_with("file:") || lower.starts_with('/') || lower.starts_with('.') {
        "local repositories are not supported: the agent reads no files"
    } else if lower.contains("::") && !lower.contains("://") {
        "remote helpers (ext::, fd::) run programs and are not supported"
    } else {
        "it must begin with https:// (or http://, without credentials)"
    }
}

fn host(authority: &str) -> Result<&str, &'static str> {
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
    match port.map(|port| (port, port.parse::<u16>())) {
        None => Ok(host),
        Some((digits, Ok(1..))) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(host),
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
    use super::RemoteUrl;

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
            assert_eq!((parsed.host(), parsed.is_secure(), parsed.to_string().as_str()), (host, secure, url));
        }
    }

    #[test]
    fn refuses_everything_else_and_says_why() {
        for (url, reason) in [
            ("", "empty"),
            ("ssh://-oProxyCommand=touch/x", "SSH"),
            ("git@github.com:team/fleet.git", "SSH"),
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
