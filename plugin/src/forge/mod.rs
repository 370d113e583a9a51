//! Forges: who keeps the repository, how its pull requests are found, opened and changed.
//!
//! A remote's address says which forge it is ([`place`]); each kind has a file with its calls, written against
//! [`Transport`](http::Transport) so that a dry run can list them. What the kinds have in common is a table ([`About`]).

mod codeup;
mod errors;
mod gitea;
mod gitee;
mod github;
mod gitlab;
pub(crate) mod http;
pub(crate) mod options;
pub(crate) mod place;
pub(crate) mod remote;
pub(crate) mod secret;
pub(crate) mod token;

pub(crate) use errors::explain;
pub(crate) use place::Place;

use clap::ValueEnum;
use http::{ApiError, Transport};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A kind of forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// github.com, GitHub Enterprise
    #[value(name = "github")]
    GitHub,
    /// gitlab.com and self-managed GitLab
    #[value(name = "gitlab")]
    GitLab,
    /// Gitea and Forgejo
    #[value(name = "gitea", alias = "forgejo")]
    Gitea,
    /// gitee.com, and what has its API
    Gitee,
    /// Alibaba Cloud Codeup
    Codeup,
}

/// What is different between the kinds, as far as it is data.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    /// What a pull request is called there.
    pub(crate) request: &'static str,
    /// Most bytes of a title; forges count characters, of which there are never more.
    pub(crate) title: usize,
    /// Most bytes of a body.
    pub(crate) body: usize,
    /// Environment variables with a token, the first one set wins.
    pub(crate) tokens: &'static [&'static str],
    /// What a token must be allowed to do.
    pub(crate) scope: &'static str,
    /// What a draft's title begins with, where that is what makes a draft.
    pub(crate) draft: Draft,
}

/// How a draft is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draft {
    /// By a field of the call.
    Field,
    /// By the beginning of the title.
    Title(&'static str),
    /// Not at all.
    Never,
}

impl Kind {
    /// The row of the table.
    pub(crate) const fn about(self) -> &'static About {
        match self {
            Self::GitHub => &About {
                name: "GitHub",
                request: "pull request",
                title: 256,
                body: 65_536,
                tokens: &["GH_TOKEN", "GITHUB_TOKEN"],
                scope: "`repo`, or, fine-grained, pull requests: read and write",
                draft: Draft::Field,
            },
            Self::GitLab => &About {
                name: "GitLab",
                request: "merge request",
                title: 255,
                body: 1_000_000,
                tokens: &["GITLAB_TOKEN"],
                scope: "`api`",
                draft: Draft::Title("Draft: "),
            },
            Self::Gitea => &About {
                name: "Gitea",
                request: "pull request",
                title: 255,
                body: 65_536,
                tokens: &["GITEA_TOKEN", "FORGEJO_TOKEN"],
                scope: "`write:repository` and `write:issue`",
                draft: Draft::Title("WIP: "),
            },
            Self::Gitee => &About {
                name: "Gitee",
                request: "pull request",
                title: 255,
                body: 65_536,
                tokens: &["GITEE_TOKEN"],
                scope: "`projects` and `pull_requests`",
                draft: Draft::Field,
            },
            Self::Codeup => &About {
                name: "Codeup",
                request: "change request",
                title: 256,
                body: 10_000,
                tokens: &["YUNXIAO_TOKEN", "CODEUP_TOKEN"],
                scope: "code management: repositories read, change requests read and write",
                draft: Draft::Never,
            },
        }
    }
}

/// How a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Closed, and not merged.
    Closed,
    Merged,
}

/// A pull request that a forge told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullRequest {
    pub(crate) number: u64,
    /// Where people see it.
    pub(crate) url: String,
    pub(crate) state: State,
    pub(crate) title: String,
    pub(crate) body: String,
    /// Who was asked to review it.
    pub(crate) reviewers: Vec<String>,
}

/// The branch that holds a change, and the repository that it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) branch: &'a str,
    /// The path of the fork; `None` for the repository that the change is for.
    pub(crate) fork: Option<&'a str>,
}

impl Head<'_> {
    /// Whose fork it is: everything before the repository's own name.
    fn owner(&self) -> Option<&str> {
        Some(self.fork?.rsplit_once('/')?.0)
    }

    /// `branch`, or `owner:branch` for one in a fork.
    fn qualified(&self) -> String {
        self.owner().map_or_else(|| self.branch.to_owned(), |owner| format!("{owner}:{}", self.branch))
    }

    /// Does a repository that a forge names as the head's hold it? One that is gone, or that the forge does not tell, may.
    fn is_in(&self, place: &Place, repository: &Value) -> bool {
        let path = self.fork.unwrap_or(&place.path);
        repository.as_str().is_none_or(|told| told.eq_ignore_ascii_case(path))
    }
}

/// A pull request that is to be opened.
#[derive(Clone, Debug)]
pub(crate) struct New<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) base: &'a str,
    pub(crate) title: &'a str,
    pub(crate) body: &'a str,
    pub(crate) draft: bool,
    pub(crate) reviewers: &'a [String],
}

/// What is to be changed in one; nothing else is touched.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Edit<'a> {
    pub(crate) title: Option<&'a str>,
    pub(crate) body: Option<&'a str>,
    pub(crate) reopen: bool,
}

/// What every forge can do.
pub(crate) trait Forge {
    /// The pull request from one branch to another: an open one if there is one, else the newest.
    fn find(&self, head: Head<'_>, base: &str) -> Result<Option<PullRequest>, ApiError>;
    fn create(&self, new: &New<'_>) -> Result<PullRequest, ApiError>;
    fn edit(&self, number: u64, edit: Edit<'_>) -> Result<(), ApiError>;
    /// Asks people to review; `already` have been asked.
    fn ask(&self, number: u64, reviewers: &[String], already: &[String]) -> Result<(), ApiError>;
    /// Are people asked in the call that opens a pull request?
    fn asks_when_created(&self) -> bool {
        false
    }
}

/// The client of a place.
pub(crate) fn client<'a>(place: &'a Place, transport: &'a dyn Transport) -> Box<dyn Forge + 'a> {
    match place.kind {
        Kind::GitHub => Box::new(github::GitHub { place, transport }),
        Kind::GitLab => Box::new(gitlab::GitLab { place, transport }),
        Kind::Gitea => Box::new(gitea::Gitea { place, transport }),
        Kind::Gitee => Box::new(gitee::Gitee { place, transport }),
        Kind::Codeup => Box::new(codeup::Codeup { place, transport }),
    }
}

/// The title of a draft.
fn titled(kind: Kind, title: &str, draft: bool) -> String {
    match kind.about().draft {
        Draft::Title(prefix) if draft => {
            format!("{prefix}{}", asm_shared::pull_request::cut(title, kind.about().title - prefix.len()))
        }
        _ => asm_shared::pull_request::cut(title, kind.about().title),
    }
}

/// An open one, else the one with the highest number.
fn best(found: Vec<PullRequest>) -> Option<PullRequest> {
    found.into_iter().max_by_key(|found| (found.state == State::Open, found.number))
}

/// The elements of an answer that must be a list.
fn list(answer: &Value) -> Result<&[Value], ApiError> {
    answer.as_array().map(Vec::as_slice).ok_or_else(|| ApiError::Unreadable("it answers with no list".to_owned()))
}

/// A text of an answer; empty when it is null or missing.
fn text(answer: &Value, pointer: &str) -> String {
    answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A pull request as GitHub, Gitea and Gitee write it.
fn github_like(answer: &Value, reviewers: &str) -> PullRequest {
    let merged = answer["merged_at"].is_string() || answer["merged"] == true || answer["state"] == "merged";
    let state = match answer["state"].as_str() {
        _ if merged => State::Merged,
        Some("open") => State::Open,
        _ => State::Closed,
    };
    let logins = answer[reviewers].as_array().map(Vec::as_slice).unwrap_or_default();
    PullRequest {
        number: answer["number"].as_u64().unwrap_or_default(),
        url: text(answer, "/html_url"),
        state,
        title: text(answer, "/title"),
        body: text(answer, "/body"),
        reviewers: logins.iter().map(|user| text(user, "/login")).collect(),
    }
}

/// The fields of an edit, under their names on this forge.
fn fields(edit: Edit<'_>, body: &str, state: (&str, &str)) -> Value {
    let mut fields = serde_json::Map::new();
    if let Some(title) = edit.title {
        fields.insert("title".to_owned(), title.into());
    }
    if let Some(text) = edit.body {
        fields.insert(body.to_owned(), text.into());
    }
    if edit.reopen {
        fields.insert(state.0.to_owned(), state.1.into());
    }
    Value::Object(fields)
}

/// Those who have not been asked yet.
fn missing<'a>(reviewers: &'a [String], already: &[String]) -> Vec<&'a str> {
    let is_new = |name: &&String| !already.iter().any(|known| known.eq_ignore_ascii_case(name));
    reviewers.iter().filter(is_new).map(String::as_str).collect()
}
