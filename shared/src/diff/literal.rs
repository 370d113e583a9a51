//! Differences of two objects to the letter: also defaults, what servers own, and texts that mean the same.

use super::FieldChange;
use crate::object::list_keys::{self, Equality};
use crate::object::{FieldPath, GroupKind, ObjectId, Segment};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Every field whose values differ to the letter. Lists without keys that differ in length differ as a whole.
pub(super) fn literal(before: &Value, after: &Value) -> Vec<FieldChange> {
    let id = ObjectId::of(before).or_else(|| ObjectId::of(after));
    let kind = id.map_or_else(|| GroupKind::new("", ""), |id| id.group_kind);
    let mut walk = Walk { kind: &kind, path: FieldPath::root(), changes: Vec::new() };
    walk.value(Some(before), Some(after));
    walk.changes
}

struct Walk<'k> {
    kind: &'k GroupKind,
    path: FieldPath,
    changes: Vec<FieldChange>,
}

impl Walk<'_> {
    fn value(&mut self, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            (a, b) if a == b => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) => self.map(a, b),
            (Some(Value::Array(a)), Some(Value::Array(b))) => self.list(a, b),
            (before, after) => self.changes.push(FieldChange {
                path: self.path.clone(),
                before: before.cloned(),
                after: after.cloned(),
            }),
        }
    }

    fn map(&mut self, a: &Map<String, Value>, b: &Map<String, Value>) {
        for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
            self.at(Segment::Field(Arc::from(name.as_str())), a.get(name), b.get(name));
        }
    }

    fn list(&mut self, a: &[Value], b: &[Value]) {
        if let Equality::Keyed(keys) = list_keys::equality(self.kind, &self.path)
            && let (Some(old), Some(new)) = (list_keys::keys_of(a, keys), list_keys::keys_of(b, keys))
        {
            for (key, value) in old.iter().zip(a) {
                let other = new.iter().position(|other| other == key);
                self.at(key.clone(), Some(value), other.and_then(|place| b.get(place)));
            }
            for (key, value) in new.iter().zip(b).filter(|(key, _)| !old.contains(key)) {
                self.at(key.clone(), None, Some(value));
            }
        } else if a.len() == b.len() {
            for (place, (old, new)) in a.iter().zip(b).enumerate() {
                self.at(Segment::Index(place), Some(old), Some(new));
            }
        } else {
            let (before, after) = (Some(Value::from(a)), Some(Value::from(b)));
            self.changes.push(FieldChange { path: self.path.clone(), before, after });
        }
    }

    fn at(&mut self, segment: Segment, before: Option<&Value>, after: Option<&Value>) {
        self.path.0.push(segment);
        self.value(before, after);
        self.path.0.pop();
    }
}
