//! The plan of one target: compares Git's objects with the inventory and with what the watches saw.

use super::prepare::prepare;
use super::{Stage, removal_order, stage_of};
use crate::api::{DriftMode, PruneSpec};
use crate::asm::gateway;
use crate::drift::{Fingerprint, desired_hash};
use crate::fleet::{Approval, FleetState, Freeze, HeldManifest, Position, Target};
use crate::health::arrival::Arrival;
use crate::object::{FieldPath, GroupKind, ObjectId, Packed, kinds};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What Git wants on one target at one commit.
#[derive(Debug)]
pub struct Desired {
    /// The target.
    pub target: Target,
    /// Label value of the set of this target.
    pub set: Arc<str>,
    /// Full commit ID.
    pub revision: Arc<str>,
    /// The objects.
    pub objects: BTreeMap<ObjectId, DesiredObject>,
    /// No file that feeds this target has a problem. Without it nothing is removed: an object may be missing only
    /// because its file cannot be read.
    pub complete: bool,
    /// Of the objects those that lint holds back, with why: what runs of them stays.
    pub held: BTreeMap<ObjectId, Vec<HeldManifest>>,
    /// Of the objects those that refer to something that is held back.
    pub leaning: BTreeMap<ObjectId, Vec<HeldManifest>>,
    /// Consents of this commit.
    pub approvals: Arc<[Approval]>,
    /// Version of the cluster's cloud controller, as far as the fleet file says.
    pub cloud_controller: Option<Arc<str>>,
    /// LoadBalancer Services that ASM makes in this cluster out of the fleet's gateways.
    pub generated: BTreeSet<ObjectId>,
    /// What else has to be there so that requests arrive. Whoever looks for it puts it here: it is read off the whole commit,
    /// once for all targets.
    pub arrival: Arrival,
}

/// One object as Git wants it.
#[derive(Debug)]
pub struct DesiredObject {
    /// `apiVersion` as written.
    pub api_version: Arc<str>,
    /// The object with the set's label.
    packed: Packed,
    /// Hash of it.
    pub hash: u64,
    /// Where Git declares it.
    pub position: Position,
    /// Fields that are left alone. Not part of the hash: that a field is left alone, or not any more, is no reason to apply.
    pub frozen: Vec<FrozenField>,
    /// What to do about live changes of it, where `fleet.yaml` says so. Not part of the hash.
    pub mode: Option<DriftMode>,
}

/// A field that is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenField {
    /// The field.
    pub path: FieldPath,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Where Git says so.
    pub position: Position,
}

impl DesiredObject {
    /// An object without anything special about it.
    pub fn new(api_version: Arc<str>, object: &Value, position: Position) -> Self {
        let hash = desired_hash(object);
        Self { api_version, packed: Packed::of(object), hash, position, frozen: Vec::new(), mode: None }
    }

    /// The object with the set's label.
    pub fn object(&self) -> Value {
        self.packed.unpack()
    }

    /// What to do about live changes of it.
    pub fn mode(&self, of_fleet: DriftMode) -> DriftMode {
        self.mode.unwrap_or(of_fleet)
    }

    /// The fields that are left alone at a time.
    pub fn frozen_at(&self, now: Timestamp) -> Vec<FieldPath> {
        let counts = self.frozen.iter().filter(|field| field.until.is_none_or(|until| now < until));
        counts.map(|field| field.path.clone()).collect()
    }
}

impl Desired {
    /// Every field that is left alone at a time, with its object.
    pub fn frozen_at(&self, now: Timestamp) -> impl Iterator<Item = (&ObjectId, &FrozenField)> {
        let all = self.objects.iter().flat_map(|(id, object)| object.frozen.iter().map(move |field| (id, field)));
        all.filter(move |(_, field)| field.until.is_none_or(|until| now < until))
    }

    /// When the next field is no longer left alone.
    pub fn next_thaw(&self, now: Timestamp) -> Option<Timestamp> {
        self.frozen_at(now).filter_map(|(_, field)| field.until).min()
    }

    /// Takes a target's part out of a fleet and puts the set's label on each object.
    pub fn of(state: &FleetState, target: &Target, revision: &Arc<str>, set: &str) -> Self {
        let objects = state
            .manifests_of(target)
            .map(|manifest| {
                let object = prepare(&manifest.id.group_kind, &manifest.object, set);
                let plain = DesiredObject::new(manifest.api_version.clone(), &object, manifest.position.clone());
                let frozen = state.frozen_of(manifest).flat_map(frozen_fields).collect();
                (manifest.id.clone(), DesiredObject { frozen, mode: state.drift_mode_of(manifest), ..plain })
            })
            .collect();
        Self {
            target: target.clone(),
            set: set.into(),
            revision: revision.clone(),
            objects,
            complete: state.problems_of(target).next().is_none(),
            held: by_object(state.held_of(target).filter(|held| !held.leans)),
            leaning: by_object(state.held_of(target).filter(|held| held.leans)),
            approvals: state.approvals.iter().map(|(approval, _)| approval.clone()).collect(),
            cloud_controller: cloud_controller(state, target),
            generated: generated(state, target),
            arrival: Arrival::default(),
        }
    }
}

/// The Services of ordinary gateways that this cluster is listed for.
fn generated(state: &FleetState, target: &Target) -> BTreeSet<ObjectId> {
    let mut clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
    let cluster = clusters.find(|cluster| *target != Target::Mesh && cluster.name == target.name());
    let Some(cluster_id) = cluster.and_then(|cluster| cluster.id.as_deref()) else { return BTreeSet::new() };
    let gateways =
        state.manifests_of(&Target::Mesh).filter(|manifest| manifest.group_kind().is(kinds::ASM, "IstioGateway"));
    let here = gateways.filter(|manifest| {
        let object = &manifest.object;
        !gateway::is_serverless(object)
            && gateway::wants_load_balancer(object)
            && gateway::cluster_ids(object).contains(&cluster_id)
    });
    let service = |name: &str| ObjectId::new("", "Service", Some(gateway::NAMESPACE), &gateway::generated_name(name));
    here.map(|manifest| service(&manifest.id.name)).collect()
}

fn cloud_controller(state: &FleetState, target: &Target) -> Option<Arc<str>> {
    let mut clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
    let cluster = clusters.find(|cluster| *target != Target::Mesh && cluster.name == target.name())?;
    cluster.cloud_controller_version.as_deref().map(Into::into)
}

fn by_object<'a>(held: impl Iterator<Item = &'a HeldManifest>) -> BTreeMap<ObjectId, Vec<HeldManifest>> {
    let mut found: BTreeMap<ObjectId, Vec<HeldManifest>> = BTreeMap::new();
    for held in held {
        found.entry(held.id.clone()).or_default().push(held.clone());
    }
    found
}

fn frozen_fields(freeze: &Freeze) -> impl Iterator<Item = FrozenField> {
    freeze.paths.iter().map(|path| FrozenField {
        path: path.clone(),
        reason: freeze.entry.reason.clone(),
        until: freeze.entry.until,
        position: freeze.position.clone(),
    })
}

/// What is remembered of each object that was applied: its UID and what it looked like afterwards.
pub type Inventory = BTreeMap<ObjectId, Applied>;

/// One line of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// `apiVersion` it was applied with.
    pub api_version: Arc<str>,
    /// UID; empty when it was about to be created and the answer is not known (the agent ended in between).
    pub uid: Arc<str>,
    /// Hash of what was applied; 0 when that is not known, or was about to be removed.
    pub hash: u64,
    /// What its metadata looked like afterwards.
    pub fingerprint: Fingerprint,
}

/// What the watches say of one object that carries the set's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// UID.
    pub uid: Arc<str>,
    /// Our managedFields entry and the generation.
    pub fingerprint: Fingerprint,
    /// It is on its way out.
    pub deleting: bool,
}

/// Why an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not in the inventory: new, or to be taken over.
    New,
    /// Git wants something else than was applied last.
    Changed,
    /// It was left half-applied or half-removed, or its UID is not known.
    Unfinished,
}

/// An object to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Which.
    pub id: ObjectId,
    /// `apiVersion` to address it with.
    pub api_version: Arc<str>,
    /// UID that must still be the live one.
    pub uid: Arc<str>,
}

/// Why nothing is removed although objects have left Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Some of this target's files have problems.
    Incomplete,
    /// Lint finds errors, perhaps because of what has left Git.
    Lint,
    /// Git has no object left for this target.
    Empty,
    /// More than the budget allows.
    Budget {
        /// How many would be removed.
        count: usize,
        /// How many may be.
        allowed: usize,
    },
}

impl Hold {
    /// The reason and the next step, for people.
    pub fn message(&self, waiting: usize) -> String {
        match self {
            Self::Incomplete => format!(
                "{waiting} objects have left Git but stay: files of this target have problems, so they may be missing by \
                 mistake; mend the files first"
            ),
            Self::Lint => format!(
                "{waiting} objects have left Git but stay: lint finds errors in what is left, which may need them; mend these \
                 first"
            ),
            Self::Empty => format!(
                "all {waiting} objects have left Git and stay: a target is never emptied by a commit; if that is meant, \
                 set spec.prune.allowEmpty on the FleetSync"
            ),
            Self::Budget { count, allowed } => format!(
                "{count} objects have left Git and stay: a commit may remove {allowed} of this target; if that is meant, \
                 raise spec.prune.maxCount or spec.prune.maxPercent on the FleetSync"
            ),
        }
    }
}

/// Limits on removing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneLimits {
    /// Remove at all?
    pub enabled: bool,
    /// Most objects.
    pub max_count: usize,
    /// Most objects in percent of the inventory.
    pub max_percent: usize,
    /// May a target be emptied?
    pub allow_empty: bool,
    /// How long an object must have been gone from Git.
    pub grace: Duration,
}

impl PruneLimits {
    /// As a FleetSync says.
    pub fn of(spec: &PruneSpec) -> Self {
        Self {
            enabled: spec.enabled,
            max_count: spec.max_count as usize,
            max_percent: spec.max_percent as usize,
            allow_empty: spec.allow_empty,
            grace: Duration::from_secs(spec.grace_seconds.into()),
        }
    }
}

/// The plan.
#[derive(Debug, Default)]
pub struct TargetPlan {
    /// What to apply, by stage.
    pub apply: BTreeMap<Stage, Vec<(ObjectId, Reason)>>,
    /// What would be applied if lint did not hold it back.
    pub withheld: BTreeSet<ObjectId>,
    /// Objects that Git wants unchanged and that somebody touched: to be fetched and judged.
    pub suspects: Vec<ObjectId>,
    /// What to remove, in order.
    pub prune: Vec<Prune>,
    /// Why the removals wait.
    pub hold: Option<Hold>,
    /// Lines of the inventory whose object is gone for good: left Git and is no longer there.
    pub forget: Vec<ObjectId>,
    /// Objects that have left Git but are another incarnation than the one applied: left alone.
    pub strangers: Vec<ObjectId>,
}

impl TargetPlan {
    /// Makes the plan. `observed` must be complete for every kind but those in `unlisted`: of those nothing is known, so
    /// nothing is planned, and above all nothing is taken for gone.
    pub fn make(
        desired: &Desired,
        inventory: &Inventory,
        observed: &BTreeMap<ObjectId, Observed>,
        unlisted: &BTreeSet<GroupKind>,
        limits: PruneLimits,
    ) -> Self {
        let mut plan = Self::default();
        let here = |id: &ObjectId| !is_elsewhere(&desired.target, &id.group_kind) && !unlisted.contains(&id.group_kind);
        for (id, wanted) in desired.objects.iter().filter(|(id, _)| here(id)) {
            let reason = match inventory.get(id) {
                None => Reason::New,
                Some(applied) if applied.uid.is_empty() || applied.hash == 0 => Reason::Unfinished,
                Some(applied) if applied.hash != wanted.hash => Reason::Changed,
                Some(applied) => {
                    if !untouched(applied, observed.get(id)) {
                        plan.suspects.push(id.clone());
                    }
                    continue;
                }
            };
            if desired.held.contains_key(id) {
                if inventory.get(id).is_some_and(|applied| !untouched(applied, observed.get(id))) {
                    plan.suspects.push(id.clone());
                }
                plan.withheld.insert(id.clone());
                continue;
            }
            plan.apply.entry(stage_of(&id.group_kind)).or_default().push((id.clone(), reason));
        }
        plan.removals(desired, inventory, observed, unlisted, limits);
        plan
    }

    fn removals(
        &mut self,
        desired: &Desired,
        inventory: &Inventory,
        observed: &BTreeMap<ObjectId, Observed>,
        unlisted: &BTreeSet<GroupKind>,
        limits: PruneLimits,
    ) {
        let mut leaving: Vec<ObjectId> = Vec::new();
        let here = |id: &ObjectId| !is_elsewhere(&desired.target, &id.group_kind) && !unlisted.contains(&id.group_kind);
        let left_git = |id: &ObjectId| !desired.objects.contains_key(id) && here(id);
        for (id, applied) in inventory.iter().filter(|(id, _)| left_git(id)) {
            match observed.get(id) {
                None => self.forget.push(id.clone()),
                // The answer to its creation was lost; that we own fields of it proves that it is the one we made.
                Some(live) if applied.uid.is_empty() && live.fingerprint.is_owned() => leaving.push(id.clone()),
                Some(live) if live.uid == applied.uid => leaving.push(id.clone()),
                Some(_) => self.strangers.push(id.clone()),
            }
        }
        if leaving.is_empty() || !limits.enabled {
            return;
        }
        // One object may always go, otherwise a small target could never lose any.
        let percent = (inventory.len() * limits.max_percent / 100).max(1);
        let allowed = limits.max_count.min(percent);
        self.hold = if !desired.complete {
            Some(Hold::Incomplete)
        } else if !desired.held.is_empty() {
            Some(Hold::Lint)
        } else if desired.objects.is_empty() && !limits.allow_empty {
            Some(Hold::Empty)
        } else if leaving.len() > allowed && !(desired.objects.is_empty() && limits.allow_empty) {
            Some(Hold::Budget { count: leaving.len(), allowed })
        } else {
            None
        };
        removal_order(&mut leaving);
        self.prune = leaving
            .into_iter()
            .filter_map(|id| {
                let live = observed.get(&id)?;
                let api_version = inventory.get(&id)?.api_version.clone();
                Some(Prune { uid: live.uid.clone(), api_version, id })
            })
            .collect();
    }

    /// Nothing to apply and nothing to remove?
    pub fn is_empty(&self) -> bool {
        self.apply.is_empty() && self.prune.is_empty() && self.forget.is_empty()
    }
}

/// Is a kind addressed at the mesh API alone? Where members answer for it too (access by the data plane's KubeAPI), what they
/// show is the mesh's: removing it there removes it everywhere, applying it there makes two managers fight.
pub fn is_elsewhere(target: &Target, group_kind: &GroupKind) -> bool {
    *target != Target::Mesh && kinds::place(group_kind) == Some(kinds::Place::Mesh)
}

/// The same incarnation, and neither our fields nor the generation moved since our apply.
fn untouched(applied: &Applied, observed: Option<&Observed>) -> bool {
    observed.is_some_and(|live| live.uid == applied.uid && live.fingerprint == applied.fingerprint && !live.deleting)
}

#[cfg(test)]
mod tests;
