//! The corpus of drift: objects as Git has them, what others then write, and what must come of it. One row per case, in the
//! files beside this one; read by the test of the core (with answers of a real API server that were written down) and by
//! the test on the lab (which asks one).

use asm_shared::api::labels;
use asm_shared::object::{FieldPath, GroupKind, ObjectId, fold_string_data, kinds};
use asm_shared::yaml::{Limits, read};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The files of cases.
pub(crate) const FILES: [&str; 6] = ["defaults", "gateway-api", "values", "controllers", "people", "changed"];
/// Namespace of every object that has one.
pub(crate) const NAMESPACE: &str = "corpus";

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// File without its extension.
    pub(crate) file: &'static str,
    /// Name of the case and of the object.
    pub(crate) name: String,
    /// What it is about.
    pub(crate) says: String,
    /// What the agent applies.
    pub(crate) object: Value,
    /// What others write, in order.
    pub(crate) writes: Vec<Value>,
    /// Fields that differ, each with its manager if one is recorded; empty when nothing drifted.
    pub(crate) drift: BTreeMap<String, Option<String>>,
}

impl Case {
    /// Identity of the object.
    pub(crate) fn id(&self) -> ObjectId {
        ObjectId::of(&self.object).unwrap_or_else(|| panic!("{}: no identity", self.name))
    }

    /// Does the object belong to the mesh API?
    pub(crate) fn is_of_mesh(&self) -> bool {
        kinds::place(&self.id().group_kind) == Some(kinds::Place::Mesh)
    }
}

/// Where the files are.
pub(crate) fn dir() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/tests/drift"))
}

/// A file of the folder.
pub(crate) fn text(name: &str) -> String {
    let path = dir().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document(name: &str) -> Value {
    let text = text(name);
    let documents = read(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    documents.into_iter().next().map(|document| (*document.value).clone()).unwrap_or_default()
}

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    let bases = document("bases.yaml");
    let mut cases = Vec::new();
    for file in FILES {
        let rows = document(&format!("{file}.yaml"));
        cases.extend(rows.as_array().into_iter().flatten().map(|row| case(file, row, &bases)));
    }
    cases
}

fn case(file: &'static str, row: &Value, bases: &Value) -> Case {
    let word = |key: &str| row[key].as_str().unwrap_or_else(|| panic!("{file}: no {key} in {row}")).to_owned();
    let known = ["name", "says", "base", "git", "git-null", "pod", "container", "writes", "drift"];
    let unknown: Vec<&String> =
        row.as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains(&key.as_str())).collect();
    assert!(unknown.is_empty(), "{file}: {unknown:?} in {row}");
    let name = word("name");
    let mut object = bases[word("base")].clone();
    assert!(object.is_object(), "{name}: there is no base {}", row["base"]);
    merge(&mut object, &row["git"]);
    let pod = if object["kind"] == "Pod" { "/spec" } else { "/spec/template/spec" };
    if let Some(pod) = object.pointer_mut(pod) {
        merge(pod, &row["pod"]);
        merge(&mut pod["containers"][0], &row["container"]);
    }
    for pointer in row["git-null"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
        if let Some(Value::Object(parent)) = object.pointer_mut(parent) {
            parent.insert(field.to_owned(), Value::Null);
        }
    }
    let metadata = &mut object["metadata"];
    merge(metadata, &json!({"name": name, "labels": {labels::PART_OF: "corpus"}}));
    let group_kind = ObjectId::of(&object).map_or_else(|| GroupKind::new("", ""), |id| id.group_kind);
    let cluster_wide = [
        "Namespace",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "StorageClass",
        "PriorityClass",
        "IngressClass",
        "ValidatingWebhookConfiguration",
    ];
    if !cluster_wide.contains(&&*group_kind.kind) {
        object["metadata"]["namespace"] = json!(NAMESPACE);
    } else if &*group_kind.kind == "CustomResourceDefinition" {
        object["metadata"]["name"] = json!("things.corpus.example.com");
    }
    if group_kind.is("", "Secret") {
        object = fold_string_data(&object).into_owned();
        if let Some(object) = object.as_object_mut() {
            object.remove("stringData");
        }
    }
    let drift = row["drift"].as_object().into_iter().flatten();
    let drift = drift.map(|(path, by)| (path.clone(), by.as_str().map(str::to_owned))).collect();
    let writes = row["writes"].as_array().cloned().unwrap_or_default();
    Case { file, name, says: word("says"), object, writes, drift }
}

/// RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        if !patch.is_null() {
            *target = patch.clone();
        }
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        match (value, target.as_object_mut()) {
            (Value::Null, Some(target)) => drop(target.remove(name)),
            (value, Some(target)) => merge(target.entry(name.clone()).or_insert(Value::Null), value),
            (_, None) => {}
        }
    }
}

/// What is wrong with the verdict on a live object; `None` when it is what the case says.
pub(crate) fn wrong(case: &Case, live: &Value) -> Option<String> {
    let found: BTreeMap<String, Option<String>> =
        match asm_shared::drift::judge(&case.id().group_kind, &case.object, live) {
            asm_shared::drift::Verdict::InSync => BTreeMap::new(),
            asm_shared::drift::Verdict::Modified(fields) => {
                fields.into_iter().map(|field| (field.path, field.manager)).collect()
            }
        };
    assert!(case.drift.keys().all(|path| FieldPath::parse(path).is_some()), "{}: a path is no path", case.name);
    (found != case.drift).then(|| format!("{} ({}): wanted {:?}, found {found:?}", case.name, case.says, case.drift))
}
