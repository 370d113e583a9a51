//! Gitea and Forgejo: <https://docs.gitea.com/api/>.

use super::http::{ApiError, Request, Transport};
use super::secret::encoded;
use super::{Edit, Forge, Head, New, Place, PullRequest, best, fields, github_like, list, missing, titled};
use serde_json::{Value, json};

/// The most that Gitea gives at once by default.
const PAGE: usize = 50;
/// How many pages of pull requests are looked through, those that changed last first.
const PAGES: usize = 10;

pub(super) struct Gitea<'a> {
    pub(super) place: &'a Place,
    pub(super) transport: &'a dyn Transport,
}

impl Gitea<'_> {
    fn pulls(&self) -> String {
        format!("/repos/{}/pulls", self.place.encoded_path())
    }

    /// Gitea has no filter for branches; only the open one can be asked for by them.
    fn open(&self, head: Head<'_>, base: &str) -> Result<Option<PullRequest>, ApiError> {
        let fork = head.fork.map(|fork| format!("{fork}:")).unwrap_or_default();
        let head: Vec<_> = format!("{fork}{}", head.branch).split('/').map(encoded).collect();
        let path = format!("{}/{}/{}", self.pulls(), encoded(base), head.join("/"));
        match self.transport.send(&Request::get(path)) {
            Ok(answer) if answer["number"].is_u64() => Ok(Some(github_like(&answer, "requested_reviewers"))),
            Ok(_) | Err(ApiError::Status { code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The branch keeps its name in the label when it has been deleted.
fn is_from(found: &Value, head: Head<'_>, place: &Place) -> bool {
    let known = &found["head"];
    (known["ref"] == head.branch || known["label"] == head.branch) && head.is_in(place, &known["repo"]["full_name"])
}

impl Forge for Gitea<'_> {
    fn find(&self, head: Head<'_>, base: &str) -> Result<Option<PullRequest>, ApiError> {
        if let Some(open) = self.open(head, base)? {
            return Ok(Some(open));
        }
        for page in 1..=PAGES {
            let query = format!("state=all&sort=recentupdate&limit={PAGE}&page={page}");
            let answer = self.transport.send(&Request::get(format!("{}?{query}", self.pulls())))?;
            let found = list(&answer)?;
            let ours = found.iter().filter(|found| is_from(found, head, self.place) && found["base"]["ref"] == base);
            let ours = best(ours.map(|found| github_like(found, "requested_reviewers")).collect());
            if ours.is_some() || found.is_empty() {
                return Ok(ours);
            }
        }
        Ok(None)
    }

    fn create(&self, new: &New<'_>) -> Result<PullRequest, ApiError> {
        let title = titled(self.place.kind, new.title, new.draft);
        let body = json!({"title": title, "head": new.head.qualified(), "base": new.base, "body": new.body});
        let answer = self.transport.send(&Request::with("POST", self.pulls(), body))?;
        Ok(github_like(&answer, "requested_reviewers"))
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
        let path = format!("{}/{number}/requested_reviewers", self.pulls());
        self.transport.send(&Request::with("POST", path, json!({"reviewers": people}))).map(drop)
    }
}
