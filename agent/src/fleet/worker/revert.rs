//! Putting Git's values back on request, once, in either drift mode.

use super::ending::Why;
use super::stage::{Done, How, Round, guarded, live};
use super::state::TargetState;
use super::wanted::expected;
use super::{News, Order, Worker};
use asm_io::cluster::ClusterError;
use asm_shared::api::{RevertObject, RevertOutcome, RevertRequest, RevertResult, RevertStatus};
use asm_shared::drift::{Keep, Verdict, judge};
use asm_shared::object::ObjectId;
use asm_shared::plan::{Desired, stage_of};
use std::sync::Arc;

/// What came of one object, and why.
type Answer = (RevertOutcome, Option<String>);

/// The answer of a target that cannot be worked on; `None` when the request is none of its business.
pub(super) fn unavailable(order: &Order, why: &str) -> Option<Arc<RevertStatus>> {
    let request = order.revert.as_deref()?;
    let objects = request.objects.iter().filter(|object| object.target == order.desired.target.name());
    let answer = |object: &RevertObject| result(object, (RevertOutcome::Unavailable, Some(why.to_owned())));
    let results: Vec<RevertResult> = objects.map(answer).collect();
    (!results.is_empty()).then(|| Arc::new(RevertStatus { id: request.id.clone(), results }))
}

fn result(object: &RevertObject, (outcome, message): Answer) -> RevertResult {
    RevertResult { object: object.clone(), outcome, message }
}

/// The object of Git that is meant.
fn find(desired: &Desired, asked: &RevertObject) -> Result<ObjectId, Answer> {
    let namespace = asked.namespace.as_deref().unwrap_or("default");
    let is_it = |id: &&ObjectId| {
        let kind = id.group_kind.kind.eq_ignore_ascii_case(&asked.kind)
            || id.group_kind.to_string().eq_ignore_ascii_case(&asked.kind);
        kind && *id.name == *asked.name && id.namespace.as_deref().is_none_or(|own| own == namespace)
    };
    let mut found = desired.objects.keys().filter(is_it);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id.clone()),
        (Some(one), Some(other)) => {
            let message = format!("is it {} or {}? Name the kind with its group", one.group_kind, other.group_kind);
            Err((RevertOutcome::Failed, Some(message)))
        }
        _ => Err((RevertOutcome::NotInGit, Some(format!("Git has no such object for {}", desired.target)))),
    }
}

impl Worker {
    /// Carries out a request that was not carried out yet.
    pub(super) async fn revert(&mut self) {
        let Some(request) = self.order.revert.clone() else { return };
        let is_done = self.report.reverted.as_ref().is_some_and(|done| done.id == request.id);
        if is_done || request.objects.iter().all(|object| object.target != self.target()) {
            return;
        }
        if !self.identity.trusted {
            let why = self.identity.misled.as_deref().unwrap_or("it is not known which cluster this is");
            self.report.reverted = unavailable(&self.order, why);
            return;
        }
        let results = self.revert_all(&request).await;
        if let Err(error) = self.save().await {
            tracing::warn!(target = %self.target(), "{error}");
        }
        self.report.reverted = Some(Arc::new(RevertStatus { id: request.id.clone(), results }));
    }

    async fn revert_all(&mut self, request: &RevertRequest) -> Vec<RevertResult> {
        let desired = self.order.desired.clone();
        let target = self.target().to_owned();
        let asked = request.objects.iter().filter(|object| object.target == target);
        let mut items: Vec<_> = asked.map(|object| (object, find(&desired, object))).collect();
        // What others refer to comes first, as in a pass.
        items.sort_by_key(|(_, found)| found.as_ref().ok().map(|id| stage_of(&id.group_kind)));
        let mut results = Vec::with_capacity(items.len());
        for (object, found) in items {
            let answer = match found {
                Ok(id) => self.revert_one(&desired, &id).await,
                Err(answer) => answer,
            };
            results.push(result(object, answer));
        }
        results
    }

    async fn revert_one(&mut self, desired: &Arc<Desired>, id: &ObjectId) -> Answer {
        let failed = |message: &str| (RevertOutcome::Failed, Some(message.to_owned()));
        let Some(wanted) = desired.objects.get(id) else { return failed("it is not in this commit") };
        if self.state.withheld.contains(id) {
            let message = "lint holds it back, so Git has nothing right to put back; mend it and commit";
            return (RevertOutcome::HeldBack, Some(message.to_owned()));
        }
        if self.order.suspended {
            return failed("applying is suspended; go on with: kubectl asm resume");
        }
        let found = match live(&self.resources, id, &wanted.api_version).await {
            Ok(found) => found,
            Err(error) => return self.refused(&error),
        };
        if let Some(found) = &found
            && is_ours(&self.state, id, found)
            && judge(&id.group_kind, &expected(wanted, found), found) == Verdict::InSync
        {
            return (RevertOutcome::NotDrifted, None);
        }
        let (context, resources) = (self.context.clone(), self.resources.clone());
        // Back to what was applied, unless Git says something else by now.
        let healing = self.state.inventory.get(id).is_some_and(|applied| applied.hash == wanted.hash);
        let how = How { round: Round::Last, healing, unseen: self.state.is_unseen(id), keep: Keep::Nothing };
        match guarded(context, resources, desired.clone(), id.clone(), how).await.1 {
            Done::Applied(live, hash, kept) => {
                self.take_in(desired, id, &live, hash, (Why::Asked, &kept));
                self.news.push(News::Reverted { object: id.to_string() });
                (RevertOutcome::Reverted, None)
            }
            Done::Held(change) => {
                let message = change.message.clone();
                if !self.state.held.contains(&change) {
                    self.state.held.push(change);
                }
                (RevertOutcome::HeldBack, Some(message))
            }
            Done::Refused(refusal) => match refusal {
                super::apply::Refusal::Cluster(error) => self.refused(&error),
                other => failed(&other.message()),
            },
        }
    }

    fn refused(&self, error: &ClusterError) -> Answer {
        self.count_error(error);
        let outcome = if error.is_about_connection() { RevertOutcome::Unavailable } else { RevertOutcome::Failed };
        (outcome, Some(error.message.clone()))
    }
}

/// Is the live object the one that was applied?
fn is_ours(state: &TargetState, id: &ObjectId, live: &serde_json::Value) -> bool {
    let uid = live.pointer("/metadata/uid").and_then(serde_json::Value::as_str);
    state.inventory.get(id).is_some_and(|applied| Some(&*applied.uid) == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::{Position, Target};
    use asm_shared::plan::DesiredObject;
    use serde_json::json;

    fn desired() -> Desired {
        let position = || Position { file: "mesh/a.yaml".into(), line: 1, column: 1 };
        let object = || DesiredObject::new("v1".into(), &json!({}), position());
        let ids = [
            ObjectId::new("networking.istio.io", "Gateway", Some("default"), "a"),
            ObjectId::new("gateway.networking.k8s.io", "Gateway", Some("default"), "a"),
            ObjectId::new("", "Namespace", None, "shop"),
        ];
        Desired {
            target: Target::Mesh,
            set: "set".into(),
            revision: "r".into(),
            objects: ids.into_iter().map(|id| (id, object())).collect(),
            complete: true,
            held: std::collections::BTreeMap::new(),
            leaning: std::collections::BTreeMap::new(),
            approvals: Arc::new([]),
            cloud_controller: None,
            generated: std::collections::BTreeSet::new(),
            arrival: asm_shared::health::arrival::Arrival::default(),
        }
    }

    #[test]
    fn the_object_is_found_as_people_name_it() {
        let ask = |kind: &str, namespace: Option<&str>, name: &str| {
            let object = RevertObject {
                target: "mesh".to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
            };
            find(&desired(), &object).map(|id| id.to_string()).map_err(|answer| answer.0)
        };
        assert_eq!(ask("gateway.networking.istio.io", None, "a"), Ok("Gateway default/a".to_owned()));
        assert_eq!(ask("Gateway", Some("default"), "a"), Err(RevertOutcome::Failed));
        assert_eq!(ask("namespace", None, "shop"), Ok("Namespace shop".to_owned()));
        assert_eq!(ask("Namespace", Some("x"), "shop"), Ok("Namespace shop".to_owned()));
        assert_eq!(ask("Service", None, "a"), Err(RevertOutcome::NotInGit));
    }
}
