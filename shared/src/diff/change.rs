//! What a comparison of fleets tells: objects that come, change and go, per target.

use super::FieldChange;
use super::versions::Sides;
use crate::fleet::{Position, Target};
use crate::object::ObjectId;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// It is made.
    Create,
    /// Fields of it change.
    Change,
    /// What is wanted cannot be made of the object: it would have to be deleted and made again. The agent never does that
    /// by itself.
    Replace,
    /// It is deleted.
    Destroy,
    /// Nothing: only the text differs. Told by a literal comparison alone, and never counted.
    Same,
}

/// What happens to one object, on one or more targets in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectChange {
    /// Where, mesh first, then clusters by name.
    #[serde(serialize_with = "names")]
    #[schemars(with = "Vec<String>")]
    pub targets: Vec<Target>,
    /// Which object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// What happens to it.
    pub op: Op,
    /// The fields; empty for create and destroy. Secrets are redacted.
    pub fields: Vec<FieldChange>,
    /// Of a literal comparison: what differs in the text and not in the meaning, and what only the API server holds.
    /// Nothing happens to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<FieldChange>,
    /// Of a created object: all of it. Secrets are redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    /// Where the files say so: the changed field, or the object. Of a destroyed object the place where it stood.
    pub sources: Vec<Position>,
    /// Why it cannot be changed as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_reason: Option<String>,
    /// What it means for addresses and traffic, the reason of a replacement among it.
    pub consequences: Vec<String>,
    /// The object itself on each of the targets, in their order. Holds secrets: see [`ObjectChange::versions`].
    #[serde(skip)]
    pub(super) sides: Vec<Sides>,
}

/// How many objects of a target are concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TargetCounts {
    /// The target.
    #[serde(serialize_with = "name")]
    #[schemars(with = "String")]
    pub target: Target,
    /// Objects that are made.
    pub create: usize,
    /// Objects that change.
    pub change: usize,
    /// Objects that would have to be replaced.
    pub replace: usize,
    /// Objects that are deleted.
    pub destroy: usize,
}

impl TargetCounts {
    pub(super) fn none(target: Target) -> Self {
        Self { target, create: 0, change: 0, replace: 0, destroy: 0 }
    }

    pub(super) fn add(&mut self, op: Op) {
        *match op {
            Op::Create => &mut self.create,
            Op::Change => &mut self.change,
            Op::Replace => &mut self.replace,
            Op::Destroy => &mut self.destroy,
            Op::Same => return,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.create + self.change + self.replace + self.destroy
    }
}

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FleetDiff {
    /// Every target of either side, mesh first, then clusters by name.
    pub targets: Vec<TargetCounts>,
    /// The changes, in order of targets, kind, namespace, name.
    pub changes: Vec<ObjectChange>,
    /// Targets that are no longer in `fleet.yaml`: the agent stops looking after them and leaves their objects alone.
    #[serde(serialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Target>,
    /// Objects about which nothing can be said, because one side of them cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownObject>,
}

impl FleetDiff {
    /// Does anything happen? What a literal comparison tells besides does not count.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| change.op == Op::Same)
    }

    /// Leaves out what concerns other targets.
    pub fn retain_targets(&mut self, keep: impl Fn(&Target) -> bool) {
        self.targets.retain(|counts| keep(&counts.target));
        self.left.retain(&keep);
        self.unknown.retain(|unknown| keep(&unknown.target));
        for change in &mut self.changes {
            let kept: Vec<bool> = change.targets.iter().map(&keep).collect();
            let mut places = kept.iter();
            change.sides.retain(|_| places.next().is_some_and(|kept| *kept));
            change.targets.retain(&keep);
        }
        self.changes.retain(|change| !change.targets.is_empty());
        self.changes.sort_by(order);
    }
}

/// An object about which nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnknownObject {
    /// Where.
    #[serde(serialize_with = "name")]
    #[schemars(with = "String")]
    pub target: Target,
    /// Which object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// The place where one side has it.
    pub position: Position,
}

/// The live objects of one target, as far as they concern Git: those that Git names and those that carry the agent's label.
#[derive(Clone, Debug)]
pub struct LiveTarget {
    /// The target.
    pub target: Target,
    /// Objects by identity, as the API server gave them.
    pub objects: BTreeMap<ObjectId, LiveObject>,
    /// Objects that could not be read: they may be there or not.
    pub unknown: BTreeSet<ObjectId>,
}

/// One live object.
#[derive(Clone, Debug)]
pub struct LiveObject {
    /// The whole object.
    pub object: Arc<Value>,
    /// Does it carry the label of an agent's set? Then it is deleted once Git does not name it.
    pub is_managed: bool,
}

fn name<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(target.name())
}

fn names<S: Serializer>(targets: &[Target], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(targets.iter().map(Target::name))
}

/// Targets, kind, namespace, name.
pub(super) fn order(a: &ObjectChange, b: &ObjectChange) -> std::cmp::Ordering {
    let key = |change: &ObjectChange| {
        (change.id.namespace.clone(), change.id.name.clone(), change.id.group_kind.group.clone())
    };
    a.targets
        .cmp(&b.targets)
        .then_with(|| a.id.group_kind.kind.cmp(&b.id.group_kind.kind))
        .then_with(|| key(a).cmp(&key(b)))
}
