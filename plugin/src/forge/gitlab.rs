//! GitLab: <https://docs.gitlab.com/api/merge_requests/>.

use super::http::{ApiError, Request, Transport};
use super::secret::encoded;
use super::{Edit, Forge, Head, New, Place, PullRequest, State, best, fields, list, missing, text, titled};
use serde_json::{Value, json};

pub(super) struct GitLab<'a> {
    pub(super) place: &'a Place,
    pub(super) transport: &'a dyn Transport,
}

impl GitLab<'_> {
    fn requests(&self) -> String {
        format!("/projects/{}/merge_requests", encoded(&self.place.path))
    }

    /// The number of a project, by which merge requests name both sides.
    fn project(&self, path: &str) -> Result<Value, ApiError> {
        Ok(self.transport.send(&Request::get(format!("/projects/{}", encoded(path))))?["id"].clone())
    }

    fn user(&self, name: &str) -> Result<u64, ApiError> {
        let answer = self.transport.send(&Request::get(format!("/users?username={}", encoded(name))))?;
        let found = list(&answer)?.first().and_then(|user| user["id"].as_u64());
        found.ok_or_else(|| ApiError::Status { code: 404, told: format!("there is no user {name}"), retry_after: None })
    }
}

fn read(answer: &Value) -> PullRequest {
    let state = match answer["state"].as_str() {
        Some("opened" | "locked") => State::Open,
        Some("merged") => State::Merged,
        _ => State::Closed,
    };
    let reviewers = answer["reviewers"].as_array().map(Vec::as_slice).unwrap_or_default();
    PullRequest {
        number: answer["iid"].as_u64().unwrap_or_default(),
        url: text(answer, "/web_url"),
        state,
        title: text(answer, "/title"),
        body: text(answer, "/description"),
        reviewers: reviewers.iter().map(|user| text(user, "/username")).collect(),
    }
}

impl Forge for GitLab<'_> {
    fn find(&self, head: Head<'_>, base: &str) -> Result<Option<PullRequest>, ApiError> {
        let branch = head.branch;
        let query = format!("source_branch={}&target_branch={}&state=all&per_page=100", encoded(branch), encoded(base));
        let answer = self.transport.send(&Request::get(format!("{}?{query}", self.requests())))?;
        let found = list(&answer)?;
        // Without one there is nothing to tell apart.
        let fork = head.fork.filter(|_| !found.is_empty()).map(|path| self.project(path)).transpose()?;
        // Another repository may have a branch of the same name.
        let ours = found.iter().filter(|found| {
            found["source_project_id"] == *fork.as_ref().unwrap_or(&found["target_project_id"])
                && found["source_branch"] == branch
                && found["target_branch"] == base
        });
        Ok(best(ours.map(read).collect()))
    }

    fn create(&self, new: &New<'_>) -> Result<PullRequest, ApiError> {
        let mut body = json!({
            "source_branch": new.head.branch,
            "target_branch": new.base,
            "title": titled(self.place.kind, new.title, new.draft),
            "description": new.body,
        });
        let Some(fork) = new.head.fork else {
            return Ok(read(&self.transport.send(&Request::with("POST", self.requests(), body))?));
        };
        // It is the fork that asks to be merged.
        body["target_project_id"] = self.project(&self.place.path)?;
        let path = format!("/projects/{}/merge_requests", encoded(fork));
        Ok(read(&self.transport.send(&Request::with("POST", path, body))?))
    }

    fn edit(&self, number: u64, edit: Edit<'_>) -> Result<(), ApiError> {
        let path = format!("{}/{number}", self.requests());
        self.transport
            .send(&Request::with("PUT", path, fields(edit, "description", ("state_event", "reopen"))))
            .map(drop)
    }

    fn ask(&self, number: u64, reviewers: &[String], already: &[String]) -> Result<(), ApiError> {
        if missing(reviewers, already).is_empty() {
            return Ok(());
        }
        // The list is set as a whole.
        let all = already.iter().chain(reviewers.iter().filter(|name| !already.contains(name)));
        let ids = all.map(|name| self.user(name)).collect::<Result<Vec<_>, _>>()?;
        let path = format!("{}/{number}", self.requests());
        self.transport.send(&Request::with("PUT", path, json!({"reviewer_ids": ids}))).map(drop)
    }
}
