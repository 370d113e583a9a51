//! The differences of two objects, field by field.

use super::align;
use crate::object::defaults::{self, Place};
use crate::object::list_keys::{self, Equality, Ownership};
use crate::object::{FieldPath, GroupKind, ObjectId, Segment, equal, fold_string_data, server_owned};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// One field that differs.
///
/// Elements of lists without keys are named by place: a removed one by its place in the old list, an added one by its
/// place in the new list.
///
/// That keyed elements stand in another order is one change at the list's path, with the names of the elements as values.
/// It is told when nothing else in the list differs, one level at a time: beside a changed element, another order of
/// containers, ports or volumes changes nothing that runs and would only be read past. Where the order means something by
/// itself, a comparison in both directions tells it beside changed elements too: `initContainers` run one after the other,
/// and a variable of `env` sees those above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldChange {
    /// Where.
    #[schemars(with = "String")]
    pub path: FieldPath,
    /// The old value; `None` when the field was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The new value; `None` when the field is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Every field that `wanted` (Git) sets and `live` does not hold; `before` is Git's value, `after` the live one.
///
/// What only the live object has is no difference (defaults, other writers' fields and list elements), except inside
/// lists and maps that the API server gives to one owner as a whole. Places in such lists are those of `wanted`.
pub fn missing_from(wanted: &Value, live: &Value) -> Vec<FieldChange> {
    walk(wanted, live, Direction::Missing)
}

/// Every difference of two objects, in both directions.
pub fn between(before: &Value, after: &Value) -> Vec<FieldChange> {
    walk(before, after, Direction::Both)
}

fn walk(before: &Value, after: &Value, direction: Direction) -> Vec<FieldChange> {
    let kind =
        ObjectId::of(before).or_else(|| ObjectId::of(after)).map_or_else(|| GroupKind::new("", ""), |id| id.group_kind);
    let (before, after) = (fold_string_data(before), fold_string_data(after));
    let mut walk = Walk::new(&kind, direction, FieldPath::root());
    walk.value(Side::root(&before), Side::root(&after), false);
    walk.changes
}

/// Which elements of two lists at a path stand for each other, by their places; an element without a partner is alone.
pub(crate) fn pairs(
    kind: &GroupKind,
    path: &FieldPath,
    a: &[Value],
    b: &[Value],
) -> Vec<(Option<usize>, Option<usize>)> {
    let walk = Walk::new(kind, Direction::Both, path.clone());
    let pairs = match list_keys::equality(kind, path) {
        Equality::Keyed(keys) => {
            if let (Some(a_keys), Some(b_keys)) = (list_keys::keys_of(a, keys), list_keys::keys_of(b, keys)) {
                let partner = |key: &Segment, keys: &[Segment]| keys.iter().position(|other| other == key);
                let both = a_keys.iter().enumerate().map(|(place, key)| (Some(place), partner(key, &b_keys)));
                let new = b_keys.iter().enumerate().filter(|(_, key)| !a_keys.contains(key));
                return both.chain(new.map(|(place, _)| (None, Some(place)))).collect();
            }
            align::ordered(a, b, &walk.cost(a, b))
        }
        Equality::Ordered => align::ordered(a, b, &walk.cost(a, b)),
        Equality::Unordered => align::unordered(a, b, &walk.cost(a, b)),
    };
    let places = |pair| match pair {
        align::Pair::Both(before, after) => (Some(before), Some(after)),
        align::Pair::Before(before) => (Some(before), None),
        align::Pair::After(after) => (None, Some(after)),
    };
    pairs.into_iter().map(places).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// What the left side has and the right side lacks.
    Missing,
    /// Both ways.
    Both,
}

/// What stands at a path of one side, and its surroundings.
#[derive(Clone, Copy)]
struct Side<'a> {
    value: Option<&'a Value>,
    place: Place<'a>,
}

impl<'a> Side<'a> {
    fn root(value: &'a Value) -> Self {
        Self { value: Some(value), place: Place::default() }
    }

    /// A field of this map, seen beside the other side's map.
    fn field(self, name: &str, other: Self) -> Self {
        let value = self.value.and_then(|map| map.get(name));
        let place = Place { parent: self.value, other_parent: other.value, siblings: self.place.siblings };
        Self { value, place }
    }

    /// An element of a list. `siblings` is the longer length of the two lists compared: what an absent weight means
    /// depends on it, and both sides must be read in the same way.
    fn element(list: &'a [Value], index: usize, siblings: usize) -> Self {
        Self { value: list.get(index), place: Place { siblings, ..Place::default() } }
    }

    fn nothing() -> Self {
        Self { value: None, place: Place::default() }
    }
}

struct Walk<'k> {
    kind: &'k GroupKind,
    direction: Direction,
    path: FieldPath,
    changes: Vec<FieldChange>,
    /// Stop at the first difference: only whether there is one is asked for.
    first_only: bool,
}

/// Maps with free keys: a whole one that comes or goes is told key by key.
const FREE_MAPS: &[&str] = &[
    "labels",
    "annotations",
    "data",
    "stringData",
    "binaryData",
    "selector",
    "matchLabels",
    "nodeSelector",
    "podLabels",
    "podAnnotations",
    "serviceLabels",
    "serviceAnnotations",
];

/// Lists of keyed elements of which the first matters to the second.
const IN_ORDER: &[&str] = &["initContainers", "env"];

impl<'k> Walk<'k> {
    fn new(kind: &'k GroupKind, direction: Direction, path: FieldPath) -> Self {
        Self { kind, direction, path, changes: Vec::new(), first_only: false }
    }

    /// Compares what stands at the current path. `shared_owner`: inside something with one owner as a whole, where
    /// additions count too.
    fn value(&mut self, before: Side<'_>, after: Side<'_>, shared_owner: bool) {
        if (self.first_only && !self.changes.is_empty()) || server_owned::is_never_wanted(&self.path) {
            return;
        }
        let one_way = self.direction == Direction::Missing && !shared_owner;
        match (before.value, after.value) {
            // What Git does not say, Git does not want: a default that somebody changed is no drift.
            (None, _) if one_way => return,
            // Two absent fields may mean different things (targetPort follows port): the cause is told, not this.
            (None, None) => return,
            (Some(Value::Object(a)), Some(Value::Object(b))) => return self.map(before, a, after, b, shared_owner),
            (Some(Value::Array(a)), Some(Value::Array(b))) => return self.list(a, b, shared_owner),
            _ => {}
        }
        let meaning = |side: Side<'_>| {
            defaults::meaning(self.kind, &self.path, side.value, side.place).map(std::borrow::Cow::into_owned)
        };
        match (meaning(before), meaning(after)) {
            (None, None) => {}
            (None, Some(_)) if one_way => {}
            (Some(a), Some(b)) => {
                if !equal::equal(self.kind, &self.path, &a, &b) {
                    self.push(before.value, after.value);
                }
            }
            (left, _) => {
                if !defaults::is_free_when_absent(self.kind, &self.path) {
                    self.one_sided(left.is_some(), before.value, after.value);
                }
            }
        }
    }

    fn map(
        &mut self,
        before: Side<'_>,
        a: &Map<String, Value>,
        after: Side<'_>,
        b: &Map<String, Value>,
        shared_owner: bool,
    ) {
        let shared_owner = shared_owner || list_keys::is_atomic_map(self.kind, &self.path);
        let only_after = b.keys().filter(|name| !a.contains_key(*name));
        for name in a.keys().chain(only_after) {
            self.at(Segment::Field(Arc::from(name.as_str())), |walk| {
                walk.value(before.field(name, after), after.field(name, before), shared_owner);
            });
        }
    }

    fn list(&mut self, a: &[Value], b: &[Value], shared_owner: bool) {
        let ownership = list_keys::ownership(self.kind, &self.path);
        let shared_owner = shared_owner || ownership == Ownership::Atomic;
        match list_keys::equality(self.kind, &self.path) {
            Equality::Keyed(keys) => match (list_keys::keys_of(a, keys), list_keys::keys_of(b, keys)) {
                (Some(a_keys), Some(b_keys)) => {
                    let (a_keys, b_keys) = self.by_name(a, a_keys, b, b_keys);
                    self.keyed(a, &a_keys, b, &b_keys, ownership, shared_owner);
                }
                _ => {
                    let pairs = align::ordered(a, b, &self.cost(a, b));
                    self.aligned(a, b, pairs, shared_owner);
                }
            },
            Equality::Ordered => {
                let pairs = align::ordered(a, b, &self.cost(a, b));
                self.aligned(a, b, pairs, shared_owner);
            }
            Equality::Unordered => {
                let pairs = align::unordered(a, b, &self.cost(a, b));
                self.aligned(a, b, pairs, shared_owner);
            }
        }
    }

    /// Names instead of keys where a key has changed: a port that gets another number is still the port of that name. Only
    /// between two states of Git: what a live element is, its key says.
    fn by_name(
        &self,
        a: &[Value],
        a_keys: Vec<Segment>,
        b: &[Value],
        b_keys: Vec<Segment>,
    ) -> (Vec<Segment>, Vec<Segment>) {
        let same = a_keys.len() == b_keys.len() && a_keys.iter().all(|key| b_keys.contains(key));
        if self.direction == Direction::Both && !same {
            let names = |list: &[Value]| {
                let is_text = |element: &Value| element.get("name").is_some_and(Value::is_string);
                list_keys::keys_of(list, &["name"]).filter(|_| list.iter().all(is_text))
            };
            if let (Some(a_names), Some(b_names)) = (names(a), names(b)) {
                return (a_names, b_names);
            }
        }
        (a_keys, b_keys)
    }

    fn keyed(
        &mut self,
        a: &[Value],
        a_keys: &[Segment],
        b: &[Value],
        b_keys: &[Segment],
        ownership: Ownership,
        shared_owner: bool,
    ) {
        let one_way = self.direction == Direction::Missing && !shared_owner;
        let siblings = a.len().max(b.len());
        let differences = self.changes.len();
        let places: HashMap<&Segment, usize> = b_keys.iter().enumerate().map(|(place, key)| (key, place)).collect();
        for (place, key) in a_keys.iter().enumerate() {
            let other = places.get(key).map_or_else(Side::nothing, |place| Side::element(b, *place, siblings));
            self.at(key.clone(), |walk| walk.value(Side::element(a, place, siblings), other, shared_owner));
        }
        if !one_way {
            let known: HashMap<&Segment, usize> = a_keys.iter().enumerate().map(|(place, key)| (key, place)).collect();
            for (place, key) in b_keys.iter().enumerate().filter(|(_, key)| !known.contains_key(key)) {
                self.at(key.clone(), |walk| {
                    walk.value(Side::nothing(), Side::element(b, place, siblings), shared_owner)
                });
            }
        }
        let is_all = self.changes.len() == differences || self.direction == Direction::Both && self.runs_in_order();
        if matches!(ownership, Ownership::Keyed(_)) && is_all {
            let common = |keys: &[Segment], others: &[Segment]| -> Vec<String> {
                keys.iter().filter(|key| others.contains(key)).map(Segment::label).collect()
            };
            let (old, new) = (common(a_keys, b_keys), common(b_keys, a_keys));
            if old != new {
                self.push(Some(&Value::from(old)), Some(&Value::from(new)));
            }
        }
    }

    /// Does the order of the list at the current path mean something by itself?
    fn runs_in_order(&self) -> bool {
        matches!(self.path.0.last(), Some(Segment::Field(name)) if IN_ORDER.contains(&&**name))
    }

    fn aligned(&mut self, a: &[Value], b: &[Value], pairs: Vec<align::Pair>, shared_owner: bool) {
        let siblings = a.len().max(b.len());
        for pair in pairs {
            let index = match (pair, self.direction) {
                (align::Pair::Both(place, _), Direction::Missing) | (align::Pair::Both(_, place), Direction::Both) => {
                    place
                }
                (align::Pair::Before(place) | align::Pair::After(place), _) => place,
            };
            let (before, after) = match pair {
                align::Pair::Both(before, after) => {
                    (Side::element(a, before, siblings), Side::element(b, after, siblings))
                }
                align::Pair::Before(before) => (Side::element(a, before, siblings), Side::nothing()),
                align::Pair::After(after) => (Side::nothing(), Side::element(b, after, siblings)),
            };
            self.at(Segment::Index(index), |walk| walk.value(before, after, shared_owner));
        }
    }

    /// How many fields two elements of the lists at the current path differ in.
    fn cost<'s>(&'s self, a: &'s [Value], b: &'s [Value]) -> impl Fn(usize, usize, bool) -> usize + 's {
        let siblings = a.len().max(b.len());
        move |before, after, first_only| {
            let mut walk = Walk::new(self.kind, Direction::Both, self.path.index(before));
            walk.first_only = first_only;
            walk.value(Side::element(a, before, siblings), Side::element(b, after, siblings), true);
            walk.changes.len()
        }
    }

    fn at(&mut self, segment: Segment, inner: impl FnOnce(&mut Self)) {
        self.path.0.push(segment);
        inner(self);
        self.path.0.pop();
    }

    /// Only one side says something; the other is absent or says nothing (`0`, `{}`), which is shown as it is.
    fn one_sided(&mut self, left: bool, before: Option<&Value>, after: Option<&Value>) {
        let (told, other) = if left { (before, after) } else { (after, before) };
        let map = told.and_then(Value::as_object).filter(|_| other.is_none_or(|v| v.is_null() || v.is_object()));
        let is_free = matches!(self.path.0.last(), Some(Segment::Field(name)) if FREE_MAPS.contains(&&**name));
        match map {
            Some(map) if is_free && map.values().all(|value| !value.is_object() && !value.is_array()) => {
                for name in map.keys() {
                    self.at(Segment::Field(name.as_str().into()), |walk| {
                        if !server_owned::is_never_wanted(&walk.path) {
                            walk.push(before.and_then(|map| map.get(name)), after.and_then(|map| map.get(name)));
                        }
                    });
                }
            }
            _ => self.push(before, after),
        }
    }

    fn push(&mut self, before: Option<&Value>, after: Option<&Value>) {
        self.changes.push(FieldChange { path: self.path.clone(), before: before.cloned(), after: after.cloned() });
    }
}
