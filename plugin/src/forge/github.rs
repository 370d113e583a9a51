//! GitHub: <https://docs.github.com/rest/pulls>.

use super::http::{ApiError, Request, Transport};
use super::secret::encoded;
use super::{Edit, Forge, Head, New, Place, PullRequest, best, fields, github_like, list, missing, titled};
use serde_json::json;

pub(super) struct GitHub<'a> {
    pub(super) place: &'a Place,
    pub(super) transport: &'a dyn Transport,
}

impl GitHub<'_> {
    fn pulls(&self) -> String {
        format!("/repos/{}/pulls", self.place.encoded_path())
    }
}

impl Forge for GitHub<'_> {
    fn find(&self, head: Head<'_>, base: &str) -> Result<Option<PullRequest>, ApiError> {
        // The filter wants the owner in any case.
        let whole = Head { fork: head.fork.or(Some(&self.place.path)), ..head }.qualified();
        let query = format!("head={}&base={}&state=all&per_page=100", encoded(&whole), encoded(base));
        let answer = self.transport.send(&Request::get(format!("{}?{query}", self.pulls())))?;
        // A server that does not know the filter would give them all.
        let ours = list(&answer)?.iter().filter(|found| {
            found["head"]["ref"] == head.branch
                && found["base"]["ref"] == base
                && head.is_in(self.place, &found["head"]["repo"]["full_name"])
        });
        Ok(best(ours.map(|found| github_like(found, "requested_reviewers")).collect()))
    }

    fn create(&self, new: &New<'_>) -> Result<PullRequest, ApiError> {
        let title = titled(self.place.kind, new.title, new.draft);
        let head = new.head.qualified();
        let mut body = json!({"title": title, "head": head, "base": new.base, "body": new.body, "draft": new.draft});
        // Two repositories of one owner: the owner alone does not say which.
        if let Some((owner, name)) = new.head.fork.and_then(|fork| fork.split_once('/'))
            && self.place.path.split('/').next() == Some(owner)
        {
            body["head_repo"] = name.into();
        }
        let answer = self.transport.send(&Request::with("POST", self.pulls(), body))?;
        Ok(github_like(&answer, "requested_reviewers"))
    }

    fn edit(&self, number: u64, edit: Edit<'_>) -> Result<(), ApiError> {
        let path = format!("{}/{number}", self.pulls());
        self.transport.send(&Request::with("PATCH", path, fields(edit, "body", ("state", "open")))).map(drop)
    }

    fn ask(&self, number: u64, reviewers: &[String], already: &[String]) -> Result<(), ApiError> {
        let (teams, people): (Vec<_>, Vec<_>) =
            missing(reviewers, already).into_iter().partition(|reviewer| reviewer.contains('/'));
        let teams: Vec<_> = teams.into_iter().filter_map(|team| team.rsplit('/').next()).collect();
        if teams.is_empty() && people.is_empty() {
            return Ok(());
        }
        let path = format!("{}/{number}/requested_reviewers", self.pulls());
        let body = json!({"reviewers": people, "team_reviewers": teams});
        self.transport.send(&Request::with("POST", path, body)).map(drop)
    }
}
