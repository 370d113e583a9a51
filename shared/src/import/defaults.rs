//! What API servers put into an object when nobody says anything: left out of files, unless somebody said it.
//!
//! A table of its own beside [`crate::object::server_owned`]: comparing never needs these rows, because what only the
//! live object has is no difference there; a file that held them all would bury what its authors meant.
//!
//! Source: k8s.io/kubernetes `pkg/apis/{core,apps}/v1/defaults.go`. IstioGateway: Go clients leave its empty structs
//! behind (`asm-domain.md` §1.8).

use crate::object::kinds::ASM;
use crate::object::pattern::{self, Kinds};
use crate::object::{FieldPath, GroupKind};
use serde_json::{Value, json};

/// What the API server would put there.
enum Filled {
    /// This text.
    Text(&'static str),
    /// This number.
    Number(i64),
    /// `true`.
    True,
    /// An empty map.
    Empty,
    /// Nothing (`null`).
    Null,
    /// What a sibling field holds.
    Sibling(&'static str),
    /// `Always` for images without a version, `IfNotPresent` for others.
    PullPolicy,
}

struct Row(Kinds, &'static str, Filled);

const SERVICE: Kinds = Kinds::One("", "Service");
const DEPLOYMENT: Kinds = Kinds::One("apps", "Deployment");
const STATEFUL_SET: Kinds = Kinds::One("apps", "StatefulSet");
const ISTIO_GATEWAY: Kinds = Kinds::One(ASM, "IstioGateway");

const ROWS: &[Row] = &[
    Row(Kinds::Any, "metadata.creationTimestamp", Filled::Null),
    Row(SERVICE, "spec.type", Filled::Text("ClusterIP")),
    Row(SERVICE, "spec.sessionAffinity", Filled::Text("None")),
    Row(SERVICE, "spec.internalTrafficPolicy", Filled::Text("Cluster")),
    Row(SERVICE, "spec.externalTrafficPolicy", Filled::Text("Cluster")),
    Row(SERVICE, "spec.allocateLoadBalancerNodePorts", Filled::True),
    Row(SERVICE, "spec.ports.protocol", Filled::Text("TCP")),
    Row(SERVICE, "spec.ports.targetPort", Filled::Sibling("port")),
    Row(DEPLOYMENT, "spec.progressDeadlineSeconds", Filled::Number(600)),
    Row(DEPLOYMENT, "spec.revisionHistoryLimit", Filled::Number(10)),
    Row(DEPLOYMENT, "spec.strategy.type", Filled::Text("RollingUpdate")),
    Row(DEPLOYMENT, "spec.strategy.rollingUpdate.maxSurge", Filled::Text("25%")),
    Row(DEPLOYMENT, "spec.strategy.rollingUpdate.maxUnavailable", Filled::Text("25%")),
    Row(STATEFUL_SET, "spec.podManagementPolicy", Filled::Text("OrderedReady")),
    Row(STATEFUL_SET, "spec.revisionHistoryLimit", Filled::Number(10)),
    Row(STATEFUL_SET, "spec.updateStrategy.type", Filled::Text("RollingUpdate")),
    Row(STATEFUL_SET, "spec.updateStrategy.rollingUpdate.partition", Filled::Number(0)),
    Row(STATEFUL_SET, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", Filled::Text("Retain")),
    Row(STATEFUL_SET, "spec.persistentVolumeClaimRetentionPolicy.whenScaled", Filled::Text("Retain")),
    Row(Kinds::Pods, "**.template.metadata.creationTimestamp", Filled::Null),
    Row(Kinds::Pods, "**.spec.restartPolicy", Filled::Text("Always")),
    Row(Kinds::Pods, "**.spec.dnsPolicy", Filled::Text("ClusterFirst")),
    Row(Kinds::Pods, "**.spec.schedulerName", Filled::Text("default-scheduler")),
    Row(Kinds::Pods, "**.spec.terminationGracePeriodSeconds", Filled::Number(30)),
    Row(Kinds::Pods, "**.spec.securityContext", Filled::Empty),
    Row(Kinds::Pods, "**.spec.serviceAccount", Filled::Sibling("serviceAccountName")),
    Row(Kinds::Pods, "**.terminationMessagePath", Filled::Text("/dev/termination-log")),
    Row(Kinds::Pods, "**.terminationMessagePolicy", Filled::Text("File")),
    Row(Kinds::Pods, "**.containers.resources", Filled::Empty),
    Row(Kinds::Pods, "**.initContainers.resources", Filled::Empty),
    Row(Kinds::Pods, "**.imagePullPolicy", Filled::PullPolicy),
    Row(Kinds::Pods, "**.ports.protocol", Filled::Text("TCP")),
    Row(Kinds::Pods, "**.volumes.configMap.defaultMode", Filled::Number(420)),
    Row(Kinds::Pods, "**.volumes.secret.defaultMode", Filled::Number(420)),
    Row(Kinds::Pods, "**.volumes.projected.defaultMode", Filled::Number(420)),
    Row(Kinds::Pods, "**.volumes.downwardAPI.defaultMode", Filled::Number(420)),
    Row(Kinds::Pods, "**.volumes.hostPath.type", Filled::Text("")),
    Row(ISTIO_GATEWAY, "**.cpu", Filled::Empty),
    Row(ISTIO_GATEWAY, "**.memory", Filled::Empty),
    Row(ISTIO_GATEWAY, "**.kernel", Filled::Empty),
    Row(ISTIO_GATEWAY, "**.kernel.parameters", Filled::Empty),
    Row(ISTIO_GATEWAY, "**.compression", Filled::Empty),
    Row(ISTIO_GATEWAY, "**.readinessProbe", Filled::Empty),
    Row(ISTIO_GATEWAY, "**.sds", Filled::Empty),
];

/// Of a probe of any container.
const PROBE: &[(&str, Filled)] = &[
    ("timeoutSeconds", Filled::Number(1)),
    ("periodSeconds", Filled::Number(10)),
    ("successThreshold", Filled::Number(1)),
    ("failureThreshold", Filled::Number(3)),
    ("httpGet.scheme", Filled::Text("HTTP")),
];
const PROBES: [&str; 3] = ["readinessProbe", "livenessProbe", "startupProbe"];

/// Would the API server put this value there by itself? `parent` is the map that holds it.
pub(super) fn is_default(kind: &GroupKind, path: &FieldPath, value: &Value, parent: Option<&Value>) -> bool {
    let same = |filled: &Filled| is(filled, value, parent);
    ROWS.iter().any(|row| row.0.has(kind) && same(&row.2) && pattern::matches(row.1, path))
        || (Kinds::Pods.has(kind)
            && PROBE.iter().any(|(field, filled)| {
                same(filled) && PROBES.iter().any(|probe| pattern::matches(&format!("**.{probe}.{field}"), path))
            }))
}

fn is(filled: &Filled, value: &Value, parent: Option<&Value>) -> bool {
    match filled {
        Filled::Text(text) => value.as_str() == Some(text),
        Filled::Number(number) => value.as_i64() == Some(*number),
        Filled::True => value.as_bool() == Some(true),
        Filled::Empty => value.as_object().is_some_and(serde_json::Map::is_empty),
        Filled::Null => value.is_null(),
        Filled::Sibling(name) => parent.and_then(|parent| parent.get(name)) == Some(value),
        Filled::PullPolicy => parent
            .and_then(|parent| parent.get("image"))
            .and_then(Value::as_str)
            .is_some_and(|image| *value == json!(if is_versioned(image) { "IfNotPresent" } else { "Always" })),
    }
}

/// Does the image name a tag other than `latest`, or a digest?
fn is_versioned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    image.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, policy, expected) in [
            ("nginx", "Always", true),
            ("nginx:latest", "IfNotPresent", false),
            ("host:5000/nginx", "Always", true),
            ("host:5000/nginx:1.27", "IfNotPresent", true),
            ("nginx@sha256:00", "IfNotPresent", true),
        ] {
            let container = json!({"image": image});
            let path =
                FieldPath::of_fields(["spec", "template", "spec", "containers"]).index(0).field("imagePullPolicy");
            let kind = GroupKind::new("apps", "Deployment");
            assert_eq!(is_default(&kind, &path, &json!(policy), Some(&container)), expected, "{image} {policy}");
        }
    }
}
