//! Workloads, and fields that no API server changes.

use super::{Consequence, Pair};
use crate::object::At as _;
use crate::object::FieldPath;
use crate::object::pattern::{self, Kinds};
use serde_json::Value;

pub(super) fn pods_restart(pair: &Pair<'_>) -> Vec<Consequence> {
    let is_workload = ["Deployment", "StatefulSet", "DaemonSet"].iter().any(|kind| pair.is("apps", kind));
    if is_workload && pair.both().is_some() && pair.touches(&["spec", "template"]) {
        vec![Consequence::note("rolling restart of its pods")]
    } else {
        Vec::new()
    }
}

pub(super) fn scaled_to_zero(pair: &Pair<'_>) -> Vec<Consequence> {
    let replicas = |object: &Value| object.at("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let scales = ["Deployment", "StatefulSet"].iter().any(|kind| pair.is("apps", kind));
    let zero = pair.both().is_some_and(|(before, after)| scales && replicas(before) > 0 && replicas(after) == 0);
    if zero { vec![Consequence::note("no pod is left to serve")] } else { Vec::new() }
}

/// Fields that an update cannot change: kinds, path, what they are.
const IMMUTABLE: &[(Kinds, &str)] = &[
    (Kinds::One("", "Service"), "spec.clusterIP"),
    (Kinds::One("apps", "Deployment"), "spec.selector"),
    (Kinds::One("apps", "DaemonSet"), "spec.selector"),
    (Kinds::One("apps", "StatefulSet"), "spec.selector"),
    (Kinds::One("apps", "StatefulSet"), "spec.serviceName"),
    (Kinds::One("apps", "StatefulSet"), "spec.volumeClaimTemplates"),
    (Kinds::One("batch", "Job"), "spec.template"),
    (Kinds::One("batch", "Job"), "spec.selector"),
    (Kinds::One("rbac.authorization.k8s.io", "RoleBinding"), "roleRef"),
    (Kinds::One("rbac.authorization.k8s.io", "ClusterRoleBinding"), "roleRef"),
    (Kinds::One("", "Secret"), "type"),
];

pub(super) fn immutable(pair: &Pair<'_>) -> Vec<Consequence> {
    if pair.both().is_none() {
        return Vec::new();
    }
    let kind = &pair.id.group_kind;
    let rows = IMMUTABLE.iter().filter(|(kinds, _)| kinds.has(kind));
    let mut found: Vec<Consequence> = rows
        .filter(|(_, fields)| pair.fields.iter().any(|change| lies_in(fields, &change.path)))
        .map(|(_, fields)| {
            let kind = &pair.id.group_kind.kind;
            Consequence::replacement(format!(
                "{fields} of a {kind} is immutable: the API server refuses the change; make a {kind} with another name, \
                 then remove this one"
            ))
        })
        .collect();
    let claim = pair.is("", "Secret") || pair.is("", "ConfigMap");
    let frozen = |object: &Value| object.get("immutable").and_then(Value::as_bool) == Some(true);
    if claim && pair.before.is_some_and(frozen) {
        found.push(Consequence::replacement("it is marked immutable: the API server refuses the change"));
    }
    found
}

/// Is the path the pattern's field or something in it?
fn lies_in(fields: &str, path: &FieldPath) -> bool {
    (1..=path.segments().len())
        .any(|length| pattern::matches(fields, &FieldPath::new(path.segments()[..length].to_vec())))
}
