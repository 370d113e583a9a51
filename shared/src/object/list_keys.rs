//! What identifies an element of a list. Two questions that must not be mixed up:
//!
//! * **Ownership**: how the API server tracks the list (`x-kubernetes-list-type`). In a keyed list every writer owns its
//!   own elements, so elements that Git does not name belong to others; an atomic list has one owner as a whole.
//! * **Equality**: what makes two lists mean the same and how a difference is told to people. Istio's and ASM's lists
//!   are nearly all atomic for the API server, but the ports of an IstioGateway and the subsets of a DestinationRule are
//!   told apart by name, and the order of `hosts` means nothing.

use super::pattern::{self, Kinds};
use super::{FieldPath, GroupKind, Segment, kinds};
use serde_json::Value;
use std::collections::HashSet;

/// How the API server tracks a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// One owner for the whole list.
    Atomic,
    /// One owner per value.
    Set,
    /// One owner per element, identified by these fields.
    Keyed(&'static [&'static str]),
}

/// What makes two lists equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equality {
    /// Same elements in the same order.
    Ordered,
    /// Same elements in any order.
    Unordered,
    /// Same elements by these fields, in any order.
    Keyed(&'static [&'static str]),
}

/// One row: both answers for the lists of a kind.
struct Row {
    kinds: Kinds,
    path: &'static str,
    ownership: Ownership,
    equality: Equality,
}

/// Keyed for the API server, and told to people by the same keys.
const fn keyed(kinds: Kinds, path: &'static str, keys: &'static [&'static str]) -> Row {
    Row { kinds, path, ownership: Ownership::Keyed(keys), equality: Equality::Keyed(keys) }
}

/// Atomic for the API server, but its elements have names.
const fn named(kinds: Kinds, path: &'static str, keys: &'static [&'static str]) -> Row {
    Row { kinds, path, ownership: Ownership::Atomic, equality: Equality::Keyed(keys) }
}

/// Atomic for the API server, but its order means nothing.
const fn unordered(kinds: Kinds, path: &'static str) -> Row {
    Row { kinds, path, ownership: Ownership::Atomic, equality: Equality::Unordered }
}

const SERVICE: Kinds = Kinds::One("", "Service");
const VIRTUAL_SERVICE: Kinds = Kinds::One(kinds::ISTIO_NETWORKING, "VirtualService");
const DESTINATION_RULE: Kinds = Kinds::One(kinds::ISTIO_NETWORKING, "DestinationRule");
const ISTIO_GATEWAY: Kinds = Kinds::One(kinds::ASM, "IstioGateway");
const NAME: &[&str] = &["name"];

/// Built-in kinds: `listType` markers of k8s.io/api v0.34; Istio kinds: the CRDs of istio.io/api v1.31; ASM:
/// `reference/asm-domain.md` §1, §7.4. What is not listed is atomic and ordered.
const ROWS: &[Row] = &[
    Row { kinds: Kinds::Any, path: "metadata.finalizers", ownership: Ownership::Set, equality: Equality::Unordered },
    keyed(Kinds::Any, "metadata.ownerReferences", &["uid"]),
    keyed(Kinds::Any, "status.conditions", &["type"]),
    keyed(SERVICE, "spec.ports", &["port", "protocol"]),
    keyed(Kinds::One("", "ServiceAccount"), "secrets", NAME),
    keyed(Kinds::Pods, "**.spec.containers", NAME),
    keyed(Kinds::Pods, "**.spec.initContainers", NAME),
    keyed(Kinds::Pods, "**.spec.ephemeralContainers", NAME),
    keyed(Kinds::Pods, "**.spec.volumes", NAME),
    keyed(Kinds::Pods, "**.spec.imagePullSecrets", NAME),
    keyed(Kinds::Pods, "**.spec.schedulingGates", NAME),
    keyed(Kinds::Pods, "**.spec.resourceClaims", NAME),
    keyed(Kinds::Pods, "**.spec.hostAliases", &["ip"]),
    keyed(Kinds::Pods, "**.spec.topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    keyed(Kinds::Pods, "**.containers.env", NAME),
    keyed(Kinds::Pods, "**.initContainers.env", NAME),
    keyed(Kinds::Pods, "**.containers.ports", &["containerPort", "protocol"]),
    keyed(Kinds::Pods, "**.initContainers.ports", &["containerPort", "protocol"]),
    keyed(Kinds::Pods, "**.containers.volumeMounts", &["mountPath"]),
    keyed(Kinds::Pods, "**.initContainers.volumeMounts", &["mountPath"]),
    keyed(Kinds::Pods, "**.containers.volumeDevices", &["devicePath"]),
    keyed(Kinds::Pods, "**.initContainers.volumeDevices", &["devicePath"]),
    keyed(Kinds::Pods, "**.resources.claims", NAME),
    keyed(Kinds::One("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"), "webhooks", NAME),
    keyed(Kinds::One("admissionregistration.k8s.io", "MutatingWebhookConfiguration"), "webhooks", NAME),
    named(Kinds::One("apiextensions.k8s.io", "CustomResourceDefinition"), "spec.versions", NAME),
    keyed(Kinds::One(kinds::GATEWAY_API, "Gateway"), "spec.listeners", NAME),
    keyed(Kinds::One(kinds::ISTIO_NETWORKING, "ServiceEntry"), "spec.ports", NAME),
    keyed(Kinds::One("extensions.istio.io", "WasmPlugin"), "spec.vmConfig.env", NAME),
    keyed(Kinds::One("extensions.istio.io", "WasmPlugin"), "spec.match.ports", &["number"]),
    unordered(VIRTUAL_SERVICE, "spec.hosts"),
    unordered(VIRTUAL_SERVICE, "spec.gateways"),
    unordered(VIRTUAL_SERVICE, "spec.http.match"),
    unordered(VIRTUAL_SERVICE, "spec.tls.match"),
    unordered(VIRTUAL_SERVICE, "spec.tcp.match"),
    unordered(VIRTUAL_SERVICE, "**.match.gateways"),
    unordered(VIRTUAL_SERVICE, "**.match.sniHosts"),
    unordered(Kinds::Istio, "spec.exportTo"),
    unordered(Kinds::One(kinds::ISTIO_NETWORKING, "ServiceEntry"), "spec.hosts"),
    unordered(Kinds::One(kinds::ISTIO_NETWORKING, "Gateway"), "spec.servers.hosts"),
    unordered(Kinds::One(kinds::ISTIO_NETWORKING, "Sidecar"), "spec.egress.hosts"),
    named(DESTINATION_RULE, "spec.subsets", NAME),
    unordered(ISTIO_GATEWAY, "spec.clusterIds"),
    named(ISTIO_GATEWAY, "**.ports", NAME),
    named(ISTIO_GATEWAY, "**.meshExpansionPorts", NAME),
    named(ISTIO_GATEWAY, "**.env", NAME),
    named(ISTIO_GATEWAY, "**.secretVolumes", NAME),
    named(ISTIO_GATEWAY, "**.configVolumes", NAME),
];

/// Maps that have one owner as a whole: a key that somebody adds belongs to the same value as ours.
const ATOMIC_MAPS: &[(Kinds, &str)] = &[
    (SERVICE, "spec.selector"),
    (Kinds::Pods, "spec.selector"),
    (Kinds::Pods, "**.spec.nodeSelector"),
    (Kinds::Pods, "**.labelSelector"),
    (Kinds::Pods, "**.fieldRef"),
    (Kinds::Pods, "**.resourceFieldRef"),
    (Kinds::Pods, "**.secretKeyRef"),
    (Kinds::Pods, "**.configMapKeyRef"),
    (Kinds::One("policy", "PodDisruptionBudget"), "spec.selector"),
    (Kinds::One("networking.k8s.io", "NetworkPolicy"), "spec.podSelector"),
    (Kinds::One("autoscaling", "HorizontalPodAutoscaler"), "spec.scaleTargetRef"),
    (Kinds::One("rbac.authorization.k8s.io", "RoleBinding"), "roleRef"),
    (Kinds::One("rbac.authorization.k8s.io", "ClusterRoleBinding"), "roleRef"),
];

/// Has the map at a path one owner as a whole?
pub fn is_atomic_map(kind: &GroupKind, path: &FieldPath) -> bool {
    ATOMIC_MAPS.iter().any(|(kinds, pattern)| kinds.has(kind) && pattern::matches(pattern, path))
}

fn row(kind: &GroupKind, path: &FieldPath) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.kinds.has(kind) && pattern::matches(row.path, path))
}

/// How the API server tracks the list at a path.
pub fn ownership(kind: &GroupKind, path: &FieldPath) -> Ownership {
    row(kind, path).map_or(Ownership::Atomic, |row| row.ownership)
}

/// What makes two lists at a path equal.
pub fn equality(kind: &GroupKind, path: &FieldPath) -> Equality {
    row(kind, path).map_or(Equality::Ordered, |row| row.equality)
}

/// The segment that identifies an element by these keys; `None` when it lacks one (`protocol` has a default).
pub fn key_of(element: &Value, keys: &[&str]) -> Option<Segment> {
    let found = keys.iter().map(|key| {
        let value = match (element.get(*key), *key) {
            (Some(Value::Number(number)), _) => whole(number),
            (Some(value), _) if !value.is_null() => value.clone(),
            (_, "protocol") => Value::from("TCP"),
            _ => return None,
        };
        Some(((*key).into(), value))
    });
    found.collect::<Option<Vec<_>>>().map(Segment::Key)
}

/// YAML's `80.0` is the same key as `80`.
fn whole(number: &serde_json::Number) -> Value {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => Value::from(float as i64),
        _ => Value::Number(number.clone()),
    }
}

/// The keys of all elements, in order; `None` when one lacks a key or two have the same: then the list has to be told by
/// position.
pub fn keys_of(list: &[Value], keys: &[&str]) -> Option<Vec<Segment>> {
    let found = list.iter().map(|element| key_of(element, keys)).collect::<Option<Vec<_>>>()?;
    let distinct: HashSet<&Segment> = found.iter().collect();
    (distinct.len() == found.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ownership_and_equality_are_two_answers() {
        let ports = FieldPath::of_fields(["spec", "ports"]);
        let gateway = GroupKind::new(kinds::ASM, "IstioGateway");
        assert_eq!(ownership(&gateway, &ports), Ownership::Atomic);
        assert_eq!(equality(&gateway, &ports), Equality::Keyed(&["name"]));
        let service = GroupKind::new("", "Service");
        assert_eq!(ownership(&service, &ports), Ownership::Keyed(&["port", "protocol"]));
        assert_eq!(equality(&GroupKind::new("example.com", "Thing"), &ports), Equality::Ordered);
    }

    #[test]
    fn pod_templates_at_any_depth() {
        let containers = |path: &[&str]| FieldPath::of_fields(path.iter().copied());
        for (group, kind, path) in [
            ("", "Pod", &["spec", "containers"][..]),
            ("apps", "Deployment", &["spec", "template", "spec", "containers"]),
            ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template", "spec", "containers"]),
        ] {
            let kind = GroupKind::new(group, kind);
            assert_eq!(ownership(&kind, &containers(path)), Ownership::Keyed(NAME));
            let env = containers(path).index(0).field("env");
            assert_eq!(ownership(&kind, &env), Ownership::Keyed(NAME));
        }
    }

    #[test]
    fn ambiguous_keys_are_refused() {
        let list = [json!({"port": 80}), json!({"port": 80, "protocol": "TCP"})];
        assert_eq!(keys_of(&list, &["port", "protocol"]), None);
        assert_eq!(keys_of(&list[..1], &["port", "protocol"]).map(|keys| keys.len()), Some(1));
    }
}
