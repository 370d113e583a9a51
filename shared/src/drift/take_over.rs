//! Taking fields over from people: what `kubectl` once set, and Git says now, is Git's alone.
//!
//! Server-side apply removes a field that has left Git only when nobody else owns it. After an apply of what somebody had
//! set with kubectl or at a console, both own it, and the field would stay for ever (`reference/managed-fields.md`,
//! "Holes"). So people's entries lose what ours lists. What is only theirs stays theirs, and controllers keep everything.

use super::fields_v1::own_entry;
use super::{ManagerClass, class_of};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

/// The `managedFields` in which people own nothing that the agent applies; `None` when that is so already.
pub fn without_people(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let own = own_entry(entries)?;
    let ours = own.fields_v1.as_ref()?.0.as_object()?;
    let mut changed = false;
    let kept = entries.iter().filter_map(|entry| {
        let mut entry = entry.clone();
        // Another version of the API may name the same fields otherwise.
        let is_peoples = class_of(entry.manager.as_deref().unwrap_or_default()) == ManagerClass::Human
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry.api_version == own.api_version;
        let theirs = entry.fields_v1.as_mut().and_then(|fields| fields.0.as_object_mut()).filter(|_| is_peoples);
        let Some(theirs) = theirs else { return Some(entry) };
        changed |= take(theirs, ours);
        (!theirs.is_empty()).then_some(entry)
    });
    let kept: Vec<_> = kept.collect();
    changed.then_some(kept)
}

/// Takes out of a set of fields those of another set. `true` when there were any.
fn take(theirs: &mut Map<String, Value>, ours: &Map<String, Value>) -> bool {
    let mut changed = false;
    theirs.retain(|name, inner| {
        let (Some(own), Some(inner)) = (ours.get(name).and_then(Value::as_object), inner.as_object_mut()) else {
            return true;
        };
        if is_leaf(inner) || is_leaf(own) {
            // One of the two owns it as a whole; only when both do is it the same thing.
            let is_same = is_leaf(inner) && is_leaf(own);
            changed |= is_same;
            return !is_same;
        }
        let taken = take(inner, own);
        changed |= taken;
        // That a map or an element is there is nobody's wish when nothing in it is left.
        !(taken && is_leaf(inner))
    });
    changed
}

/// Nothing below it but the node itself.
fn is_leaf(node: &Map<String, Value>) -> bool {
    node.keys().all(|key| key == ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        serde_json::from_value(json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
        }))
        .expect("an entry")
    }

    fn ours() -> ManagedFieldsEntry {
        entry(
            "asm-agent",
            "Apply",
            json!({
                "f:metadata": {"f:labels": {"f:app": {}}, "f:annotations": {"f:owner": {}}},
                "f:spec": {"f:selector": {}, "f:ports": {"k:{\"port\":80}": {".": {}, "f:port": {}}}}
            }),
        )
    }

    fn left(fields: Value, manager: &str) -> Option<Value> {
        let entries = without_people(&[ours(), entry(manager, "Update", fields)])?;
        assert_eq!(entries[0], ours());
        Some(entries.get(1).map_or(Value::Null, |entry| entry.fields_v1.as_ref().expect("fields").0.clone()))
    }

    #[test]
    fn people_keep_what_is_only_theirs() {
        let kubectl = json!({
            "f:metadata": {
                "f:annotations": {".": {}, "f:owner": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
                "f:labels": {".": {}, "f:app": {}}
            },
            "f:spec": {
                "f:selector": {}, "f:type": {},
                "f:ports": {".": {}, "k:{\"port\":80}": {".": {}, "f:port": {}, "f:nodePort": {}}, "k:{\"port\":81}": {".": {}}}
            }
        });
        assert_eq!(
            left(kubectl, "kubectl-client-side-apply"),
            Some(json!({
                "f:metadata": {
                    "f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}
                },
                "f:spec": {
                    "f:type": {},
                    "f:ports": {".": {}, "k:{\"port\":80}": {"f:nodePort": {}}, "k:{\"port\":81}": {".": {}}}
                }
            }))
        );
        // Nothing is left: no entry either.
        assert_eq!(left(json!({"f:spec": {"f:selector": {}}}), "asm-console"), Some(Value::Null));
    }

    #[test]
    fn controllers_keep_everything_and_a_second_time_nothing_happens() {
        assert_eq!(left(json!({"f:spec": {"f:selector": {}}}), "some-controller"), None);
        assert_eq!(left(json!({"f:spec": {"f:type": {}}}), "kubectl-edit"), None);
        assert_eq!(without_people(&[entry("kubectl", "Update", json!({"f:spec": {}}))]), None);
    }
}
