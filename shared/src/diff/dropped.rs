//! What the agent set on a live object and Git no longer has: server-side apply removes it with the next apply. Only the
//! managedFields know that; to a comparison of values such a field looks like anybody's.

use super::FieldChange;
use crate::api::labels::FIELD_MANAGER;
use crate::object::At as _;
use crate::object::{FieldPath, Segment, fold_string_data, server_owned};
use serde_json::{Map, Value};

/// Fields that the agent owns by apply and that `wanted` does not set any more; `before` is the live value.
pub fn dropped(wanted: &Value, live: &Value) -> Vec<FieldChange> {
    let entries = live.at("/metadata/managedFields").and_then(Value::as_array);
    let is_ours = |entry: &&Value| {
        let is = |field: &str, text: &str| entry.get(field).and_then(Value::as_str) == Some(text);
        is("manager", FIELD_MANAGER) && is("operation", "Apply") && entry.get("subresource").is_none()
    };
    let own = entries.into_iter().flatten().find(is_ours).and_then(|entry| entry.get("fieldsV1"));
    let Some(Value::Object(fields)) = own else { return Vec::new() };
    let wanted = fold_string_data(wanted);
    let mut changes = Vec::new();
    walk(fields, &mut FieldPath::root(), &wanted, live, &mut changes);
    changes
}

fn walk(
    fields: &Map<String, Value>,
    path: &mut FieldPath,
    wanted: &Value,
    live: &Value,
    changes: &mut Vec<FieldChange>,
) {
    for (name, inner) in fields {
        let Some(segment) = segment(name) else { continue };
        let is_field = matches!(segment, Segment::Field(_));
        path.0.push(segment);
        if !server_owned::is_never_wanted(path) {
            match (path.resolve(wanted), path.resolve(live), inner.as_object()) {
                (Some(_), _, Some(inner)) => walk(inner, path, wanted, live, changes),
                // Others may have set fields in the same map or elements in the same list: only ours go.
                (None, Some(_), Some(inner)) if is_field && inner.keys().any(|key| key != ".") => {
                    walk(inner, path, wanted, live, changes);
                }
                // What is gone from the live object too needs no removal.
                (None, Some(value), _) => {
                    changes.push(FieldChange { path: path.clone(), before: Some(value.clone()), after: None });
                }
                _ => {}
            }
        }
        path.0.pop();
    }
}

/// `f:name` and `k:{…}`. Values of sets (`v:…`) are told by the comparison of values.
fn segment(name: &str) -> Option<Segment> {
    if let Some(field) = name.strip_prefix("f:") {
        return Some(Segment::Field(field.into()));
    }
    let keys: Map<String, Value> = serde_json::from_str(name.strip_prefix("k:")?).ok()?;
    Some(Segment::Key(keys.into_iter().map(|(key, value)| (key.into(), value)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_git_dropped_is_told_and_what_others_added_is_not() {
        let live = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "a", "labels": {"old": "1", "theirs": "2", "applyset.kubernetes.io/part-of": "x"},
                "managedFields": [
                    {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
                    {"manager": "asm-agent", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:old": {}, "f:gone": {}, "f:applyset.kubernetes.io/part-of": {}}},
                        "f:spec": {"f:ports": {
                            "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}},
                            "k:{\"port\":443,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}
                        }}
                    }}
                ]
            },
            "spec": {"ports": [{"port": 80, "name": "http", "protocol": "TCP"}, {"port": 443, "protocol": "TCP"}]}
        });
        let wanted = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}});
        let told: Vec<String> = dropped(&wanted, &live).iter().map(|change| change.path.to_string()).collect();
        assert_eq!(
            told,
            ["metadata.labels.old", "spec.ports[port=443,protocol=TCP]", "spec.ports[port=80,protocol=TCP].name"]
        );
        let wanted = json!({"metadata": {"labels": {"new": "1"}}, "spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443}]}});
        let told: Vec<String> = dropped(&wanted, &live).iter().map(|change| change.path.to_string()).collect();
        assert_eq!(told, ["metadata.labels.old"]);
    }
}
