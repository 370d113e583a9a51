//! Walking `fieldsV1`: does an entry own a field, and who owns it now.
//!
//! The format (structured-merge-diff): `f:NAME` a field, `k:{…}` an element of a keyed list, `v:…` an element of a set,
//! `i:N` an element by index, `.` the node itself. A node without children is owned as a whole; for an atomic list that
//! is the list, whatever happens inside it.

use crate::api::labels::FIELD_MANAGER;
use crate::object::{FieldPath, Segment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use serde_json::{Map, Value};

/// Who owns a field now.
#[derive(Clone, Debug, PartialEq)]
pub struct Author {
    /// Field manager.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// Subresource it wrote through.
    pub subresource: Option<String>,
    /// When the manager last changed its fields; some entries have none.
    pub time: Option<Time>,
}

/// The agent's own entry: its name **and** operation Apply; the same name with Update is somebody else.
pub(super) fn own_entry(entries: &[ManagedFieldsEntry]) -> Option<&ManagedFieldsEntry> {
    entries.iter().find(|entry| is_ours(entry))
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Does our own entry list this field, or an atomic ancestor of it?
pub fn owns(entries: &[ManagedFieldsEntry], path: &FieldPath) -> bool {
    own_entry(entries).and_then(root).is_some_and(|fields| depth(fields, path).is_some())
}

/// The manager that owns a field now, ours left out. Of several the one that owns it most precisely, then the latest.
pub fn author_of(entries: &[ManagedFieldsEntry], path: &FieldPath) -> Option<Author> {
    entries
        .iter()
        .filter(|entry| !is_ours(entry))
        .filter_map(|entry| Some((depth(root(entry)?, path)?, entry)))
        .max_by(|(depth, entry), (other_depth, other)| {
            let time = |entry: &ManagedFieldsEntry| entry.time.as_ref().map(|time| time.0);
            depth.cmp(other_depth).then_with(|| time(entry).cmp(&time(other)))
        })
        .map(|(_, entry)| Author {
            manager: entry.manager.clone().unwrap_or_default(),
            operation: entry.operation.clone().unwrap_or_default(),
            subresource: entry.subresource.clone().filter(|subresource| !subresource.is_empty()),
            time: entry.time.clone(),
        })
}

/// The entries, ours among them, that list a field, an atomic ancestor of it, or something below it.
pub fn owners<'a>(entries: &'a [ManagedFieldsEntry], path: &FieldPath) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
    entries.iter().filter(|entry| root(entry).is_some_and(|fields| depth(fields, path).is_some()))
}

fn root(entry: &ManagedFieldsEntry) -> Option<&Map<String, Value>> {
    entry.fields_v1.as_ref()?.0.as_object()
}

/// How many segments of the path the set follows before it ends in a node that is owned as a whole, or `None` when it
/// does not own the path. A set that owns only something below the path owns part of it, which counts.
fn depth(fields: &Map<String, Value>, path: &FieldPath) -> Option<usize> {
    let mut node = fields;
    for (followed, segment) in path.segments().iter().enumerate() {
        if followed > 0 && is_leaf(node) {
            return Some(followed);
        }
        match child(node, segment).and_then(Value::as_object) {
            Some(next) => node = next,
            None => return None,
        }
    }
    Some(path.segments().len())
}

/// Nothing below it but the node itself.
fn is_leaf(node: &Map<String, Value>) -> bool {
    node.keys().all(|key| key == ".")
}

fn child<'a>(node: &'a Map<String, Value>, segment: &Segment) -> Option<&'a Value> {
    match segment {
        Segment::Field(name) => node.get(&format!("f:{name}")),
        Segment::Index(index) => node.get(&format!("i:{index}")),
        Segment::Key(keys) => node.iter().find_map(|(name, value)| {
            let found: Map<String, Value> = serde_json::from_str(name.strip_prefix("k:")?).ok()?;
            let same = keys.iter().all(|(key, value)| found.get(&**key) == Some(value));
            same.then_some(value)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, operation: &str, time: &str, fields: Value) -> ManagedFieldsEntry {
        serde_json::from_value(json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        }))
        .expect("an entry")
    }

    fn path(segments: &[Segment]) -> FieldPath {
        FieldPath::new(segments.to_vec())
    }

    fn field(name: &str) -> Segment {
        Segment::Field(name.into())
    }

    #[test]
    fn an_atomic_list_is_owned_as_a_whole() {
        let entries = [
            entry("asm-agent", "Apply", "2026-01-01T00:00:00Z", json!({"f:spec": {"f:hosts": {}}})),
            entry("asm-console", "Update", "2026-01-02T00:00:00Z", json!({"f:spec": {"f:http": {}}})),
        ];
        let weight = path(&[field("spec"), field("http"), Segment::Index(0), field("route")]);
        assert!(!owns(&entries, &weight));
        assert!(owns(&entries, &path(&[field("spec"), field("hosts")])));
        let author = author_of(&entries, &weight).expect("an author");
        assert_eq!((author.manager.as_str(), author.operation.as_str()), ("asm-console", "Update"));
    }

    #[test]
    fn an_element_of_a_keyed_list_is_found_by_its_keys() {
        let fields =
            json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:nodePort": {}}}}});
        let entries = [entry("kubectl-edit", "Update", "2026-01-02T00:00:00Z", fields)];
        let port = |number: i64| {
            path(&[
                field("spec"),
                field("ports"),
                Segment::Key(vec![("port".into(), json!(number)), ("protocol".into(), json!("TCP"))]),
                field("nodePort"),
            ])
        };
        assert_eq!(author_of(&entries, &port(80)).map(|author| author.manager), Some("kubectl-edit".to_owned()));
        assert_eq!(author_of(&entries, &port(81)), None);
    }

    #[test]
    fn our_name_with_another_operation_is_somebody_else() {
        let entries = [entry("asm-agent", "Update", "2026-01-02T00:00:00Z", json!({"f:data": {"f:a": {}}}))];
        let a = path(&[field("data"), field("a")]);
        assert!(!owns(&entries, &a));
        assert_eq!(author_of(&entries, &a).map(|author| author.operation), Some("Update".to_owned()));
    }

    #[test]
    fn a_removed_field_has_no_author() {
        let entries = [
            entry("asm-agent", "Apply", "2026-01-01T00:00:00Z", json!({"f:data": {"f:b": {}}})),
            entry("kubectl-edit", "Update", "2026-01-02T00:00:00Z", json!({"f:data": {"f:c": {}}})),
        ];
        assert_eq!(author_of(&entries, &path(&[field("data"), field("a")])), None);
    }

    #[test]
    fn the_latest_of_two_equal_owners_is_named() {
        let entries = [
            entry("kubectl-edit", "Update", "2026-01-02T00:00:00Z", json!({"f:data": {"f:a": {}}})),
            entry("asm-console", "Update", "2026-01-03T00:00:00Z", json!({"f:data": {"f:a": {}}})),
        ];
        let author = author_of(&entries, &path(&[field("data"), field("a")]));
        assert_eq!(author.map(|author| author.manager), Some("asm-console".to_owned()));
    }
}
