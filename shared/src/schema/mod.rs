//! Schemas of the kinds of a fleet: what an API server would say of an object, without one.
//!
//! * `data/istio-VERSION.json.gz` – Istio's CRDs: structure and CEL rules, without prose. Apache-2.0, © Istio Authors. A fleet
//!   that names the version of its mesh is judged by the nearest one.
//! * `data/gateway-api.json.gz` – the CRDs of the Gateway API (experimental channel). Apache-2.0, © Kubernetes Authors.
//! * `data/kubernetes-VERSION.json.gz` – the kinds of Kubernetes that a fleet is made of, from the OpenAPI document of the
//!   Kubernetes module. Apache-2.0, © Kubernetes Authors. A cluster whose version the fleet names is judged by the nearest one.
//! * `data/istiogateway.json.gz` – ASM's IstioGateway, from the lab's CRD, which is written from public sources.
//!
//! All of them are written by `cargo xtask schemas`; each file says where it comes from. A kind that is in none of them is not
//! judged. Files are unpacked, and schemas read and compiled, when the first object asks for them.

mod cel;
mod data;
mod structure;

pub use data::Of;
use data::{File, SETS, Set};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The schema of one kind.
struct Schema {
    text: Box<serde_json::value::RawValue>,
    raw: OnceLock<Value>,
    structure: OnceLock<Option<structure::Structure>>,
    rules: OnceLock<cel::Rules>,
}

impl Schema {
    /// It, with the definitions that it refers to.
    fn raw(&self, definitions: &Definitions) -> &Value {
        self.raw
            .get_or_init(|| with_definitions(serde_json::from_str(self.text.get()).unwrap_or_default(), definitions))
    }
}

/// What `$ref` may name.
type Definitions = HashMap<String, Box<serde_json::value::RawValue>>;

/// A file of schemas, read.
struct Known {
    source: String,
    kinds: HashMap<(String, String), OfKind>,
    definitions: Definitions,
}

/// The schemas of a kind, each with the versions that share it.
type OfKind = Vec<(Vec<String>, Schema)>;

impl Known {
    fn of(file: File) -> Self {
        let mut kinds: HashMap<_, OfKind> = HashMap::new();
        for entry in file.schemas {
            let schema =
                Schema { text: entry.schema, raw: OnceLock::new(), structure: OnceLock::new(), rules: OnceLock::new() };
            kinds.entry((entry.group, entry.kind)).or_default().push((entry.versions, schema));
        }
        Self { source: file.source, kinds, definitions: file.definitions }
    }
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

/// A schema with the definitions that it refers to, and only those.
fn with_definitions(mut schema: Value, all: &Definitions) -> Value {
    let mut needed = serde_json::Map::new();
    let mut open = vec![schema.clone()];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                let name = map.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix("#/$defs/"));
                if let Some((name, found)) = name.and_then(|name| Some((name, all.get(name)?)))
                    && !needed.contains_key(name)
                {
                    let found: Value = serde_json::from_str(found.get()).unwrap_or_default();
                    needed.insert(name.to_owned(), found.clone());
                    open.push(found);
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

/// Judges an object by the newest schema of its kind.
pub fn judge(object: &Value) -> Verdict {
    judge_at(object, None)
}

/// Judges an object by the schema of its kind that is nearest to a version: the mesh's for Istio's kinds, the cluster's for
/// those of Kubernetes.
pub fn judge_at(object: &Value, version: Option<&str>) -> Verdict {
    judge_in(object, edition(group_of(object), version))
}

/// One of the files of schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edition(usize);

/// The file that has a group; where there are several, the nearest to a version, or the newest.
pub fn edition(group: &str, version: Option<&str>) -> Option<Edition> {
    of_owner(Of::group(group), version)
}

/// The file of an owner's kinds, the nearest to a version, or the newest.
pub fn of_owner(of: Of, version: Option<&str>) -> Option<Edition> {
    let sets = SETS.iter().enumerate().filter(|(_, set)| set.of == of);
    let found = match version.and_then(data::numbers) {
        // Of two that are as near, the older one: it has what both have.
        Some(wanted) => sets.min_by_key(|(_, set)| set.version.map(|version| version.abs_diff(wanted))),
        None => sets.max_by_key(|(_, set)| set.version),
    };
    found.map(|(index, _)| Edition(index))
}

fn group_of(object: &Value) -> &str {
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Judges an object by the schema of its kind in a file, as an API server judges it: with the defaults of its kind.
pub fn judge_in(object: &Value, edition: Option<Edition>) -> Verdict {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let Some(known) = edition.and_then(|Edition(index)| SETS.get(index)).map(Set::known) else {
        return Verdict::UnknownKind;
    };
    let Some(found) = known.kinds.get(&(group.to_owned(), kind.to_owned())) else { return Verdict::UnknownKind };
    let Some((_, schema)) = found.iter().find(|(versions, _)| versions.iter().any(|known| known == version)) else {
        let versions = found.iter().flat_map(|(versions, _)| versions.iter().cloned());
        return Verdict::UnknownVersion(versions.collect());
    };
    let mut violations = Vec::new();
    let raw = schema.raw(&known.definitions);
    if let Some(structure) = schema.structure.get_or_init(|| structure::Structure::compile(raw)) {
        structure.judge(object, &mut violations);
    }
    // Rules assume the right types.
    if violations.iter().all(|violation| violation.kind == ViolationKind::UnknownField) {
        let rules = schema.rules.get_or_init(|| cel::Rules::compile(raw));
        rules.judge(raw, object, &mut violations);
        if rules.is_empty()
            && let Some((raw, rules)) = webhook(group, kind, version)
        {
            rules.judge(raw, object, &mut violations);
        }
    }
    violations.sort();
    violations.dedup();
    Verdict::Judged(violations)
}

/// What istiod's webhook has always refused, as the CRDs say it since Istio 1.24: the rules of the newest ones. An API server asks the
/// webhook, too.
fn webhook(group: &str, kind: &str, version: &str) -> Option<(&'static Value, &'static cel::Rules)> {
    let Edition(newest) = of_owner(Of::Istio, None).filter(|_| Of::group(group) == Of::Istio)?;
    let known = SETS.get(newest)?.known();
    let found = known.kinds.get(&(group.to_owned(), kind.to_owned()))?;
    let (_, schema) = found.iter().find(|(versions, _)| versions.iter().any(|known| known == version))?;
    let raw = schema.raw(&known.definitions);
    Some((raw, schema.rules.get_or_init(|| cel::Rules::compile(raw))))
}

/// Where the schemas of a file come from, project and version; whether that is another version than this one.
pub fn source(edition: Edition, version: Option<&str>) -> Option<(&'static str, bool)> {
    let set = SETS.get(edition.0)?;
    let wanted = version.and_then(data::numbers);
    let is_other = set.version.is_some_and(|version| wanted.is_some_and(|wanted| wanted != version));
    Some((set.known().source.as_str(), is_other))
}

#[cfg(test)]
mod tests;
