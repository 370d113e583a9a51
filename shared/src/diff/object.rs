//! Differences of whole fleets, per target, with what they mean.

use super::change::{FleetDiff, LiveTarget, ObjectChange, Op, TargetCounts, UnknownObject, order};
use super::effects::{self, Pair};
use super::versions::Sides;
use super::{FieldChange, between, dropped, literal, missing_from};
use crate::fleet::{FleetState, Manifest, Position, Target};
use crate::object::{FieldPath, ObjectId, Segment, fold_string_data, redact};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What differs between two states of Git.
pub fn diff(before: &FleetState, after: &FleetState) -> FleetDiff {
    compare(before, after, Reading::Meaning)
}

/// Like [`diff`], and what differs in the text only is told too.
pub fn diff_literally(before: &FleetState, after: &FleetState) -> FleetDiff {
    compare(before, after, Reading::Literal)
}

/// What bringing Git to these API servers would change. Targets without a [`LiveTarget`] (not reached, not asked for) are
/// left out.
pub fn diff_live(live: &[LiveTarget], wanted: &FleetState) -> FleetDiff {
    compare_live(live, wanted, Reading::Meaning)
}

/// Like [`diff_live`], and what only the API server holds (defaults, status, other writers' fields) is told too.
pub fn diff_live_literally(live: &[LiveTarget], wanted: &FleetState) -> FleetDiff {
    compare_live(live, wanted, Reading::Literal)
}

/// How objects are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Meaning,
    Literal,
}

fn compare(before: &FleetState, after: &FleetState, reading: Reading) -> FleetDiff {
    let (old_targets, new_targets) = (before.targets(), after.targets());
    let left: Vec<Target> = old_targets.iter().filter(|target| !new_targets.contains(target)).cloned().collect();
    let mut collected = Collected::new(old_targets.into_iter().chain(new_targets), reading);
    let (old, new) = (index(before), index(after));
    let (broken_before, broken_after) = (broken(before), broken(after));
    let sides = |old: Option<&&Manifest>, new: Option<&&Manifest>| Sides {
        is_live: false,
        before: old.map(|manifest| manifest.object.clone()),
        after: new.map(|manifest| manifest.object.clone()),
    };
    for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
        let (target, id) = *key;
        if left.contains(target) {
            continue;
        }
        let (before, after) = (old.get(key), new.get(key));
        match (before, after) {
            // Equal values need no walk; that is nearly all of them.
            (Some(old), Some(new)) if old.object == new.object => {}
            (Some(old), Some(new)) => {
                let fields = between(&old.object, &new.object);
                collected.add(target, id, sides(before, after), fields, |fields| place(new, fields));
            }
            (Some(old), None) if is_in(&broken_after, old) => collected.unknown(old),
            (None, Some(new)) if is_in(&broken_before, new) => collected.unknown(new),
            (Some(only), None) | (None, Some(only)) => {
                collected.add(target, id, sides(before, after), Vec::new(), |_| Some(only.position.clone()));
            }
            (None, None) => {}
        }
    }
    collected.finish(left)
}

fn compare_live(live: &[LiveTarget], wanted: &FleetState, reading: Reading) -> FleetDiff {
    let mut collected = Collected::new(live.iter().map(|live| live.target.clone()), reading);
    let new = index(wanted);
    let broken = broken(wanted);
    for side in live {
        let target = &side.target;
        for manifest in wanted.manifests_of(target) {
            if side.unknown.contains(&manifest.id) {
                collected.unknown(manifest);
                continue;
            }
            let live = side.objects.get(&manifest.id).map(|live| live.object.clone());
            let fields = live.as_ref().map(|live| changes_of(live, &manifest.object)).unwrap_or_default();
            let sides = Sides { is_live: true, before: live, after: Some(manifest.object.clone()) };
            collected.add(target, &manifest.id, sides, fields, |fields| place(manifest, fields));
        }
        let is_broken = broken.iter().any(|(broken, _)| *broken == target.name());
        for (id, live) in side.objects.iter().filter(|(id, live)| live.is_managed && !new.contains_key(&(target, *id)))
        {
            // With a broken file for this target, an object may be missing only because its file cannot be read.
            if !is_broken {
                let sides = Sides { is_live: true, before: Some(live.object.clone()), after: None };
                collected.add(target, id, sides, Vec::new(), |_| None);
            }
        }
    }
    collected.finish(Vec::new())
}

/// What applying `wanted` changes of the live object.
fn changes_of(live: &Value, wanted: &Value) -> Vec<FieldChange> {
    let mut fields = flipped(missing_from(wanted, live));
    // An element that came or went as a whole is told already.
    let more = dropped(wanted, live).into_iter();
    let more: Vec<_> = more.filter(|more| !fields.iter().any(|field| more.path.starts_with(&field.path))).collect();
    fields.extend(more);
    fields
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
    reading: Reading,
}

impl Collected {
    fn new(targets: impl Iterator<Item = Target>, reading: Reading) -> Self {
        let counts = targets.map(|target| (target.clone(), TargetCounts::none(target))).collect();
        Self { counts, changes: Vec::new(), unknown: Vec::new(), reading }
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
        sides: Sides,
        fields: Vec<FieldChange>,
        place: impl FnOnce(&[FieldChange]) -> Option<Position>,
    ) {
        let kept = if self.reading == Reading::Literal { kept(&sides, &fields) } else { Vec::new() };
        let op = match (&sides.before, &sides.after) {
            (None, None) => return,
            (Some(_), Some(_)) if fields.is_empty() && kept.is_empty() => return,
            (Some(_), Some(_)) if fields.is_empty() => Op::Same,
            (None, Some(_)) => Op::Create,
            (Some(_), None) => Op::Destroy,
            (Some(_), Some(_)) => Op::Change,
        };
        let pair = Pair { id, before: sides.before.as_deref(), after: sides.after.as_deref(), fields: &fields };
        let consequences = effects::of(&pair);
        let replace_reason = consequences.iter().find(|effect| effect.replaces).map(|effect| effect.text.clone());
        let op = if replace_reason.is_some() { Op::Replace } else { op };
        let object = match (&sides.before, &sides.after) {
            (None, Some(after)) => Some(redact(&id.group_kind, &FieldPath::root(), &fold_string_data(after))),
            _ => None,
        };
        let sources = place(&fields).into_iter().collect();
        self.counts.entry(target.clone()).or_insert_with(|| TargetCounts::none(target.clone())).add(op);
        self.changes.push(ObjectChange {
            targets: vec![target.clone()],
            id: id.clone(),
            op,
            fields: shown(id, fields),
            kept: shown(id, kept),
            object,
            sources,
            replace_reason,
            consequences: consequences.into_iter().map(|consequence| consequence.text).collect(),
            sides: vec![sides],
        });
    }

    fn finish(self, left: Vec<Target>) -> FleetDiff {
        let counts = self.counts.into_values().filter(|counts| !left.contains(&counts.target)).collect();
        FleetDiff { targets: counts, changes: fold(self.changes), left, unknown: self.unknown }
    }
}

/// The fields as they may be shown.
fn shown(id: &ObjectId, fields: Vec<FieldChange>) -> Vec<FieldChange> {
    let show = |path: &FieldPath, value: Option<Value>| value.map(|value| redact(&id.group_kind, path, &value));
    let fields = fields.into_iter().map(|change| FieldChange {
        before: show(&change.path, change.before),
        after: show(&change.path, change.after),
        path: change.path,
    });
    fields.collect()
}

/// What the texts of both sides differ in besides the fields that change.
fn kept(sides: &Sides, fields: &[FieldChange]) -> Vec<FieldChange> {
    let (Some(before), Some(after)) = (&sides.before, &sides.after) else { return Vec::new() };
    let all = if sides.is_live { literal(before, &fold_string_data(after)) } else { literal(before, after) };
    let is_told = |path: &FieldPath| fields.iter().any(|f| f.path.starts_with(path) || path.starts_with(&f.path));
    all.into_iter().filter(|change| !is_told(&change.path)).collect()
}

/// Joins what happens in the same way on several targets, and puts everything in its fixed order.
fn fold(mut changes: Vec<ObjectChange>) -> Vec<ObjectChange> {
    changes.sort_by(|a, b| (&a.id, &a.targets).cmp(&(&b.id, &b.targets)));
    let mut folded: Vec<ObjectChange> = Vec::new();
    for change in changes {
        let same = folded.iter_mut().rev().take_while(|other| other.id == change.id).find(|other| {
            other.op == change.op
                && other.fields == change.fields
                && other.kept == change.kept
                && other.object == change.object
                && other.consequences == change.consequences
        });
        match same {
            Some(other) => {
                other.targets.extend(change.targets);
                other.sides.extend(change.sides);
                let sources: BTreeSet<Position> = other.sources.drain(..).chain(change.sources).collect();
                other.sources = sources.into_iter().collect();
            }
            None => folded.push(change),
        }
    }
    folded.sort_by(order);
    folded
}
