//! What API servers and controllers write on objects, and Git does not: to be left out before live objects are shown,
//! compared or written to files.

use super::pattern::{self, Kinds};
use super::{FieldPath, GroupKind, Segment};
use crate::api::labels;
use serde_json::Value;
use std::sync::Arc;

/// The annotation of client-side apply. Holds the whole object, secrets too.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fields that are never part of what Git wants, even when a manifest holds them.
const NEVER_WANTED: &[&[&str]] = &[
    &["status"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["metadata", "generation"],
    &["metadata", "creationTimestamp"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
    &["metadata", "managedFields"],
    &["metadata", "selfLink"],
    &["metadata", "annotations", LAST_APPLIED],
    &["metadata", "labels", labels::PART_OF],
];

/// Fields that somebody fills in when Git says nothing: kinds, path, the value if only that value counts.
///
/// Sources: `asm-domain.md` §7.3 (Service, cloud controller) and §7.4 (IstioGateway).
const FILLED_IN: &[(Kinds, &str, Option<&str>)] = &[
    (SERVICE, "spec.clusterIP", None),
    (SERVICE, "spec.clusterIPs", None),
    (SERVICE, "spec.ipFamilies", None),
    (SERVICE, "spec.ipFamilyPolicy", None),
    (SERVICE, "spec.internalTrafficPolicy", Some("Cluster")),
    (SERVICE, "spec.externalTrafficPolicy", Some("Cluster")),
    (SERVICE, "spec.sessionAffinity", Some("None")),
    (SERVICE, "spec.allocateLoadBalancerNodePorts", Some("true")),
    (SERVICE, "spec.healthCheckNodePort", None),
    (SERVICE, "spec.ports.nodePort", None),
    (SERVICE, "metadata.labels.service.beta.kubernetes.io/hash", None),
    (SERVICE, "metadata.labels.service.k8s.alibaba/loadbalancer-id", None),
    (SERVICE, "metadata.labels.service.k8s.alibaba/security-group-id", None),
    (SERVICE, "metadata.finalizers", None),
    (Kinds::One(super::kinds::ASM, "IstioGateway"), "metadata.labels.asm-gateway-type", None),
    (Kinds::One(super::kinds::ASM, "IstioGateway"), "metadata.finalizers", None),
    (Kinds::One("", "Namespace"), "metadata.labels.kubernetes.io/metadata.name", None),
    (Kinds::One("", "Namespace"), "spec.finalizers", None),
];

const SERVICE: Kinds = Kinds::One("", "Service");

/// Is the field never part of what Git wants (`status`, `metadata.uid`, …)?
pub fn is_never_wanted(path: &FieldPath) -> bool {
    NEVER_WANTED.iter().any(|fields| fields.len() == path.0.len() && path.is_under(fields))
}

/// Is this value something that an API server or controller fills in when Git does not set the field?
pub fn is_filled_in(kind: &GroupKind, path: &FieldPath, value: &Value) -> bool {
    FILLED_IN.iter().any(|(kinds, fields, only)| {
        kinds.has(kind)
            && path_is(path, fields)
            && only.is_none_or(|only| match value {
                Value::String(text) => text == only,
                Value::Bool(flag) => (if *flag { "true" } else { "false" }) == only,
                _ => false,
            })
    })
}

/// Label keys contain dots, which patterns split on: compare those rows by text.
fn path_is(path: &FieldPath, fields: &str) -> bool {
    match fields.strip_prefix("metadata.labels.") {
        Some(label) => path.0.len() == 3 && path.is_under(&["metadata", "labels", label]),
        None => pattern::matches(fields, path),
    }
}

/// The live object without what API servers and controllers own. What `wanted` (Git's object) sets itself stays.
#[must_use]
pub fn strip(live: &Value, wanted: Option<&Value>) -> Value {
    let kind = super::ObjectId::of(live).map_or_else(|| GroupKind::new("", ""), |id| id.group_kind);
    strip_inner(&kind, &mut FieldPath::root(), live, wanted).unwrap_or(Value::Null)
}

fn strip_inner(kind: &GroupKind, path: &mut FieldPath, live: &Value, wanted: Option<&Value>) -> Option<Value> {
    if is_never_wanted(path) || (wanted.is_none() && is_filled_in(kind, path, live)) {
        return None;
    }
    match live {
        Value::Object(map) => {
            let mut kept = serde_json::Map::new();
            for (name, value) in map {
                path.0.push(Segment::Field(Arc::from(name.as_str())));
                if let Some(value) = strip_inner(kind, path, value, wanted.and_then(|wanted| wanted.get(name))) {
                    kept.insert(name.clone(), value);
                }
                path.0.pop();
            }
            // A map that held only their fields (labels of the cloud controller) was not ours either.
            (!kept.is_empty() || map.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) => {
            let wanted_list = wanted.and_then(Value::as_array);
            let kept = list.iter().enumerate().filter_map(|(index, element)| {
                path.0.push(Segment::Index(index));
                let counterpart = wanted_list.and_then(|wanted| counterpart(kind, path, element, wanted, index));
                let kept = strip_inner(kind, path, element, counterpart);
                path.0.pop();
                kept
            });
            Some(Value::Array(kept.collect()))
        }
        other => Some(other.clone()),
    }
}

/// The element of Git's list that stands for a live one: by key where the list has keys, by place elsewhere.
fn counterpart<'a>(
    kind: &GroupKind,
    element_path: &FieldPath,
    element: &Value,
    wanted: &'a [Value],
    index: usize,
) -> Option<&'a Value> {
    use super::list_keys::{Equality, equality, key_of};
    let list_path = element_path.parent()?;
    match equality(kind, &list_path) {
        Equality::Keyed(keys) => key_of(element, keys)?.find_in(wanted).map(|(_, value)| value),
        _ => wanted.get(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_live_service_becomes_what_git_says() {
        let live = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "a", "namespace": "b", "uid": "u", "resourceVersion": "1", "generation": 1,
                "labels": {"service.beta.kubernetes.io/hash": "x", "applyset.kubernetes.io/part-of": "y", "app": "z"},
                "annotations": {LAST_APPLIED: "{}"},
                "finalizers": ["service.k8s.alibaba/resources"],
                "managedFields": []
            },
            "spec": {
                "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
                "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                "healthCheckNodePort": 30000, "allocateLoadBalancerNodePorts": true,
                "ports": [
                    {"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30001},
                    {"port": 443, "protocol": "TCP", "targetPort": 443, "nodePort": 30002}
                ]
            },
            "status": {"loadBalancer": {}}
        });
        let wanted = json!({"spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 443, "nodePort": 30002}]}});
        assert_eq!(
            strip(&live, Some(&wanted)),
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "a", "namespace": "b", "labels": {"app": "z"}},
                "spec": {
                    "type": "LoadBalancer", "clusterIP": "10.0.0.1", "externalTrafficPolicy": "Local",
                    "ports": [
                        {"port": 80, "protocol": "TCP", "targetPort": 80},
                        {"port": 443, "protocol": "TCP", "targetPort": 443, "nodePort": 30002}
                    ]
                }
            })
        );
    }
}
