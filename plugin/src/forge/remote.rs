//! Addresses of Git remotes, and what they tell about the forge behind them.

use super::Kind;
use super::secret::{Secret, decoded};

/// How a remote is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    Http,
    Ssh,
}

/// A remote on another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteUrl {
    pub(crate) scheme: Scheme,
    /// Without a port.
    pub(crate) host: String,
    /// The port, if it is not the usual one.
    pub(crate) port: Option<u16>,
    /// The user and the password, or token, that stand in the address.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// `group/sub/repo`, without `.git`.
    pub(crate) path: String,
}

impl RemoteUrl {
    /// Reads an address; `None` when it is a path of this machine, or of a kind that no forge has.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else { return Self::parse_scp(text) };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
            _ => return None,
        };
        let (authority, path) = rest.split_once('/')?;
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host)?;
        let usual = match scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
            Scheme::Ssh => 22,
        };
        let (user, password) = match userinfo.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            Some((user, password)) => (Some(decoded(user)), Some(decoded(password))),
            None => (None, None),
        };
        Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| *port != usual),
            user: user.filter(|user| !user.is_empty()),
            password: password.filter(|password| !password.is_empty()).map(Secret::new),
            path: clean_path(path)?,
        }
        .into()
    }

    /// `git@host:group/repo.git`.
    fn parse_scp(text: &str) -> Option<Self> {
        let (authority, path) = text.split_once(':')?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        // `C:\repo`, `./a:b`, and `ext::program` of Git's remote helpers.
        if host.len() < 2 || host.contains(['/', '\\']) || path.starts_with(['\\', ':']) {
            return None;
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Some(Self { scheme: Scheme::Ssh, host, port: None, user, password: None, path: clean_path(path)? })
    }

    /// Is another remote on the same forge? One may be reached over SSH and the other over HTTPS.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        let host = |remote: &Self| match remote.host.as_str() {
            "ssh.github.com" => "github.com".to_owned(),
            "altssh.gitlab.com" => "gitlab.com".to_owned(),
            host => host.to_owned(),
        };
        let ports_differ = self.scheme == other.scheme && self.port != other.port;
        host(self) == host(other) && !ports_differ
    }

    /// Where people see the forge: HTTPS, with the port only if the remote is a web address itself.
    pub(crate) fn web(&self) -> String {
        let host = match self.host.as_str() {
            // Git over SSH through the port of HTTPS.
            "ssh.github.com" => "github.com",
            "altssh.gitlab.com" => "gitlab.com",
            host => host,
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match (self.scheme, self.port) {
            (Scheme::Http, Some(port)) => format!("http://{host}:{port}"),
            (Scheme::Http, None) => format!("http://{host}"),
            (Scheme::Https, Some(port)) => format!("https://{host}:{port}"),
            _ => format!("https://{host}"),
        }
    }

    /// The kind of forge that the host's name tells.
    pub(crate) fn guess(&self) -> Option<Kind> {
        let host = self.host.as_str();
        let named = |name: &str| host.split('.').any(|part| part == name || part.starts_with(&format!("{name}-")));
        let below = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        if below("codeup.aliyun.com") || named("codeup") {
            Some(Kind::Codeup)
        } else if below("github.com") || below("ghe.com") || named("github") {
            Some(Kind::GitHub)
        } else if below("gitee.com") || named("gitee") {
            Some(Kind::Gitee)
        } else if below("gitlab.com") || named("gitlab") {
            Some(Kind::GitLab)
        } else if named("gitea") || named("forgejo") || host == "codeberg.org" {
            Some(Kind::Gitea)
        } else {
            None
        }
    }
}

fn split_port(host: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        let port = tail.strip_prefix(':').map(str::parse).transpose().ok()?;
        return Some((host.to_owned(), port));
    }
    match host.split_once(':') {
        Some((host, "")) => Some((host.to_owned(), None)),
        Some((host, port)) => Some((host.to_owned(), Some(port.parse().ok()?))),
        None => Some((host.to_owned(), None)),
    }
    .filter(|(host, _)| !host.is_empty())
}

fn clean_path(path: &str) -> Option<String> {
    let path = decoded(path.split(['?', '#']).next().unwrap_or(path));
    let path = path.trim_matches('/').trim_start_matches("~/");
    let path = path.strip_suffix(".git").unwrap_or(path);
    let sound = !path.is_empty() && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    (sound && !path.chars().any(char::is_control)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address() {
        use Kind::{Codeup, GitHub, GitLab, Gitea, Gitee};
        for (url, web, path, kind) in [
            ("https://github.com/shop/fleet.git", "https://github.com", "shop/fleet", Some(GitHub)),
            ("https://GitHub.com/shop/fleet/", "https://github.com", "shop/fleet", Some(GitHub)),
            ("git@github.com:shop/fleet.git", "https://github.com", "shop/fleet", Some(GitHub)),
            ("ssh://git@ssh.github.com:443/shop/fleet.git", "https://github.com", "shop/fleet", Some(GitHub)),
            ("https://acme.ghe.com/shop/fleet", "https://acme.ghe.com", "shop/fleet", Some(GitHub)),
            ("git@github.acme.cn:shop/fleet", "https://github.acme.cn", "shop/fleet", Some(GitHub)),
            ("git@gitlab.com:shop/mesh/sub/fleet.git", "https://gitlab.com", "shop/mesh/sub/fleet", Some(GitLab)),
            ("https://gitlab.acme.cn:8443/a/b/c/fleet.git", "https://gitlab.acme.cn:8443", "a/b/c/fleet", Some(GitLab)),
            ("ssh://git@gitlab.acme.cn:2222/a/fleet.git", "https://gitlab.acme.cn", "a/fleet", Some(GitLab)),
            ("http://gitea.lan:3000/shop/fleet", "http://gitea.lan:3000", "shop/fleet", Some(Gitea)),
            ("https://codeberg.org/shop/fleet.git", "https://codeberg.org", "shop/fleet", Some(Gitea)),
            ("git@gitee.com:shop/fleet.git", "https://gitee.com", "shop/fleet", Some(Gitee)),
            (
                "https://codeup.aliyun.com/60d54f3daccf2bbd6659f3ad/mesh/fleet.git",
                "https://codeup.aliyun.com",
                "60d54f3daccf2bbd6659f3ad/mesh/fleet",
                Some(Codeup),
            ),
            (
                "git@codeup.aliyun.com:60d54f3daccf2bbd6659f3ad/fleet.git",
                "https://codeup.aliyun.com",
                "60d54f3daccf2bbd6659f3ad/fleet",
                Some(Codeup),
            ),
            ("git@git.acme.cn:shop/fleet.git", "https://git.acme.cn", "shop/fleet", None),
            ("ssh://git@[2001:db8::1]:22/shop/fleet", "https://[2001:db8::1]", "shop/fleet", None),
            ("https://git.acme.cn/shop/f%20leet", "https://git.acme.cn", "shop/f leet", None),
            ("host:~/fleet.git", "https://host", "fleet", None),
            // A name that only looks like one of them.
            ("https://notgithub.com/shop/fleet", "https://notgithub.com", "shop/fleet", None),
        ] {
            let remote = RemoteUrl::parse(url).unwrap_or_else(|| panic!("{url}"));
            assert_eq!((remote.web().as_str(), remote.path.as_str(), remote.guess()), (web, path, kind), "{url}");
        }
    }

    #[test]
    fn what_is_no_forge() {
        for url in [
            "/srv/git/fleet.git",
            "../fleet",
            "file:///srv/git/fleet.git",
            "C:\\repos\\fleet",
            "C:/repos/fleet",
            "",
            "https://",
            "https://host",
            "https://host/",
            "https://:80/a/b",
            "https://host:x/a/b",
            "https://host/a/../b",
            "git://host/a/b",
            "ext::sh -c true",
        ] {
            assert_eq!(RemoteUrl::parse(url), None, "{url}");
        }
    }

    #[test]
    fn credentials_in_the_address() {
        let remote = RemoteUrl::parse("https://bot:s3%26cret@git.acme.cn/a/b.git").unwrap();
        assert_eq!(remote.user.as_deref(), Some("bot"));
        assert_eq!(remote.password.as_ref().map(Secret::expose), Some("s3&cret"));
        assert!(!format!("{remote:?}").contains("cret"));
        assert_eq!(remote.web(), "https://git.acme.cn");
    }
}
