//! Alibaba Cloud Codeup: <https://help.aliyun.com/zh/yunxiao/developer-reference/>, "change requests" of code management.
//! CreateChangeRequest, ListChangeRequests and GetChangeRequest are documented for both editions, UpdateChangeRequest and
//! ReopenChangeRequest for the central one only: the region edition may refuse an update, and then says so.

use super::http::{ApiError, Request, Transport};
use super::secret::encoded;
use super::{Edit, Forge, Head, New, Place, PullRequest, State, best, fields, list, text, titled};
use serde_json::{Value, json};

const PAGE: usize = 100;
/// How many pages of change requests are looked through, those that changed last first.
const PAGES: usize = 5;

pub(super) struct Codeup<'a> {
    pub(super) place: &'a Place,
    pub(super) transport: &'a dyn Transport,
}

impl Codeup<'_> {
    /// The region edition has one organization and does not name it.
    fn root(&self) -> String {
        match self.place.organization() {
            Some(organization) => format!("/oapi/v1/codeup/organizations/{}", encoded(organization)),
            None => "/oapi/v1/codeup".to_owned(),
        }
    }

    fn repository(&self, path: &str) -> String {
        format!("{}/repositories/{}", self.root(), encoded(path))
    }

    fn requests(&self) -> String {
        format!("{}/changeRequests", self.repository(&self.place.path))
    }

    /// Change requests name repositories by number.
    fn id(&self, path: &str) -> Result<u64, ApiError> {
        let answer = self.transport.send(&Request::get(self.repository(path)))?;
        Ok(number(&answer["id"]))
    }
}

/// Numbers come as numbers or as text.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

/// What changes a change request answers with 200 also when it did not: `{"result": false}`.
fn done(answer: &Value) -> Result<(), ApiError> {
    if answer["result"] == false {
        let told =
            "it was not carried out; perhaps the source branch is gone, or somebody changed it meanwhile".to_owned();
        return Err(ApiError::Status { code: 409, told, retry_after: None });
    }
    Ok(())
}

fn read(answer: &Value) -> PullRequest {
    let state = [&answer["status"], &answer["state"]].into_iter().find_map(Value::as_str).unwrap_or_default();
    let state = match state.to_ascii_lowercase().as_str() {
        "merged" => State::Merged,
        "closed" => State::Closed,
        _ => State::Open,
    };
    let url = text(answer, "/detailUrl");
    let reviewers = answer["reviewers"].as_array().map(Vec::as_slice).unwrap_or_default();
    PullRequest {
        number: number(&answer["localId"]),
        url: if url.is_empty() { text(answer, "/webUrl") } else { url },
        state,
        title: text(answer, "/title"),
        body: text(answer, "/description"),
        reviewers: reviewers.iter().map(|user| text(user, "/userId")).collect(),
    }
}

impl Forge for Codeup<'_> {
    fn find(&self, head: Head<'_>, base: &str) -> Result<Option<PullRequest>, ApiError> {
        let id = self.id(&self.place.path)?;
        let source = head.fork.map_or(Ok(id), |fork| self.id(fork))?;
        let mut best_found = None;
        for page in 1..=PAGES {
            let query = format!("projectIds={id}&orderBy=updated_at&sort=desc&page={page}&perPage={PAGE}");
            let answer = self.transport.send(&Request::get(format!("{}/changeRequests?{query}", self.root())))?;
            let found = list(&answer)?;
            let ours = found.iter().filter(|found| {
                let is_of = |field: &str, id: u64| found.get(field).is_none_or(|project| number(project) == id);
                found["sourceBranch"] == head.branch
                    && found["targetBranch"] == base
                    && is_of("sourceProjectId", source)
                    && is_of("targetProjectId", id)
            });
            best_found = best(ours.map(read).chain(best_found).collect());
            if found.len() < PAGE || best_found.as_ref().is_some_and(|found| found.state == State::Open) {
                break;
            }
        }
        let Some(found) = best_found else { return Ok(None) };
        // The list does not promise descriptions.
        let whole = self.transport.send(&Request::get(format!("{}/{}", self.requests(), found.number)))?;
        Ok(Some(read(&whole)))
    }

    fn create(&self, new: &New<'_>) -> Result<PullRequest, ApiError> {
        let id = self.id(&self.place.path)?;
        let source = new.head.fork.map_or(Ok(id), |fork| self.id(fork))?;
        let mut body = json!({
            "title": titled(self.place.kind, new.title, new.draft),
            "description": new.body,
            "sourceBranch": new.head.branch,
            "sourceProjectId": source,
            "targetBranch": new.base,
            "targetProjectId": id,
        });
        if !new.reviewers.is_empty() {
            body["reviewerUserIds"] = new.reviewers.into();
        }
        Ok(read(&self.transport.send(&Request::with("POST", self.requests(), body))?))
    }

    fn edit(&self, number: u64, edit: Edit<'_>) -> Result<(), ApiError> {
        let path = format!("{}/{number}", self.requests());
        if edit.reopen {
            done(&self.transport.send(&Request::with("POST", format!("{path}/reopen"), json!({})))?)?;
        }
        if edit.title.is_some() || edit.body.is_some() {
            let edit = Edit { reopen: false, ..edit };
            done(&self.transport.send(&Request::with("PUT", path, fields(edit, "description", ("", ""))))?)?;
        }
        Ok(())
    }

    fn ask(&self, _: u64, reviewers: &[String], already: &[String]) -> Result<(), ApiError> {
        if super::missing(reviewers, already).is_empty() {
            return Ok(());
        }
        let told = "reviewers can be named only when a change request is opened: add them on its page".to_owned();
        Err(ApiError::Status { code: 422, told, retry_after: None })
    }

    fn asks_when_created(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_carried_out_is_an_error() {
        assert!(done(&json!({"result": true})).is_ok());
        assert!(matches!(done(&json!({"result": false})), Err(ApiError::Status { code: 409, .. })));
    }
}
