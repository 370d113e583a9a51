//! Tokens: from the environment, the remote's address, or Git's credential helpers; never asked for.

use super::http::Authorization;
use super::remote::{RemoteUrl, Scheme};
use super::secret::{Redactor, Secret, base64};
use super::{Kind, Place};
use crate::error::CommandError;

/// A user and a password.
pub(crate) type Login = (Option<String>, Secret);

/// What lets us in, and where it came from.
#[derive(Debug)]
pub(crate) struct Token {
    user: Option<String>,
    secret: Secret,
    /// From Git: perhaps a password.
    is_git: bool,
}

/// Looks for a token. `ask_git` answers with the user and the password that Git has for an address.
pub(crate) fn find(
    place: &Place,
    remote: &RemoteUrl,
    is_place_given: bool,
    environment: &dyn Fn(&str) -> Option<String>,
    ask_git: &dyn Fn(&str) -> Option<Login>,
) -> Option<Token> {
    let variables = variables(place, is_place_given);
    let set = variables.iter().filter_map(|name| environment(name)).map(|value| value.trim().to_owned());
    if let Some(token) = set.into_iter().find(|value| !value.is_empty()) {
        return Some(Token { user: None, secret: Secret::new(token), is_git: false });
    }
    // What Codeup takes over HTTPS is a password of its own, and none of its API.
    if place.kind == Kind::Codeup {
        return None;
    }
    let in_address = (remote.scheme != Scheme::Ssh && remote.web() == place.web)
        .then(|| remote.password.clone().map(|password| (remote.user.clone(), password)))
        .flatten();
    let (user, secret) = in_address.or_else(|| ask_git(&place.web))?;
    Some(Token { user, secret, is_git: true })
}

/// GitHub's token is for github.com: another host that calls itself GitHub gets its own, unless the user named that host.
fn variables(place: &Place, is_place_given: bool) -> Vec<&'static str> {
    let public = place.api == "https://api.github.com" || place.web.ends_with(".ghe.com");
    match place.kind {
        Kind::GitHub if !public => {
            let mut names = vec!["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];
            if is_place_given {
                names.extend(place.kind.about().tokens);
            }
            names
        }
        kind => kind.about().tokens.to_vec(),
    }
}

impl Token {
    /// The header for it. The redactor learns the token.
    pub(crate) fn authorization(&self, kind: Kind, redactor: &Redactor) -> Authorization {
        redactor.add(self.user.as_deref(), &self.secret);
        let token = self.secret.expose();
        let (header, value) = match kind {
            Kind::GitHub | Kind::GitLab | Kind::Gitee => ("authorization", format!("Bearer {token}")),
            // Takes passwords as well as tokens.
            Kind::Gitea if self.is_git && self.user.is_some() => {
                let user = self.user.as_deref().unwrap_or_default();
                ("authorization", format!("Basic {}", base64(&format!("{user}:{token}"))))
            }
            Kind::Gitea => ("authorization", format!("token {token}")),
            Kind::Codeup => ("x-yunxiao-token", token.to_owned()),
        };
        Authorization { header, value: Secret::new(value) }
    }
}

/// There is no token, and without one this forge does nothing.
pub(crate) fn missing(place: &Place, is_place_given: bool) -> CommandError {
    let about = place.kind.about();
    let names = variables(place, is_place_given);
    let error = CommandError::unreachable(format!("no token for {} ({})", about.name, place.host())).hinted(format!(
        "export {}=… ; it needs {}",
        names.first().unwrap_or(&"TOKEN"),
        about.scope
    ));
    if place.kind == Kind::Codeup {
        error
    } else {
        error.hinted(format!("or let Git keep it: git credential approve, for {}", place.web))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str, given: Option<&str>, env: &[(&str, &str)], git: Option<&str>) -> Option<String> {
        let remote = RemoteUrl::parse(url).unwrap();
        let place = Place::of(&remote, None, given).unwrap();
        let environment = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let ask = |web: &str| {
            assert_eq!(web, place.web);
            git.map(|token| (Some("me".to_owned()), Secret::new(token)))
        };
        let token = find(&place, &remote, given.is_some(), &environment, &ask)?;
        let authorization = token.authorization(place.kind, &Redactor::default());
        Some(format!("{}: {}", authorization.header, authorization.value.expose()))
    }

    #[test]
    fn whose_token_goes_where() {
        let github = [("GITHUB_TOKEN", "two"), ("GH_TOKEN", "one")];
        let all = |url| found(url, None, &github, None);
        assert_eq!(all("git@github.com:a/b").as_deref(), Some("authorization: Bearer one"));
        assert_eq!(all("https://acme.ghe.com/a/b").as_deref(), Some("authorization: Bearer one"));
        // A host that only says that it is GitHub.
        assert_eq!(all("https://github.evil.example/a/b"), None);
        assert_eq!(all("git@gitlab.com:a/b"), None);
        let given = found("https://github.acme.cn/a/b", Some("https://github.acme.cn"), &github, None);
        assert_eq!(given.as_deref(), Some("authorization: Bearer one"));
        let enterprise = found("https://github.acme.cn/a/b", None, &[("GH_ENTERPRISE_TOKEN", "e")], None);
        assert_eq!(enterprise.as_deref(), Some("authorization: Bearer e"));

        assert_eq!(
            found("https://me:pw@gitea.lan/a/b", None, &[], Some("x")).as_deref(),
            Some("authorization: Basic bWU6cHc=")
        );
        assert_eq!(found("git@gitea.lan:a/b", None, &[], Some("x")).as_deref(), Some("authorization: Basic bWU6eA=="));
        assert_eq!(
            found("git@gitea.lan:a/b", None, &[("GITEA_TOKEN", " t\n")], None).as_deref(),
            Some("authorization: token t")
        );
        assert_eq!(
            found("git@gitee.com:a/b", None, &[("GITEE_TOKEN", "t")], None).as_deref(),
            Some("authorization: Bearer t")
        );
        // The address's password is for that address.
        assert_eq!(found("https://me:pw@gitea.lan/a/b", Some("https://other.lan"), &[], None), None);
        let codeup = "git@codeup.aliyun.com:60d54f3daccf2bbd6659f3ad/a";
        assert_eq!(found(codeup, None, &[("CODEUP_TOKEN", "t")], None).as_deref(), Some("x-yunxiao-token: t"));
        assert_eq!(found(codeup, None, &[], Some("password of https")), None);
    }
}
