//! From the differences of a live object to changes of Git's object.

use super::super::workspace::Change;
use crate::diff::{FieldChange, pairs};
use crate::object::At as _;
use crate::object::list_keys::{self, Ownership};
use crate::object::{FieldPath, GroupKind, Segment};
use serde_json::Value;
use std::collections::BTreeMap;

/// Maps that are left out rather than left empty.
const OPTIONAL_MAPS: &[&str] = &["annotations", "labels", "nodeSelector", "podLabels", "podAnnotations"];

/// The elements of one list that come and go.
#[derive(Default)]
struct ListChange<'a> {
    /// Places in Git's list.
    removed: Vec<usize>,
    /// Places in the live list, with what stands there.
    added: BTreeMap<usize, &'a Value>,
}

/// The changes that give Git's object (`wanted`) the live values of these fields, in the order in which they are made.
///
/// Values are set while every element stands where it stood, then inner lists change before outer ones: so each pointer is
/// right when its turn comes, and an element that nobody touched keeps its text.
pub(super) fn changes(kind: &GroupKind, wanted: &Value, live: &Value, fields: &[FieldChange]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut lists: BTreeMap<(std::cmp::Reverse<usize>, String), (FieldPath, ListChange<'_>)> = BTreeMap::new();
    let mut removed: Vec<String> = Vec::new();
    for field in fields {
        let Some(list) = element_of(field, wanted, live) else {
            match (&field.after, order_of(kind, field, wanted)) {
                (_, Some(moves)) => changes.extend(moves),
                (Some(value), None) => changes.push(Change::Set(pointer_to(&field.path, wanted), value.clone())),
                (None, None) => removed.extend(field.path.to_pointer(wanted)),
            }
            continue;
        };
        let key = (std::cmp::Reverse(list.0.len()), list.to_string());
        let (_, change) = lists.entry(key).or_insert_with(|| (list.clone(), ListChange::default()));
        let place = |side: &Value| {
            let elements = list.resolve(side).and_then(Value::as_array);
            elements.and_then(|list| field.path.0.last()?.find_in(list)).map(|(place, _)| place)
        };
        match (&field.after, place(wanted), live_place(kind, &list, field, wanted, live)) {
            (Some(value), _, Some(place)) => drop(change.added.insert(place, value)),
            (None, Some(place), _) => change.removed.push(place),
            _ => {}
        }
    }
    changes.extend(removals(wanted, &removed));
    for (path, change) in lists.into_values() {
        changes.extend(list_changes(kind, &path, wanted, live, change));
    }
    changes
}

/// The list of which the field is an element that comes or goes.
fn element_of(field: &FieldChange, wanted: &Value, live: &Value) -> Option<FieldPath> {
    let list = field.path.parent()?;
    let is_list = |side: &Value| list.resolve(side).is_some_and(Value::is_array);
    let is_element = matches!(field.path.0.last(), Some(Segment::Index(_) | Segment::Key(_)));
    let comes_or_goes = field.before.is_none() != field.after.is_none();
    (is_element && comes_or_goes && (is_list(wanted) || is_list(live))).then_some(list)
}

/// The place of an added element in the live list. The lists above it are counted as in Git, so the live list is found by
/// its partner.
fn live_place(kind: &GroupKind, list: &FieldPath, field: &FieldChange, wanted: &Value, live: &Value) -> Option<usize> {
    let elements = live_list(kind, list, wanted, live)?.as_array()?;
    field.path.0.last()?.find_in(elements).map(|(place, _)| place)
}

/// What stands in the live object for the list at a path of Git's object.
fn live_list<'v>(kind: &GroupKind, list: &FieldPath, wanted: &'v Value, live: &'v Value) -> Option<&'v Value> {
    let (mut a, mut b) = (Some(wanted), live);
    let mut at = FieldPath::root();
    for segment in list.segments() {
        (a, b) = match (segment, a, b) {
            (Segment::Field(name), a, b) => (a.and_then(|map| map.get(&**name)), b.get(&**name)?),
            (_, Some(Value::Array(old)), Value::Array(new)) => {
                let (place, element) = segment.find_in(old)?;
                let partner = pairs(kind, &at, old, new).into_iter().find(|pair| pair.0 == Some(place))?.1?;
                (Some(element), new.get(partner)?)
            }
            _ => return None,
        };
        at.0.push(segment.clone());
    }
    Some(b)
}

/// A keyed list whose elements only stand in another order is told as one change with their names.
fn order_of(kind: &GroupKind, field: &FieldChange, wanted: &Value) -> Option<Vec<Change>> {
    let Ownership::Keyed(keys) = list_keys::ownership(kind, &field.path) else { return None };
    let elements = field.path.resolve(wanted)?.as_array().filter(|list| list.iter().any(Value::is_object))?;
    let names = |value: &Option<Value>| -> Option<Vec<String>> {
        value.as_ref()?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (old, new) = (names(&field.before)?, names(&field.after)?);
    let mut current: Vec<String> = list_keys::keys_of(elements, keys)?.iter().map(Segment::label).collect();
    let mut next = new.into_iter();
    let target: Vec<String> = current
        .iter()
        .map(|name| if old.contains(name) { next.next().unwrap_or_else(|| name.clone()) } else { name.clone() })
        .collect();
    let pointer = field.path.to_pointer(wanted)?;
    let mut moves = Vec::new();
    for (place, name) in target.iter().enumerate() {
        let from = current.iter().position(|other| other == name)?;
        if from != place {
            let name = current.remove(from);
            current.insert(place, name);
            moves.push(Change::Move(pointer.clone(), from, place));
        }
    }
    Some(moves)
}

/// The pointer of a field that perhaps is not there yet.
fn pointer_to(path: &FieldPath, object: &Value) -> String {
    if let Some(pointer) = path.to_pointer(object) {
        return pointer;
    }
    let known = (0..path.0.len()).rev().find_map(|length| {
        let head = FieldPath(path.0.get(..length)?.to_vec());
        Some((length, head.to_pointer(object)?))
    });
    let (length, pointer) = known.unwrap_or_default();
    path.0.iter().skip(length).fold(pointer, |pointer, segment| {
        format!("{pointer}/{}", segment.label().replace('~', "~0").replace('/', "~1"))
    })
}

/// Fields that go; a map of labels or annotations goes with its last entry.
fn removals(wanted: &Value, pointers: &[String]) -> Vec<Change> {
    let mut gone: Vec<String> = Vec::new();
    for pointer in pointers {
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let all = wanted.at(parent).and_then(Value::as_object).is_some_and(|map| {
            map.keys()
                .all(|name| pointers.contains(&format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))))
        });
        let is_optional = parent.rsplit('/').next().is_some_and(|name| OPTIONAL_MAPS.contains(&name));
        let goes = if all && is_optional { parent } else { pointer };
        if !gone.iter().any(|known| known == goes) {
            gone.push(goes.to_owned());
        }
    }
    gone.into_iter().map(Change::Remove).collect()
}

fn list_changes(
    kind: &GroupKind,
    path: &FieldPath,
    wanted: &Value,
    live: &Value,
    change: ListChange<'_>,
) -> Vec<Change> {
    let none = Vec::new();
    let pointer = pointer_to(path, wanted);
    let old = path.resolve(wanted).and_then(Value::as_array).unwrap_or(&none);
    let new = live_list(kind, path, wanted, live).and_then(Value::as_array).unwrap_or(&none);
    let partners: BTreeMap<usize, Option<usize>> =
        pairs(kind, path, old, new).into_iter().filter_map(|(a, b)| Some((a?, b))).collect();
    // What is in the list, by its place in the live one.
    let mut items: Vec<Option<usize>> = (0..old.len()).map(|place| partners.get(&place).copied().flatten()).collect();
    let mut changes = Vec::new();
    let mut removed = change.removed;
    removed.sort_unstable();
    removed.dedup();
    if removed.len() == old.len() && change.added.is_empty() {
        return vec![Change::Set(pointer, Value::Array(Vec::new()))];
    }
    if old.is_empty() {
        return vec![Change::Set(pointer, change.added.into_values().cloned().collect())];
    }
    // What comes is put in before anything goes: a list that was never empty keeps the way in which it is written.
    let mut gone = vec![false; items.len()];
    removed.iter().for_each(|place| gone[*place] = true);
    for (place, value) in change.added {
        let before = items.iter().enumerate().filter(|(_, other)| other.is_some_and(|other| other < place));
        let at = before.map(|(at, _)| at + 1).max().unwrap_or_default();
        items.insert(at, Some(place));
        gone.insert(at, false);
        changes.push(Change::Insert(pointer.clone(), at, value.clone()));
    }
    let gone = gone.iter().enumerate().rev().filter(|(_, gone)| **gone);
    changes.extend(gone.map(|(place, _)| Change::Remove(format!("{pointer}/{place}"))));
    changes
}
