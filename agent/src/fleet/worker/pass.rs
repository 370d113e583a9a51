//! A pass: brings one target to one commit. Stage by stage, everything of a stage side by side, errors collected.

use super::Worker;
use super::judge::taken;
use super::remove::{Removal, is_consented, look, remove};
use super::stage::{Round, live};
use crate::fleet::progress::Reached;
use crate::metrics::PruneOutcome;
use crate::trace;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::fleet::Target;
use asm_shared::object::{GroupKind, ObjectId};
use asm_shared::plan::{Desired, Hold, Prune, Reason, Stage, TargetPlan, needs, stage_of};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

/// How long istiod and the proxies are given to take in a change before the next one builds on it. Measured: both writes
/// within istiod's debounce of 100 ms cost a few errors, 1 s in between none.
const PROPAGATION: Duration = Duration::from_secs(1);

/// How a pass ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PassEnd {
    /// Something failed that may work later without a new commit.
    pub(super) retry_soon: bool,
    /// Something failed for good; only a new commit or a change elsewhere helps.
    pub(super) failed: bool,
    /// Something went wrong of which it is not known which objects it concerns.
    pub(super) unknown: bool,
    /// Removals wait for the mesh.
    pub(super) waits_for_mesh: bool,
    /// Another FleetSync has what this one wants.
    pub(super) waits_for_owner: bool,
    /// The API server does not know who asks: the token has ended, or was taken back.
    pub(super) unauthorized: bool,
}

impl PassEnd {
    /// Takes in how an earlier part ended.
    fn add(&mut self, before: Self) {
        self.retry_soon |= before.retry_soon;
        self.failed |= before.failed;
        self.unknown |= before.unknown;
        self.waits_for_mesh |= before.waits_for_mesh;
        self.waits_for_owner |= before.waits_for_owner;
        self.unauthorized |= before.unauthorized;
    }

    fn is_clean(self) -> bool {
        !self.retry_soon && !self.failed
    }

    /// For traces.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self { unauthorized: true, .. } => "Unauthorized",
            Self { retry_soon: true, .. } => "RetrySoon",
            Self { failed: true, .. } => "Failed",
            Self { waits_for_mesh: true, .. } => "WaitsForMesh",
            _ => "Done",
        }
    }
}

/// Does it send requests to what other objects of the mesh and the clusters define?
fn is_route(id: &ObjectId) -> bool {
    stage_of(&id.group_kind) == Stage::VirtualService
}

impl Worker {
    /// Brings the target to the commit of the present order.
    pub(super) async fn pass(&mut self) -> PassEnd {
        let desired = self.order.desired.clone();
        let mut end = PassEnd::default();
        self.state.problems.clear();
        self.state.held.clear();
        self.state.waiting.clear();
        self.state.stuck.clear();
        self.state.hold = None;
        self.state.parting_note = None;
        self.state.parting.clear_end();
        if let Err(error) = self.identify().await {
            self.count_error(&error);
            self.problem(desired.target.to_string(), error.message.clone());
            self.progress.reached(&desired.target, &desired.revision, Reached::Retrying);
            return PassEnd { retry_soon: true, unauthorized: error.kind == ErrorKind::Unauthorized, ..end };
        }
        if self.identity.misled.is_some() {
            self.progress.reached(&desired.target, &desired.revision, Reached::Failed);
            // The other target may be about to end.
            return PassEnd { retry_soon: true, ..end };
        }
        let unlisted = self.unlisted(&desired, &mut end);
        if std::mem::take(&mut self.fresh) {
            self.regain(&desired, &unlisted).await;
        }
        let planning = trace::plan();
        let mut plan = planning.in_scope(|| self.state.plan(&desired, &unlisted, self.order.limits));
        planning.record("apply", plan.apply.values().map(Vec::len).sum::<usize>());
        planning.record("remove", plan.prune.len());
        drop(planning);
        self.give_up(&plan);
        self.leave_to_others(&desired, &mut plan, &mut end).await;
        for id in &plan.forget {
            self.state.forget(id);
        }
        self.dirty |= !plan.forget.is_empty();
        // Looked at after the pass: what somebody touched stays reported, or is corrected if that is asked for by now.
        self.state.suspects.extend(plan.suspects.iter().cloned());
        self.state.withheld.clone_from(&plan.withheld);
        // Differences from an older commit: judged anew.
        let drifted = plan.withheld.iter().filter(|id| self.state.drift.contains_key(*id));
        let drifted: Vec<ObjectId> = drifted.cloned().collect();
        self.state.suspects.extend(drifted);

        let broken = self.not_looked_at(&desired, &unlisted);
        self.state.stuck.extend(broken.iter().cloned());
        let wrote_routes = self.stages(&desired, &plan, broken, &mut end).await;
        let whole = desired.complete && self.state.withheld.is_empty() && self.state.waiting.is_empty();
        // Routes that are wrong or stay as they run may need what a cluster is to lose: its removals wait for them.
        let applied = end.is_clean() && self.state.held.is_empty() && whole;
        let routes_leave = plan.prune.iter().any(|prune| is_route(&prune.id));
        let reached = match (applied, desired.held.is_empty()) {
            (false, _) if end.retry_soon => Reached::Retrying,
            (false, _) => Reached::Failed,
            (true, false) if routes_leave => Reached::Failed,
            (true, false) => Reached::Wrong,
            (true, true) if routes_leave => Reached::Applied,
            (true, true) => Reached::Rerouted,
        };
        self.progress.reached(&desired.target, &desired.revision, reached);
        let removing = if plan.prune.is_empty() { Span::none() } else { trace::remove(plan.prune.len()) };
        self.removals(&desired, &plan, wrote_routes, applied, &mut end).instrument(removing).await;
        if let Err(error) = self.save().await {
            self.problem("inventory".to_owned(), error.to_string());
            end.retry_soon = true;
        }
        let nothing_waits = self.state.parting_note.is_none()
            && self.state.held.is_empty()
            && self.state.hold.is_none()
            && !end.waits_for_mesh;
        if end.is_clean() && nothing_waits && whole {
            self.state.revision = Some(desired.revision.clone());
        }
        end
    }

    /// A target that comes (back) takes what another set took over meanwhile, once: a cluster that had another name for a while,
    /// an object that was in two repositories. Whoever has it now reports it, and does not take it back.
    async fn regain(&mut self, desired: &Desired, unlisted: &BTreeSet<GroupKind>) {
        let gone =
            desired.objects.iter().filter(|(id, _)| self.state.is_unseen(id) && !unlisted.contains(&id.group_kind));
        let gone: Vec<_> = gone.collect();
        for (id, wanted) in gone {
            let found = live(&self.resources, id, &wanted.api_version).await;
            if let Ok(Some(found)) = found
                && taken(&wanted.object(), &found).is_some()
                && let Some(applied) = self.state.inventory.get_mut(id)
            {
                applied.hash = 0;
                self.state.correcting.insert(id.clone(), Vec::new());
            }
        }
    }

    /// Kinds that could not be listed: their objects are left alone, because nothing is known of them.
    fn unlisted(&mut self, desired: &Desired, end: &mut PassEnd) -> BTreeSet<GroupKind> {
        let mut broken = Vec::new();
        for (kind, failure) in self.state.not_ready(&self.kinds) {
            let why = failure.map_or("the API server has not listed them yet".to_owned(), |f| f.message.clone());
            broken.push((kind.group_kind.clone(), why));
        }
        for (kind, why) in &broken {
            end.retry_soon = true;
            let declared = desired.objects.iter().find(|(id, _)| id.group_kind == *kind);
            let at = declared.map_or(kind.to_string(), |(_, object)| object.position.to_string());
            self.problem(at, why.clone());
        }
        broken.into_iter().map(|(kind, _)| kind).collect()
    }

    /// Objects that are not applied because their kind could not be listed, though Git wants something else of them than was
    /// applied last.
    fn not_looked_at(&self, desired: &Desired, unlisted: &BTreeSet<GroupKind>) -> BTreeSet<ObjectId> {
        let waits = |id: &ObjectId, hash| self.state.inventory.get(id).is_none_or(|applied| applied.hash != hash);
        let of_them = desired.objects.iter().filter(|(id, _)| unlisted.contains(&id.group_kind));
        of_them.filter(|(id, wanted)| waits(id, wanted.hash)).map(|(id, _)| id.clone()).collect()
    }

    /// Applies stage by stage. Gives back whether a route was written.
    async fn stages(
        &mut self,
        desired: &Arc<Desired>,
        plan: &TargetPlan,
        mut broken: BTreeSet<ObjectId>,
        end: &mut PassEnd,
    ) -> bool {
        self.starting.clear();
        // What routes may lead to: rules, ServiceEntries, Services and workloads.
        let (mut wrote_ends, mut wrote_routes) = (false, false);
        let mut unions = Vec::new();
        let needed = |stage: &Stage| matches!(stage, Stage::Service | Stage::Workload);
        // What no route can lead to is waited for by none: a cluster that is slow to take a ConfigMap.
        let leads_nowhere = broken.is_empty() && !plan.apply.keys().any(needed);
        for stage in Stage::ALL {
            let told = if leads_nowhere { stage.max(Stage::IstioGateway) } else { stage };
            self.progress.reached(&desired.target, &desired.revision, Reached::Stage(told));
            let Some(items) = plan.apply.get(&stage).cloned() else { continue };
            if stage.routes() && desired.target == Target::Mesh {
                wrote_ends |= self.progress.workloads(&self.order.members, &desired.revision).await;
            }
            let items = self.without_leaning(desired, items, end).await;
            let items = self.without_dependents(desired, items, &mut broken);
            if stage == Stage::VirtualService && wrote_ends && !items.is_empty() {
                tokio::time::sleep(PROPAGATION).await;
            }
            let span = trace::stage(stage, items.len());
            let result = self.apply_stage(desired, stage, &items, Round::First, end).instrument(span.clone()).await;
            span.record("failed", result.failed.len());
            drop(span);
            broken.extend(result.failed);
            match stage {
                Stage::Service | Stage::Workload => {
                    if result.wrote {
                        self.progress.wrote(&desired.target, &desired.revision);
                    }
                    self.starting.extend(items.into_iter().map(|(id, _)| id));
                    self.tell_started();
                }
                Stage::Gateway => wrote_ends |= result.wrote,
                Stage::DestinationRule => {
                    wrote_ends |= result.wrote;
                    unions = result.unions;
                }
                Stage::VirtualService => wrote_routes = result.wrote,
                _ => {}
            }
        }
        if unions.is_empty() {
            return wrote_routes;
        }
        if !end.is_clean() || self.keeps_a_route() {
            // Some route may still use the old subsets: the unions stay until a later pass has moved it.
            return wrote_routes;
        }
        tokio::time::sleep(PROPAGATION).await;
        let span = trace::stage(Stage::DestinationRule, unions.len());
        self.apply_stage(desired, Stage::DestinationRule, &unions, Round::Last, end).instrument(span).await;
        wrote_routes
    }

    /// Tells the mesh's routes whether workloads of this commit still have to start.
    pub(super) fn tell_started(&mut self) {
        let state = &self.state;
        self.starting.retain(|id| stage_of(&id.group_kind) == Stage::Workload && state.unhealthy.contains_key(id));
        self.progress.starting(&self.order.desired.target, &self.order.desired.revision, !self.starting.is_empty());
    }

    /// Takes out of a stage what needs something that could not be applied: it would break, or answer 503. What is taken out
    /// is broken itself for what needs it in turn.
    fn without_dependents(
        &mut self,
        desired: &Desired,
        items: Vec<(ObjectId, Reason)>,
        broken: &mut BTreeSet<ObjectId>,
    ) -> Vec<(ObjectId, Reason)> {
        if broken.is_empty() {
            return items;
        }
        let unpack = |id: &ObjectId| Some((id.clone(), desired.objects.get(id)?.object()));
        let mut causes: Vec<(ObjectId, serde_json::Value)> = broken.iter().filter_map(unpack).collect();
        let mut kept = Vec::with_capacity(items.len());
        for (id, reason) in items {
            let Some(object) = desired.objects.get(&id) else { continue };
            let value = object.object();
            let needed = causes.iter().find(|(needed, cause)| *needed != id && needs((&id, &value), (needed, cause)));
            let place = |id: &ObjectId| desired.objects.get(id).map_or_else(String::new, |it| it.position.to_string());
            match needed.map(|(needed, _)| (needed.clone(), place(needed))) {
                None => kept.push((id, reason)),
                Some((needed, at)) => {
                    let message =
                        format!("{id}: waits for {needed} ({at}), which could not be applied and which it needs");
                    self.problem(object.position.to_string(), message);
                    self.state.stuck.insert(id.clone());
                    causes.push((id.clone(), value));
                    broken.insert(id);
                }
            }
        }
        kept
    }

    /// Removes what has left Git, last stage first.
    async fn removals(
        &mut self,
        desired: &Arc<Desired>,
        plan: &TargetPlan,
        wrote_routes: bool,
        applied: bool,
        end: &mut PassEnd,
    ) {
        for id in &plan.strangers {
            let message = format!(
                "{id} has left Git, but what is live is not what was applied (another UID); it is left alone. Remove it by \
                 hand, or put it back into Git to take it over"
            );
            self.problem(id.to_string(), message);
        }
        let grace = self.order.limits.grace;
        let due = self.state.parting.due(&plan.prune, grace, (Instant::now(), Timestamp::now()));
        if plan.prune.is_empty() {
            return;
        }
        match &plan.hold {
            Some(Hold::Lint) => return self.consented(desired, &plan.prune, (&due, applied), end).await,
            Some(hold) => {
                self.state.hold = Some(hold.message(plan.prune.len()));
                return;
            }
            None => {}
        }
        let waiting = plan.prune.len() - due.len();
        if waiting > 0 {
            self.state.parting_note = self.state.parting.message(waiting, grace);
            // What waiting does not help with is told at once.
            let waits = plan.prune.iter().filter(|prune| !due.contains(prune));
            self.dangers(desired, waits).await;
        }
        if due.is_empty() {
            return;
        }
        let due = if applied { due } else { self.free_to_go(desired, due, end).await };
        if due.is_empty() {
            return;
        }
        if desired.target != Target::Mesh && self.progress.wrong(&desired.revision) {
            return self.consented(desired, &plan.prune, (&due, applied), end).await;
        }
        if desired.target != Target::Mesh && !self.progress.rerouted(&desired.revision) {
            end.waits_for_mesh = true;
            self.state.hold = Some(format!(
                "{} objects have left Git and stay until the mesh has the commit's routes and no others, with nothing held back there",
                plan.prune.len()
            ));
            return;
        }
        if wrote_routes || desired.target != Target::Mesh {
            // A cluster waits for what the mesh has just written.
            tokio::time::sleep(PROPAGATION).await;
        }
        let (routes, rest): (Vec<&Prune>, Vec<&Prune>) = due.iter().partition(|prune| is_route(&prune.id));
        let before = std::mem::take(end);
        self.remove_all(desired, &routes, end).await;
        let gone = end.is_clean();
        end.add(before);
        if !gone {
            // A route that could not be removed still sends requests to the rest.
            return;
        }
        if !routes.is_empty() && applied {
            self.progress.reached(&desired.target, &desired.revision, Reached::Rerouted);
        }
        if !routes.is_empty() && !rest.is_empty() {
            tokio::time::sleep(PROPAGATION).await;
        }
        self.remove_all(desired, &rest, end).await;
    }

    /// Lint finds errors in what is left, which may need what has left Git: that stays. What an approval in Git names goes all the
    /// same, once everything runs as Git says: an error that its absence causes must not keep it for ever, and what is
    /// wrong is told anyway. While an older version of something runs, nobody knows what that needs.
    async fn consented(
        &mut self,
        desired: &Arc<Desired>,
        prunes: &[Prune],
        (due, applied): (&[Prune], bool),
        end: &mut PassEnd,
    ) {
        let (mut agreed, mut kept) = (Vec::new(), Vec::new());
        for prune in prunes {
            let resources = self.resources.clone();
            match is_consented(&resources, desired, prune).await {
                Ok(true) if applied && due.contains(prune) => agreed.push(prune),
                Ok(_) => kept.push(prune),
                Err(error) => {
                    self.count_error(&error);
                    end.retry_soon |= error.is_transient();
                    kept.push(prune);
                }
            }
        }
        if !kept.is_empty() {
            self.state.hold = Some(Hold::Lint.message(kept.len()));
            self.dangers(desired, kept.into_iter()).await;
        }
        self.remove_all(desired, &agreed, end).await;
    }

    /// Removes objects one after the other.
    async fn remove_all(&mut self, desired: &Arc<Desired>, items: &[&Prune], end: &mut PassEnd) {
        if items.is_empty() {
            return;
        }
        // Written down first: an agent that ends in between must not take its own removal for somebody's.
        for prune in items {
            self.dirty |= self.state.about_to_remove(&prune.id);
        }
        if let Err(error) = self.save().await {
            self.problem("inventory".to_owned(), error.to_string());
            end.retry_soon = true;
            return;
        }
        for prune in items {
            if !self.context.may_write() {
                end.retry_soon = true;
                return;
            }
            if self.state.observed.get(&prune.id).is_some_and(|live| live.deleting) {
                self.state.leaving.insert(prune.id.clone());
                continue;
            }
            let resources = self.resources.clone();
            let outcome = remove(&resources, desired, prune).await;
            self.removed(&prune.id, outcome, end);
        }
    }

    /// What the removals that wait would lose, so that it is known before they can go on.
    async fn dangers(&mut self, desired: &Arc<Desired>, waiting: impl Iterator<Item = &Prune>) {
        for prune in waiting {
            let resources = self.resources.clone();
            match look(&resources, desired, prune, false).await {
                Ok(Some(Removal::Held(change))) => self.state.held.push(change),
                Ok(_) => {}
                Err(error) => self.count_error(&error),
            }
        }
    }

    fn removed(&mut self, id: &ObjectId, outcome: Result<Removal, ClusterError>, end: &mut PassEnd) {
        match outcome {
            Ok(Removal::Gone) => {
                self.context.metrics.pruned(self.target(), PruneOutcome::Deleted);
                self.state.forget(id);
                self.dirty = true;
                tracing::info!(target = %self.target(), object = %id, "removed");
            }
            Ok(Removal::Leaving) => {
                self.context.metrics.pruned(self.target(), PruneOutcome::Deleted);
                self.state.leaving.insert(id.clone());
                tracing::info!(target = %self.target(), object = %id, "is being removed");
            }
            Ok(Removal::Held(change)) => {
                self.context.metrics.pruned(self.target(), PruneOutcome::Held);
                tracing::warn!(target = %self.target(), object = %id, "{}", change.message);
                self.state.held.push(change);
            }
            Ok(Removal::Taken) => {
                self.state.forget(id);
                self.dirty = true;
                tracing::info!(target = %self.target(), object = %id, "is another FleetSync's now; left alone");
            }
            Ok(Removal::Busy) => end.retry_soon = true,
            Ok(Removal::Stranger) => {
                self.problem(id.to_string(), format!("{id}: another object of this name is there now; left alone"))
            }
            Err(error) => {
                self.context.metrics.pruned(self.target(), PruneOutcome::Error);
                self.count_error(&error);
                end.retry_soon |= error.is_transient();
                end.failed |= !error.is_transient();
                end.unauthorized |= error.kind == ErrorKind::Unauthorized;
                self.problem(id.to_string(), format!("{id} could not be removed: {}", error.message));
            }
        }
    }
}
