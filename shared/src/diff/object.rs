//! Differences of whole fleets: objects that come, change and go, per target, with what that means.

use super::effects::{self, Pair};
use super::{FieldChange, between, dropped, missing_from};
use crate::fleet::{FleetState, Manifest, Position, Target};
use crate::object::{FieldPath, ObjectId, Segment, redact};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

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
}

/// What happens to one object, on one or more targets in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
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
    /// Where the files say so: the changed field, or the object. Of a destroyed object the place where it stood.
    pub sources: Vec<Position>,
    /// What it means for addresses and traffic.
    pub consequences: Vec<String>,
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
    fn none(target: Target) -> Self {
        Self { target, create: 0, change: 0, replace: 0, destroy: 0 }
    }

    fn add(&mut self, op: Op) {
        *match op {
            Op::Create => &mut self.create,
            Op::Change => &mut self.change,
            Op::Replace => &mut self.replace,
            Op::Destroy => &mut self.destroy,
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
    /// Leaves out what concerns other targets.
    pub fn retain_targets(&mut self, keep: impl Fn(&Target) -> bool) {
        self.targets.retain(|counts| keep(&counts.target));
        self.left.retain(&keep);
        self.unknown.retain(|unknown| keep(&unknown.target));
        for change in &mut self.changes {
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
    pub object: Value,
    /// Does it carry the label of an agent's set? Then it is deleted once Git does not name it.
    pub is_managed: bool,
}

fn name<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(target.name())
}

fn names<S: Serializer>(targets: &[Target], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(targets.iter().map(Target::name))
}

/// What differs between two states of Git.
pub fn diff(before: &FleetState, after: &FleetState) -> FleetDiff {
    let (old_targets, new_targets) = (before.targets(), after.targets());
    let left: Vec<Target> = old_targets.iter().filter(|target| !new_targets.contains(target)).cloned().collect();
    let mut collected = Collected::new(old_targets.into_iter().chain(new_targets));
    let (old, new) = (index(before), index(after));
    let (broken_before, broken_after) = (broken(before), broken(after));
    for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
        let (target, id) = *key;
        if left.contains(target) {
            continue;
        }
        match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) => {
                // Equal values need no walk; that is nearly all of them.
                let fields = if old.object == new.object { Vec::new() } else { between(&old.object, &new.object) };
                collected.add(target, id, Some(&old.object), Some(&new.object), fields, |fields| place(new, fields));
            }
            (Some(old), None) if is_in(&broken_after, old) => collected.unknown(old),
            (None, Some(new)) if is_in(&broken_before, new) => collected.unknown(new),
            (Some(old), None) => {
                collected.add(target, id, Some(&old.object), None, Vec::new(), |_| Some(old.position.clone()))
            }
            (None, Some(new)) => {
                collected.add(target, id, None, Some(&new.object), Vec::new(), |_| Some(new.position.clone()))
            }
            (None, None) => {}
        }
    }
    collected.finish(left)
}

/// What bringing Git to these API servers would change. Targets without a [`LiveTarget`] (not reached, not asked for) are
/// left out.
pub fn diff_live(live: &[LiveTarget], wanted: &FleetState) -> FleetDiff {
    let mut collected = Collected::new(live.iter().map(|live| live.target.clone()));
    let new = index(wanted);
    let broken = broken(wanted);
    for side in live {
        let target = &side.target;
        for manifest in wanted.manifests_of(target) {
            if side.unknown.contains(&manifest.id) {
                collected.unknown(manifest);
                continue;
            }
            let live = side.objects.get(&manifest.id).map(|live| &live.object);
            let fields = live.map(|live| {
                let mut fields = flipped(missing_from(&manifest.object, live));
                // An element that came or went as a whole is told already.
                let more = dropped(&manifest.object, live).into_iter();
                fields.extend(
                    more.filter(|more| !fields.iter().any(|field| more.path.starts_with(&field.path)))
                        .collect::<Vec<_>>(),
                );
                fields
            });
            let fields = fields.unwrap_or_default();
            collected.add(target, &manifest.id, live, Some(&manifest.object), fields, |fields| place(manifest, fields));
        }
        let is_broken = broken.iter().any(|(broken, _)| *broken == target.name());
        for (id, live) in side.objects.iter().filter(|(id, live)| live.is_managed && !new.contains_key(&(target, *id)))
        {
            // With a broken file for this target, an object may be missing only because its file cannot be read.
            if !is_broken {
                collected.add(target, id, Some(&live.object), None, Vec::new(), |_| None);
            }
        }
    }
    collected.finish(Vec::new())
}

/// Drift told from Git's side becomes a change told from the API server's side.
fn flipped(changes: Vec<FieldChange>) -> Vec<FieldChange> {
    changes
        .into_iter()
        .map(|change| FieldChange { path: change.path, before: change.after, after: change.before })
        .collect()
}

type Key<'a> = (&'a Target, &'a ObjectId);

fn index(state: &FleetState) -> BTreeMap<Key<'_>, &Manifest> {
    state.manifests.iter().map(|manifest| ((&manifest.target, &manifest.id), manifest)).collect()
}

/// Files with problems, by target; an empty file name stands for every file of the target.
fn broken(state: &FleetState) -> HashSet<(&str, &str)> {
    state
        .problems
        .iter()
        .flat_map(|problem| {
            let file = problem.position.as_ref().map_or("", |position| &*position.file);
            problem.targets.iter().map(move |target| (&**target, file))
        })
        .collect()
}

fn is_in(broken: &HashSet<(&str, &str)>, manifest: &Manifest) -> bool {
    let target = manifest.target.name();
    let patched = manifest.patched_by.as_deref().is_some_and(|file| broken.contains(&(target, file)));
    patched || broken.contains(&(target, &*manifest.position.file)) || broken.contains(&(target, ""))
}

/// The place of the first changed field, or of the object.
fn place(manifest: &Manifest, fields: &[FieldChange]) -> Option<Position> {
    let Some(change) = fields.first() else { return Some(manifest.position.clone()) };
    let document = &manifest.document.value;
    let mut pointer = change.path.to_nearest_pointer(document);
    // `stringData` is compared as `data`.
    if let (true, [Segment::Field(data), rest @ ..]) = (pointer.is_empty(), change.path.segments())
        && &**data == "data"
    {
        let written = FieldPath::of_fields(["stringData"]).0.into_iter().chain(rest.iter().cloned());
        pointer = FieldPath::from_iter(written).to_nearest_pointer(document);
    }
    Some(if pointer.is_empty() { manifest.position.clone() } else { manifest.position_of(&pointer) })
}

/// Changes by what they are, so that the same change on several targets is told once.
struct Collected {
    counts: BTreeMap<Target, TargetCounts>,
    changes: Vec<ObjectChange>,
    unknown: Vec<UnknownObject>,
}

impl Collected {
    fn new(targets: impl Iterator<Item = Target>) -> Self {
        let counts = targets.map(|target| (target.clone(), TargetCounts::none(target))).collect();
        Self { counts, changes: Vec::new(), unknown: Vec::new() }
    }

    fn unknown(&mut self, manifest: &Manifest) {
        self.unknown.push(UnknownObject {
            target: manifest.target.clone(),
            id: manifest.id.clone(),
            position: manifest.position.clone(),
        });
    }

    fn add(
        &mut self,
        target: &Target,
        id: &ObjectId,
        before: Option<&Value>,
        after: Option<&Value>,
        fields: Vec<FieldChange>,
        place: impl FnOnce(&[FieldChange]) -> Option<Position>,
    ) {
        let op = match (before, after) {
            (None, None) => return,
            (Some(_), Some(_)) if fields.is_empty() => return,
            (None, Some(_)) => Op::Create,
            (Some(_), None) => Op::Destroy,
            (Some(_), Some(_)) => Op::Change,
        };
        let consequences = effects::of(&Pair { id, before, after, fields: &fields });
        let op = if consequences.iter().any(|consequence| consequence.replaces) { Op::Replace } else { op };
        let show = |change: &FieldChange, value: Option<&Value>| value.map(|v| redact(&id.group_kind, &change.path, v));
        let sources = place(&fields).into_iter().collect();
        let shown = fields.iter().map(|change| FieldChange {
            path: change.path.clone(),
            before: show(change, change.before.as_ref()),
            after: show(change, change.after.as_ref()),
        });
        self.counts.entry(target.clone()).or_insert_with(|| TargetCounts::none(target.clone())).add(op);
        self.changes.push(ObjectChange {
            targets: vec![target.clone()],
            id: id.clone(),
            op,
            fields: shown.collect(),
            sources,
            consequences: consequences.into_iter().map(|consequence| consequence.text).collect(),
        });
    }

    fn finish(self, left: Vec<Target>) -> FleetDiff {
        let counts = self.counts.into_values().filter(|counts| !left.contains(&counts.target)).collect();
        FleetDiff { targets: counts, changes: fold(self.changes), left, unknown: self.unknown }
    }
}

/// Joins what happens in the same way on several targets, and puts everything in its fixed order.
fn fold(mut changes: Vec<ObjectChange>) -> Vec<ObjectChange> {
    changes.sort_by(|a, b| (&a.id, &a.targets).cmp(&(&b.id, &b.targets)));
    let mut folded: Vec<ObjectChange> = Vec::new();
    for change in changes {
        let same = folded.iter_mut().rev().take_while(|other| other.id == change.id).find(|other| {
            other.op == change.op && other.fields == change.fields && other.consequences == change.consequences
        });
        match same {
            Some(other) => {
                other.targets.extend(change.targets);
                let sources: BTreeSet<Position> = other.sources.drain(..).chain(change.sources).collect();
                other.sources = sources.into_iter().collect();
            }
            None => folded.push(change),
        }
    }
    folded.sort_by(order);
    folded
}

/// Targets, kind, namespace, name.
fn order(a: &ObjectChange, b: &ObjectChange) -> std::cmp::Ordering {
    let key = |change: &ObjectChange| {
        (change.id.namespace.clone(), change.id.name.clone(), change.id.group_kind.group.clone())
    };
    a.targets
        .cmp(&b.targets)
        .then_with(|| a.id.group_kind.kind.cmp(&b.id.group_kind.kind))
        .then_with(|| key(a).cmp(&key(b)))
}
