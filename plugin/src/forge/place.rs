//! Which forge a remote belongs to, and where its API is.

use super::Kind;
use super::remote::{RemoteUrl, Scheme};
use super::secret::encoded;
use crate::error::CommandError;

/// Where Codeup's API is for codeup.aliyun.com.
const CODEUP: &str = "https://openapi-rdc.aliyuncs.com";

/// A repository on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// Where people see the forge.
    pub(crate) web: String,
    /// Where its API is.
    pub(crate) api: String,
    /// `owner/repo`, or with more groups.
    pub(crate) path: String,
}

impl Place {
    /// The repository behind a remote. `kind` and `url` are what the user said about it.
    pub(crate) fn of(remote: &RemoteUrl, kind: Option<Kind>, url: Option<&str>) -> Result<Self, CommandError> {
        let kind = kind.or_else(|| remote.guess()).ok_or_else(|| {
            CommandError::input(format!("cannot tell which kind of forge {} is", remote.host))
                .hinted("say it with --forge github|gitlab|gitea|gitee|codeup")
                .hinted("or once for this repository: git config asm.forge KIND")
        })?;
        let mut path = remote.path.clone();
        let web = match url {
            Some(url) => {
                let (web, prefix) = web(url)?;
                // A forge below a path: its repositories' addresses begin with it as well.
                let inner = path.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
                if let (Some(inner), true) = (inner, !prefix.is_empty() && remote.scheme != Scheme::Ssh) {
                    path = inner;
                }
                web
            }
            None => remote.web(),
        };
        let segments = path.split('/').count();
        if segments < 2 || segments > 2 && matches!(kind, Kind::GitHub | Kind::Gitea | Kind::Gitee) {
            let what = format!("{path} is no repository of {}: it should be OWNER/NAME", kind.about().name);
            return Err(CommandError::input(what)
                .hinted("say which remote is meant with --remote NAME, or where the forge is with --forge-url URL"));
        }
        let api = api(kind, &web, url.is_some());
        Ok(Self { kind, web, api, path })
    }

    /// The path with each segment encoded.
    pub(crate) fn encoded_path(&self) -> String {
        self.path.split('/').map(encoded).collect::<Vec<_>>().join("/")
    }

    /// The organization of Codeup's central edition, which addresses begin with.
    pub(crate) fn organization(&self) -> Option<&str> {
        let first = self.path.split('/').next()?;
        (first.len() == 24 && first.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(first)
    }

    /// The host of the API, as messages name it.
    pub(crate) fn host(&self) -> &str {
        let rest = self.api.split_once("://").map_or(self.api.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// The page of a pull request that only its number is known of.
    pub(crate) fn page(&self, number: u64) -> String {
        let part = match self.kind {
            Kind::GitHub => "pull",
            Kind::GitLab => "-/merge_requests",
            Kind::Gitea | Kind::Gitee => "pulls",
            Kind::Codeup => "change",
        };
        format!("{}/{}/{part}/{number}", self.web, self.path)
    }
}

fn api(kind: Kind, web: &str, is_given: bool) -> String {
    let host = web.strip_prefix("https://");
    match (kind, host) {
        (Kind::GitHub, Some("github.com")) => "https://api.github.com".to_owned(),
        (Kind::GitHub, Some(host)) if host.ends_with(".ghe.com") => format!("https://api.{host}"),
        (Kind::GitHub, _) => format!("{web}/api/v3"),
        (Kind::GitLab, _) => format!("{web}/api/v4"),
        (Kind::Gitea, _) => format!("{web}/api/v1"),
        (Kind::Gitee, _) => format!("{web}/api/v5"),
        (Kind::Codeup, Some("codeup.aliyun.com")) if !is_given => CODEUP.to_owned(),
        (Kind::Codeup, _) => web.to_owned(),
    }
}

/// An address that the user gave, without a slash at its end, and its path.
fn web(url: &str) -> Result<(String, String), CommandError> {
    let wrong = |what: &str| {
        CommandError::usage(format!("--forge-url {what}")).hinted("give it as https://git.example.com, or with a path")
    };
    let url = url.trim().trim_end_matches('/');
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("is no address"))?;
    if !matches!(scheme, "https" | "http") {
        return Err(wrong("must begin with https:// or http://"));
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.contains('@') {
        return Err(wrong("must not hold credentials"));
    }
    if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#')) {
        return Err(wrong("is no address"));
    }
    Ok((url.to_owned(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_api_is() {
        let place = |remote: &str, kind, url| Place::of(&RemoteUrl::parse(remote).unwrap(), kind, url);
        for (remote, kind, url, api, path) in [
            ("git@github.com:shop/fleet.git", None, None, "https://api.github.com", "shop/fleet"),
            ("https://acme.ghe.com/shop/fleet", None, None, "https://api.acme.ghe.com", "shop/fleet"),
            ("https://github.acme.cn/shop/fleet", None, None, "https://github.acme.cn/api/v3", "shop/fleet"),
            ("ssh://git@gitlab.acme.cn:22/a/b/c", None, None, "https://gitlab.acme.cn/api/v4", "a/b/c"),
            ("git@git.acme.cn:a/b", Some(Kind::Gitea), None, "https://git.acme.cn/api/v1", "a/b"),
            (
                "git@git.acme.cn:a/b",
                Some(Kind::Gitea),
                Some("http://git.acme.cn:3000/"),
                "http://git.acme.cn:3000/api/v1",
                "a/b",
            ),
            (
                "https://acme.cn/gitlab/a/b",
                Some(Kind::GitLab),
                Some("https://acme.cn/gitlab"),
                "https://acme.cn/gitlab/api/v4",
                "a/b",
            ),
            ("git@gitee.com:a/b", None, None, "https://gitee.com/api/v5", "a/b"),
            (
                "git@codeup.aliyun.com:60d54f3daccf2bbd6659f3ad/a/b.git",
                None,
                None,
                "https://openapi-rdc.aliyuncs.com",
                "60d54f3daccf2bbd6659f3ad/a/b",
            ),
            ("git@codeup.acme.cn:a/b.git", None, Some("https://api.acme.cn"), "https://api.acme.cn", "a/b"),
        ] {
            let place = place(remote, kind, url).unwrap();
            assert_eq!((place.api.as_str(), place.path.as_str()), (api, path), "{remote}");
        }
        let error = |remote, kind, url| place(remote, kind, url).unwrap_err();
        assert!(error("git@git.acme.cn:a/b", None, None).hints[0].contains("--forge"));
        assert!(error("git@github.com:a/b/c", None, None).message.contains("OWNER/NAME"));
        let refused = error("git@github.com:a/b", None, Some("https://me:s3cret@x"));
        assert!(refused.message.contains("credentials") && !refused.to_string().contains("s3cret"));
        for url in ["git.acme.cn", "ssh://git.acme.cn", "https://", "https://a b"] {
            assert!(error("git@github.com:a/b", None, Some(url)).message.starts_with("--forge-url"), "{url}");
        }
    }

    #[test]
    fn organizations_of_codeup() {
        let of = |path: &str| {
            let remote = RemoteUrl::parse(&format!("git@codeup.aliyun.com:{path}")).unwrap();
            Place::of(&remote, None, None).unwrap().organization().map(str::to_owned)
        };
        assert_eq!(of("60d54f3daccf2bbd6659f3ad/a").as_deref(), Some("60d54f3daccf2bbd6659f3ad"));
        assert_eq!(of("shop/fleet"), None);
    }
}
