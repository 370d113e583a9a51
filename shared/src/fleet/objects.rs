//! From a document to an object with an identity: what every object must have, wherever it goes.

use super::{FileError, suggest, typed};
use crate::object::{ObjectId, kinds};
use crate::yaml::Document;
use serde_json::Value;
use std::sync::Arc;

/// An object that has what every object must have.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) id: ObjectId,
    pub(super) api_version: Arc<str>,
    pub(super) value: Arc<Value>,
}

/// Checks a document and gives its namespace to an object that has none.
pub(super) fn check(document: &Document) -> Result<Object, Vec<FileError>> {
    let value = &document.value;
    let mut errors = Vec::new();
    let Value::Object(map) = &**value else {
        let message = format!("this document is {}, not a Kubernetes object", typed::found(value));
        let hint = "Begin with `apiVersion`, `kind` and `metadata`, or move the file out of this folder";
        return Err(vec![FileError::at(document, "", message).hint(hint)]);
    };
    let mut report = |pointer: &str, message: String, hint: &str| {
        errors.push(FileError::at(document, pointer, message).hint(hint));
    };
    for (name, example) in [("apiVersion", "networking.istio.io/v1"), ("kind", "VirtualService")] {
        match map.get(name) {
            Some(Value::String(text)) if !text.is_empty() => {}
            Some(other) => {
                let message = format!("`{name}` must be a string, not {}", typed::found(other));
                report(&format!("/{name}"), message, &format!("Write it as in `{name}: {example}`"));
            }
            None => {
                let near = suggest::closest(name, map.keys().map(String::as_str).filter(|key| *key != "kind"));
                let hint = near.map_or_else(
                    || format!("Add it, as in `{name}: {example}`, or move the file out of this folder"),
                    |near| format!("Did you mean `{name}` where it says `{near}`?"),
                );
                report("", format!("this object has no `{name}`"), &hint);
            }
        }
    }
    metadata(value, &mut report);
    if !errors.is_empty() {
        return Err(errors);
    }
    let missing = || vec![FileError::at(document, "", "this object has no identity".to_owned())];
    let mut id = ObjectId::of(value).ok_or_else(missing)?;
    let api_version = map.get("apiVersion").and_then(Value::as_str).ok_or_else(missing)?.into();
    let mut object = value.clone();
    if let Some(kind) = kinds::find(&id.group_kind) {
        match (kind.namespaced, &id.namespace) {
            (true, None) => {
                // Git must say what runs: kubectl would take the namespace of whoever's context.
                let mut whole = Value::clone(value);
                if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("namespace".to_owned(), "default".into());
                }
                id.namespace = Some("default".into());
                object = Arc::new(whole);
            }
            (false, Some(namespace)) => {
                let message = format!("{} has no namespace, but the object says `{namespace}`", id.group_kind.kind);
                return Err(vec![
                    FileError::at(document, "/metadata/namespace", message).hint("Remove `metadata.namespace`"),
                ]);
            }
            _ => {}
        }
    }
    Ok(Object { id, api_version, value: object })
}

/// What is wrong with an object's `metadata`.
pub(super) fn metadata(object: &Value, report: &mut dyn FnMut(&str, String, &str)) {
    let Some(metadata) = object.get("metadata") else {
        return report("", "this object has no `metadata`".to_owned(), "Add `metadata` with a `name`");
    };
    let Value::Object(metadata) = metadata else {
        let message = format!("`metadata` must be a map, not {}", typed::found(metadata));
        return report("/metadata", message, "Write `name` and the other fields indented below `metadata:`");
    };
    match metadata.get("name") {
        Some(Value::String(name)) if !name.is_empty() => {}
        Some(Value::String(_)) => report("/metadata/name", "`metadata.name` is empty".to_owned(), "Write the name"),
        Some(other) => not_a_string("/metadata/name", "`metadata.name`", other, report),
        None if metadata.contains_key("generateName") => report(
            "/metadata/generateName",
            "an object in Git cannot have a generated name: every sync would make another one".to_owned(),
            "Write `name` instead of `generateName`",
        ),
        None => report("/metadata", "this object has no `metadata.name`".to_owned(), "Add `name` below `metadata:`"),
    }
    match metadata.get("namespace") {
        None => {}
        Some(Value::String(name)) if !name.is_empty() => {}
        Some(Value::String(_)) => {
            report(
                "/metadata/namespace",
                "`metadata.namespace` is empty".to_owned(),
                "Write the namespace, or remove the field",
            );
        }
        Some(other) => not_a_string("/metadata/namespace", "`metadata.namespace`", other, report),
    }
    for name in ["labels", "annotations"] {
        match metadata.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) => {
                for (key, value) in map.iter().filter(|(_, value)| !value.is_string()) {
                    let pointer = format!("/metadata/{name}/{}", typed::escape(key));
                    let what = format!("the {} `{key}`", name.trim_end_matches('s'));
                    not_a_string(&pointer, &what, value, report);
                }
            }
            Some(other) => {
                let message = format!("`metadata.{name}` must be a map, not {}", typed::found(other));
                report(&format!("/metadata/{name}"), message, "Write one `key: \"value\"` per line below it");
            }
        }
    }
}

fn not_a_string(pointer: &str, what: &str, value: &Value, report: &mut dyn FnMut(&str, String, &str)) {
    let message = format!("{what} must be a string, not {}", typed::found(value));
    match value {
        Value::Bool(_) | Value::Number(_) => {
            report(pointer, message, "Put quotes around it: without them YAML reads it as another type");
        }
        Value::Null => report(pointer, message, "Write \"\" for an empty value"),
        _ => report(pointer, message, "Write text"),
    }
}
