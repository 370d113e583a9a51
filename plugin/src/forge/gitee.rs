//! Gitee: <https://gitee.com/api/v5/swagger>. The token goes into the header, which Gitee takes as it takes its documented
//! `access_token`: an address with a token in it ends up in logs.

use super::http::{ApiError, Request, Transport};
use super::secret::encoded;
use super::{Edit, Forge, Head, New, Place, PullRequest, best, fields, github_like, list, missing, titled};
use serde_json::json;

pub(super) struct Gitee<'a> {
    pub(super) place: &'a Place,
    pub(super) transport: &'a dyn Transport,
}

impl Gitee<'_> {
    fn pulls(&self) -> String {
        format!("/repos/{}/pulls", self.place.encoded_path())
    }

    /// `branch`, `owner:branch` for one in a fork, and `owner/name:branch` where the fork has another name.
    fn head(&self, head: Head<'_>) -> String {
        let name = |path: &str| path.rsplit('/').next().map(str::to_ascii_lowercase);
        match head.fork.filter(|fork| name(fork) != name(&self.place.path)) {
            Some(fork) => format!("{fork}:{}", head.branch),
            None => head.qualified(),
        }
    }
}

impl Forge for Gitee<'_> {
    fn find(&self, head: Head<'_>, base: &str) -> Result<Option<PullRequest>, ApiError> {
        let query = format!("state=all&head={}&base={}&per_page=100", encoded(&self.head(head)), encoded(base));
        let answer = self.transport.send(&Request::get(format!("{}?{query}", self.pulls())))?;
        let ours = list(&answer)?.iter().filter(|found| {
            found["head"]["ref"] == head.branch
                && found["base"]["ref"] == base
                && head.is_in(self.place, &found["head"]["repo"]["full_name"])
        });
        Ok(best(ours.map(|found| github_like(found, "assignees")).collect()))
    }

    fn create(&self, new: &New<'_>) -> Result<PullRequest, ApiError> {
        let title = titled(self.place.kind, new.title, new.draft);
        let head = self.head(new.head);
        let mut body = json!({"title": title, "head": head, "base": new.base, "body": new.body, "draft": new.draft});
        if !new.reviewers.is_empty() {
            body["assignees"] = new.reviewers.join(",").into();
        }
        let answer = self.transport.send(&Request::with("POST", self.pulls(), body))?;
        Ok(github_like(&answer, "assignees"))
    }

    fn edit(&self, number: u64, edit: Edit<'_>) -> Result<(), ApiError> {
        let path = format!("{}/{number}", self.pulls());
        self.transport.send(&Request::with("PATCH", path, fields(edit, "body", ("state", "open")))).map(drop)
    }

    fn ask(&self, number: u64, reviewers: &[String], already: &[String]) -> Result<(), ApiError> {
        let people = missing(reviewers, already);
        if people.is_empty() {
            return Ok(());
        }
        let path = format!("{}/{number}/assignees", self.pulls());
        self.transport.send(&Request::with("POST", path, json!({"assignees": people.join(",")}))).map(drop)
    }

    fn asks_when_created(&self) -> bool {
        true
    }
}
