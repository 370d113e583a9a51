//! The part of a live object that people wrote: what a file about it should say.
//!
//! Left out is only what server-side apply leaves alone when it is missing: fields of maps and of elements of keyed
//! lists. Inside a list or map that has one owner as a whole, everything stays.

use super::defaults::is_default;
use crate::drift::owners;
use crate::object::At as _;
use crate::object::list_keys::{Ownership, is_atomic_map, key_of, ownership};
use crate::object::server_owned::{LAST_APPLIED, is_filled_in, is_never_wanted};
use crate::object::{FieldPath, GroupKind, ObjectId, Segment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Managers whose fields are no wish of anybody: they follow from other objects, or from what runs.
const CONTROLLERS: [&str; 3] = ["kube-controller-manager", "cloud-controller-manager", "kube-scheduler"];
/// Fields that are handed out by the API server and count as wished when a manager owns them.
const HANDED_OUT: [&str; 6] =
    ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort", "nodePort"];

/// A live object as a file should have it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Authored {
    pub(super) object: Value,
    /// The number of pods is somebody else's business: an autoscaler's.
    pub(super) is_scaled: bool,
}

/// Leaves out of a live object what nobody wrote.
pub(super) fn authored(live: &Value) -> Authored {
    let kind = ObjectId::of(live).map_or_else(|| GroupKind::new("", ""), |id| id.group_kind);
    let entries: Vec<ManagedFieldsEntry> = live
        .at("/metadata/managedFields")
        .and_then(|entries| serde_json::from_value(entries.clone()).ok())
        .unwrap_or_default();
    let applied = live.at("/metadata/annotations").and_then(|annotations| annotations.get(LAST_APPLIED));
    let applied: Option<Value> = applied.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    let mut walk = Walk { kind: &kind, entries: &entries, path: FieldPath::root(), is_scaled: false };
    let object = walk.value(live, applied.as_ref(), None).unwrap_or(Value::Null);
    Authored { object, is_scaled: walk.is_scaled }
}

struct Walk<'a> {
    kind: &'a GroupKind,
    entries: &'a [ManagedFieldsEntry],
    path: FieldPath,
    is_scaled: bool,
}

impl Walk<'_> {
    /// `applied` is what the last client-side apply said here, `parent` the map that holds the value.
    fn value(&mut self, value: &Value, applied: Option<&Value>, parent: Option<&Value>) -> Option<Value> {
        if is_never_wanted(&self.path) || self.is_nobodys(value, applied, parent) {
            return None;
        }
        match value {
            Value::Object(map) if !is_atomic_map(self.kind, &self.path) => self.map(map, value, applied),
            Value::Array(list) => Some(Value::Array(self.list(list, applied))),
            other => Some(other.clone()),
        }
    }

    fn map(&mut self, map: &Map<String, Value>, whole: &Value, applied: Option<&Value>) -> Option<Value> {
        let mut kept = Map::new();
        for (name, value) in map {
            self.path.0.push(Segment::Field(Arc::from(name.as_str())));
            let inner = self.value(value, applied.and_then(|applied| applied.get(name)), Some(whole));
            self.path.0.pop();
            kept.extend(inner.map(|inner| (name.clone(), inner)));
        }
        let is_metadata = self.path.is_under(&["metadata"]) && self.path.0.len() == 2;
        let was_empty = map.is_empty() && !is_metadata;
        (!kept.is_empty() || was_empty).then_some(Value::Object(kept))
    }

    fn list(&mut self, list: &[Value], applied: Option<&Value>) -> Vec<Value> {
        let applied = applied.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if self.kind.is("apps", "StatefulSet") && self.path.is_under(&["spec", "volumeClaimTemplates"]) {
            return list.iter().map(claim).collect();
        }
        let Ownership::Keyed(keys) = ownership(self.kind, &self.path) else { return list.to_vec() };
        let elements = list.iter().map(|element| {
            let Some(key) = key_of(element, keys) else { return element.clone() };
            let counterpart = applied.iter().find(|applied| key_of(applied, keys).as_ref() == Some(&key));
            self.path.0.push(key);
            let kept = self.value(element, counterpart, None);
            self.path.0.pop();
            kept.unwrap_or_else(|| element.clone())
        });
        elements.collect()
    }

    /// Is the value a default, handed out, or a controller's?
    fn is_nobodys(&mut self, value: &Value, applied: Option<&Value>, parent: Option<&Value>) -> bool {
        let is_filled_in = is_filled_in(self.kind, &self.path, value);
        // Labels and finalizers of controllers, also when somebody has applied what he had read from the API server.
        if is_filled_in && self.path.is_under(&["metadata"]) {
            return true;
        }
        if applied.is_some() || self.path.0.is_empty() {
            return false;
        }
        if is_default(self.kind, &self.path, value, parent) {
            return !self.owned_by(|entry| entry.operation.as_deref() == Some("Apply"));
        }
        if is_filled_in {
            let handed_out = self.path.last_field().is_some_and(|field| HANDED_OUT.contains(&field));
            // A headless Service is one because somebody said so.
            let is_headless = value.as_str() == Some("None");
            return !(handed_out && (is_headless || self.owned_by(|entry| !is_controller(entry))));
        }
        if self.kind.is("", "ServiceAccount") && self.path.is_under(&["secrets"]) && self.path.0.len() == 1 {
            return !self.owned_by(|entry| !is_controller(entry));
        }
        let is_leaf = !matches!(value, Value::Object(_) | Value::Array(_));
        if is_leaf && self.is_controllers() {
            self.is_scaled |= self.path.is_under(&["spec", "replicas"]);
            return true;
        }
        false
    }

    fn owned_by(&self, is: impl Fn(&ManagedFieldsEntry) -> bool) -> bool {
        owners(self.entries, &self.path).any(is)
    }

    /// Do only controllers own the field?
    fn is_controllers(&self) -> bool {
        let mut owners = owners(self.entries, &self.path).peekable();
        owners.peek().is_some() && owners.all(is_controller)
    }
}

fn is_controller(entry: &ManagedFieldsEntry) -> bool {
    let manager = entry.manager.as_deref().unwrap_or_default();
    CONTROLLERS.contains(&manager) || entry.subresource.as_deref() == Some("status")
}

/// A claim of a StatefulSet without what the API server puts into it: atomic, but filled in again after every apply.
fn claim(claim: &Value) -> Value {
    let mut claim = claim.clone();
    if let Some(map) = claim.as_object_mut() {
        for field in ["apiVersion", "kind", "status"] {
            map.remove(field);
        }
    }
    if let Some(metadata) = claim.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !value.is_null());
    }
    if let Some(spec) = claim.get_mut("spec").and_then(Value::as_object_mut)
        && spec.get("volumeMode").and_then(Value::as_str) == Some("Filesystem")
    {
        spec.remove("volumeMode");
    }
    claim
}

#[cfg(test)]
mod tests;
