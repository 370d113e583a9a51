//! What differs between Git's object and the live one, field by field, with who did it.

use crate::api::DriftedField;
use crate::diff::{FieldChange, missing_from, pairs};
use crate::drift::{ManagerClass, Verdict, author_of, class_of, judge};
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::list_keys::{self, Ownership};
use crate::object::{FieldPath, Segment, redact, server_owned};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;
use std::collections::BTreeSet;

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The field: `before` is Git's value, `after` the live one.
    pub change: FieldChange,
    /// As drift reports tell it, secrets redacted.
    pub told: DriftedField,
    /// An element that took the place of one of Git's: a port with another number is a port that went and one that came.
    /// Taken by itself it is no drift.
    pub instead: bool,
}

/// Compares as `kubectl asm drift` does.
pub fn differences(manifest: &Manifest, live: &Value) -> Vec<Difference> {
    let kind = manifest.group_kind();
    let changes = missing_from(&manifest.object, live);
    let told = match judge(kind, &manifest.object, live) {
        Verdict::InSync => Vec::new(),
        Verdict::Modified(fields) => fields,
    };
    let mut found: Vec<Difference> =
        changes.into_iter().zip(told).map(|(change, told)| Difference { change, told, instead: false }).collect();
    let came = replacements(manifest, live, &found);
    found.extend(came);
    found
}

/// Elements of keyed lists that people added where one of Git's went.
fn replacements(manifest: &Manifest, live: &Value, found: &[Difference]) -> Vec<Difference> {
    let kind = manifest.group_kind();
    let mut seen = BTreeSet::new();
    let entries: Vec<ManagedFieldsEntry> = live
        .at("/metadata/managedFields")
        .and_then(|entries| serde_json::from_value(entries.clone()).ok())
        .unwrap_or_default();
    let clean = server_owned::strip(live, Some(&manifest.object));
    let mut came = Vec::new();
    for gone in found.iter().filter(|difference| difference.change.after.is_none()) {
        let (Some(list), Some(Segment::Key(_))) = (gone.change.path.parent(), gone.change.path.0.last()) else {
            continue;
        };
        let Ownership::Keyed(keys) = list_keys::ownership(kind, &list) else { continue };
        if !seen.insert(list.to_string()) {
            continue;
        }
        let elements = |object: &Value| list.resolve(object).and_then(Value::as_array).cloned().unwrap_or_default();
        let (old, new) = (elements(&manifest.object), elements(live));
        for (_, place) in pairs(kind, &list, &old, &new).into_iter().filter(|pair| pair.0.is_none()) {
            let Some(key) = place.and_then(|place| list_keys::key_of(new.get(place)?, keys)) else { continue };
            let path = list.child(key);
            let Some(author) = author_of(&entries, &path) else { continue };
            let Some(value) = path.resolve(&clean) else { continue };
            if class_of(&author.manager) == ManagerClass::Human {
                came.push(instead(manifest, path.clone(), value, author));
            }
        }
    }
    came
}

fn instead(manifest: &Manifest, path: FieldPath, value: &Value, author: crate::drift::Author) -> Difference {
    let told = DriftedField {
        path: path.to_string(),
        wanted: None,
        found: Some(redact(manifest.group_kind(), &path, value)),
        user: None,
        author: Some(crate::drift::author_kind(&author.manager)),
        manager: Some(author.manager),
        operation: Some(author.operation),
        subresource: author.subresource,
        time: author.time,
        note: None,
    };
    let change = FieldChange { path, before: None, after: Some(value.clone()) };
    Difference { change, told, instead: true }
}
