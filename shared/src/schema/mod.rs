//! Schemas of the kinds of a fleet: what an API server would say of an object, without one.
//!
//! * `data/istio.json` – Istio's CRDs: structure and CEL rules, without prose. Written by `cargo xtask schemas` from the
//!   module that the lab's API servers serve them from; Apache-2.0, © Istio Authors.
//! * `data/kubernetes.json` – the kinds of Kubernetes that a fleet is made of, from the types of the k8s-openapi crate.
//! * `data/istiogateway.json` – ASM's IstioGateway, from the lab's CRD, which is written from public sources.
//!
//! A kind that is in none of them is not judged.

mod cel;
mod structure;

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// One file of schemas.
#[derive(Deserialize)]
struct File {
    /// Where they come from.
    source: String,
    schemas: Vec<Entry>,
    /// What `$ref` may name.
    #[serde(default)]
    definitions: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Entry {
    group: String,
    kind: String,
    versions: Vec<String>,
    schema: Value,
}

/// The schema of one kind.
struct Schema {
    source: String,
    raw: Value,
    structure: OnceLock<Option<structure::Structure>>,
    rules: OnceLock<cel::Rules>,
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Where: a JSON pointer.
    pub pointer: String,
    /// What.
    pub message: String,
    /// A field of this name is meant where an unknown one stands.
    pub meant: Option<String>,
    /// Which part of the schema says so.
    pub kind: ViolationKind,
}

/// Which part of a schema is violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// A field that the kind does not have: API servers drop it.
    UnknownField,
    /// Type, range, missing field.
    Structure,
    /// A CEL rule.
    Rule,
}

/// What the schema of a kind says of an object.
#[derive(Debug)]
pub enum Verdict {
    /// There is no schema for the kind: nothing is known.
    UnknownKind,
    /// There is one for the kind, but not for this version.
    UnknownVersion(Vec<String>),
    /// What is wrong; nothing if the list is empty.
    Judged(Vec<Violation>),
}

const FILES: &[&str] =
    &[include_str!("data/istio.json"), include_str!("data/istiogateway.json"), include_str!("data/kubernetes.json")];

/// The schemas of a kind, each with the versions that share it.
type OfKind = Vec<(Vec<String>, Schema)>;

/// By group and kind.
static SCHEMAS: LazyLock<HashMap<(String, String), OfKind>> = LazyLock::new(|| {
    let mut all: HashMap<_, OfKind> = HashMap::new();
    // A test reads every file, so none of them is broken here.
    for file in FILES.iter().filter_map(|text| serde_json::from_str::<File>(text).ok()) {
        for entry in file.schemas {
            let raw = with_definitions(entry.schema, &file.definitions);
            let schema =
                Schema { source: file.source.clone(), raw, structure: OnceLock::new(), rules: OnceLock::new() };
            all.entry((entry.group, entry.kind)).or_default().push((entry.versions, schema));
        }
    }
    all
});

/// A schema with the definitions that it refers to, and only those.
fn with_definitions(mut schema: Value, all: &serde_json::Map<String, Value>) -> Value {
    let mut needed = serde_json::Map::new();
    let mut open = vec![schema.clone()];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                let name = map.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix("#/$defs/"));
                if let Some((name, found)) = name.and_then(|name| Some((name, all.get(name)?)))
                    && !needed.contains_key(name)
                {
                    needed.insert(name.to_owned(), found.clone());
                    open.push(found.clone());
                }
                open.extend(map.into_iter().map(|(_, value)| value));
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    if let Some(schema) = schema.as_object_mut().filter(|_| !needed.is_empty()) {
        schema.insert("$defs".to_owned(), Value::Object(needed));
    }
    schema
}

/// Judges an object by the schema of its kind. What the patches and defaults of an API server would add is not needed.
pub fn judge(object: &Value) -> Verdict {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let Some(found) = SCHEMAS.get(&(group.to_owned(), kind.to_owned())) else { return Verdict::UnknownKind };
    let Some((_, schema)) = found.iter().find(|(versions, _)| versions.iter().any(|known| known == version)) else {
        let versions = found.iter().flat_map(|(versions, _)| versions.iter().cloned());
        return Verdict::UnknownVersion(versions.collect());
    };
    let mut violations = Vec::new();
    if let Some(structure) = schema.structure.get_or_init(|| structure::Structure::compile(&schema.raw)) {
        structure.judge(object, &mut violations);
    }
    // Rules assume the right types.
    if violations.iter().all(|violation| violation.kind == ViolationKind::UnknownField) {
        schema.rules.get_or_init(|| cel::Rules::compile(&schema.raw)).judge(object, &mut violations);
    }
    violations.sort();
    violations.dedup();
    Verdict::Judged(violations)
}

/// Where the schema of a kind comes from: project and version.
pub fn source(group: &str, kind: &str) -> Option<&'static str> {
    let found = SCHEMAS.get(&(group.to_owned(), kind.to_owned()))?;
    found.first().map(|(_, schema)| schema.source.as_str())
}

#[cfg(test)]
mod tests;
