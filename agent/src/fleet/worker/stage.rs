//! One stage of a pass: its objects do not depend on each other and are applied side by side.

use super::Worker;
use super::apply::Refusal;
use super::ending::Why;
use super::guard;
use super::judge::taken;
use super::pass::PassEnd;
use super::resources::Resources;
use super::wanted::{apply_wanted, intended, is_provisional};
use super::watch::observed;
use crate::context::FleetContext;
use crate::metrics::ApplyOutcome;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::HeldChange;
use asm_shared::asm::addresses;
use asm_shared::drift::{Keep, Kept, Mark};
use asm_shared::health;
use asm_shared::object::{ObjectId, kinds};
use asm_shared::plan::{Desired, Reason, Stage, union_subsets, wants_look};
use futures::StreamExt as _;
use kube::api::DynamicObject;
use serde_json::Value;
use std::sync::Arc;

/// Applies in flight. More than 32 bring nothing on a real API server.
const IN_FLIGHT: usize = 16;
/// Service creations queue inside the API server; more of them only delay everything behind.
const SERVICES_IN_FLIGHT: usize = 4;

/// DestinationRules that lose subsets are applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// With the subsets that go, for the routes that still use them.
    First,
    /// As Git wants it.
    Last,
}

/// How an object is applied, and what is known of it before.
#[derive(Debug)]
pub(super) struct How {
    /// Of a DestinationRule: with the subsets that go, or without.
    pub(super) round: Round,
    /// What of the live object stays as it is.
    pub(super) keep: Keep,
    /// What was applied last is put back.
    pub(super) healing: bool,
    /// It was applied, and is not among those with our label any more: gone, or taken over by another FleetSync.
    pub(super) unseen: bool,
}

/// What came of a stage.
#[derive(Debug, Default)]
pub(super) struct StageEnd {
    /// The API server stored something new.
    pub(super) wrote: bool,
    /// What could not be applied.
    pub(super) failed: Vec<ObjectId>,
    /// What stands as a union and has to be applied once more.
    pub(super) unions: Vec<(ObjectId, Reason)>,
}

/// What came of one object.
pub(super) enum Done {
    /// Stored; with the hash of Git's object, or 0 when a union was applied in its place; and what was kept.
    Applied(Box<DynamicObject>, u64, Kept),
    Held(HeldChange),
    Refused(Refusal),
}

impl Worker {
    /// Applies the objects of one stage.
    pub(super) async fn apply_stage(
        &mut self,
        desired: &Arc<Desired>,
        stage: Stage,
        items: &[(ObjectId, Reason)],
        round: Round,
        end: &mut PassEnd,
    ) -> StageEnd {
        let mut result = StageEnd::default();
        if items.is_empty() {
            return result;
        }
        for (id, _) in items {
            if let Some(object) = desired.objects.get(id) {
                self.dirty |= self.state.about_to_create(id, &object.api_version);
            }
        }
        if let Err(error) = self.save().await {
            self.problem("inventory".to_owned(), error.to_string());
            end.retry_soon = true;
            result.failed = items.iter().map(|(id, _)| id.clone()).collect();
            self.state.stuck.extend(result.failed.iter().cloned());
            return result;
        }
        let width = if stage == Stage::Service { SERVICES_IN_FLIGHT } else { IN_FLIGHT };
        let mut work = Vec::with_capacity(items.len());
        for (id, reason) in items {
            let healing = self.state.correcting.contains_key(id);
            let (keep, why) = self.keep_for(desired, id);
            work.push((id, *reason, why, How { round, keep, healing, unseen: !healing && self.state.is_unseen(id) }));
        }
        let (context, resources) = (self.context.clone(), self.resources.clone());
        // A step's future has room for everything that it may wait for: only those in flight are made.
        let step = |(id, reason, why, how): (&ObjectId, Reason, Why, How)| {
            let one = guarded(context.clone(), resources.clone(), desired.clone(), id.clone(), how);
            async move { (one.await, reason, why) }
        };
        let mut finished = futures::stream::iter(work).map(step).buffer_unordered(width);
        while let Some(((id, done), reason, why)) = finished.next().await {
            let id = &id;
            match done {
                Done::Applied(live, hash, kept) => {
                    result.wrote |= self.take_in(desired, id, &live, hash, (why, &kept));
                    if hash == 0 {
                        result.unions.push((id.clone(), reason));
                    }
                }
                Done::Held(change) => {
                    tracing::warn!(target = %desired.target, object = %id, "{}", change.message);
                    self.state.held.push(change);
                    self.state.stuck.insert(id.clone());
                }
                Done::Refused(refusal) => {
                    end.retry_soon |= refusal.is_passing();
                    end.failed |= !refusal.is_passing();
                    self.context.metrics.applied(self.target(), refusal.outcome());
                    if let Refusal::Cluster(error) = &refusal {
                        self.count_error(error);
                        end.unauthorized |= error.kind == ErrorKind::Unauthorized;
                    }
                    let at = desired.objects.get(id).map_or(id.to_string(), |object| object.position.to_string());
                    self.problem(at, format!("{id}: {}", refusal.message()));
                    self.state.stuck.insert(id.clone());
                    result.failed.push(id.clone());
                }
            }
        }
        result
    }

    /// Remembers what the API server stored. `true` when it stored something new.
    pub(super) fn take_in(
        &mut self,
        desired: &Desired,
        id: &ObjectId,
        live: &DynamicObject,
        hash: u64,
        (why, kept): (Why, &Kept),
    ) -> bool {
        let Some(object) = desired.objects.get(id) else { return false };
        let drift = self.end_of_drift(object, id, live, (why, kept));
        let now = observed(&live.metadata);
        let before = self.state.observed.get(id);
        let wrote = before != Some(&now);
        let outcome = match before {
            None => ApplyOutcome::Created,
            Some(_) if wrote => ApplyOutcome::Configured,
            Some(_) => ApplyOutcome::Unchanged,
        };
        self.context.metrics.applied(self.target(), outcome);
        if wrote {
            tracing::info!(target = %desired.target, object = %id, ?outcome, "applied");
        }
        self.state.applied(id, &object.api_version, hash, now);
        self.dirty = true;
        if let Some(drift) = drift {
            self.state.drift.insert(id.clone(), drift);
            self.state.accept(id, Mark::Kept);
        }
        if let Ok(live) = serde_json::to_value(live) {
            if !self.state.drift.contains_key(id) && is_provisional(object, &live) {
                self.state.accept(id, Mark::Frozen);
            }
            self.judge_health(id, &live);
            if id.group_kind.is("", "Service") {
                // Its load balancer and its pods are looked at after the pass.
                self.state.look_again.insert(id.clone());
            }
        }
        wrote
    }

    /// Remembers whether an object works.
    pub(super) fn judge_health(&mut self, id: &ObjectId, live: &Value) {
        self.state.look_again.remove(id);
        self.state.holds(id, addresses::of(&id.group_kind, live));
        match health::judge(&id.group_kind, live) {
            // Of a Secret that a Gateway names, its kind says nothing.
            health::Health::Healthy if self.order.desired.arrival.credentials.contains_key(id) => {}
            health::Health::Healthy => self.state.works(id),
            health::Health::Progressing(why) => self.state.ails(id, why),
            health::Health::Failed(why) => self.state.ails(id, format!("failed: {why}")),
        }
    }
}

/// `apiVersion` of an object.
pub(super) fn api_version(object: &Value) -> Arc<str> {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default().into()
}

/// Applies one object if this replica may still write. Owns what it uses, so that many of them can be in flight.
pub(super) async fn guarded(
    context: FleetContext,
    resources: Resources,
    desired: Arc<Desired>,
    id: ObjectId,
    how: How,
) -> (ObjectId, Done) {
    let done = if context.may_write() {
        one(&resources, &desired, &id, &how).await
    } else {
        Done::Refused(Refusal::Cluster(ClusterError::new(ErrorKind::Timeout, "another replica has taken over")))
    };
    (id, done)
}

/// Applies one object, if that loses no load balancer without consent.
async fn one(resources: &Resources, desired: &Desired, id: &ObjectId, how: &How) -> Done {
    let How { round, keep, healing, unseen } = how;
    let Some(wanted) = desired.objects.get(id) else {
        return Done::Refused(Refusal::Cluster(ClusterError::new(ErrorKind::Other, "it is not in this commit")));
    };
    let is_rule = *round == Round::First && id.group_kind.is(kinds::ISTIO_NETWORKING, "DestinationRule");
    let object = wanted.object();
    let mut union = None;
    if *unseen || is_rule || wants_look(&id.group_kind) {
        let live = match live(resources, id, &wanted.api_version).await {
            Ok(live) => live,
            Err(error) => return Done::Refused(Refusal::Cluster(error)),
        };
        if let Some(live) = live {
            let intended = intended(wanted, &live, keep);
            if let Some(note) = taken(&object, &live).filter(|_| *unseen) {
                return Done::Refused(Refusal::Taken(note));
            }
            match guard::change(resources, desired, id, &intended, &live, *healing).await {
                Ok(None) => {}
                Ok(Some(held)) => return Done::Held(held),
                Err(error) => return Done::Refused(Refusal::Cluster(error)),
            }
            if is_rule {
                union = union_subsets(&intended, &live);
            }
        }
    }
    let (object, hash) = union.as_ref().map_or((&object, wanted.hash), |union| (union, 0));
    match apply_wanted(resources, id, wanted, object, keep).await {
        Ok((live, kept)) => Done::Applied(Box::new(live), hash, kept),
        Err(refusal) => Done::Refused(refusal),
    }
}

/// The live object, if there is one.
pub(super) async fn live(
    resources: &Resources,
    id: &ObjectId,
    api_version: &str,
) -> Result<Option<Value>, ClusterError> {
    let api = resources.api(&id.group_kind, api_version, id.namespace.as_deref()).await?;
    let Some(live) = api.get_opt(&id.name).await.map_err(ClusterError::from)? else { return Ok(None) };
    serde_json::to_value(&live).map(Some).map_err(|error| ClusterError::new(ErrorKind::Other, error.to_string()))
}
