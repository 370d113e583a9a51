//! What is gone with an object, for every kind: nothing is destroyed without a word about what that means.

use super::{Consequence, Pair, text};
use crate::object::At as _;
use crate::object::kinds;
use serde_json::Value;

/// What is lost with an object of a kind: group, kind, text. Kinds whose text needs the object are in [`of_object`].
const LOST: &[(&str, &str, &str)] = &[
    (
        "",
        "Namespace",
        "everything in it is deleted, also what Git does not know, with the load balancers of its Services",
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "every object of this kind is deleted with it"),
    ("", "PersistentVolumeClaim", "its data is deleted unless the volume's reclaim policy is Retain"),
    ("", "ConfigMap", "pods that refer to it do not start any more; running ones go on until they restart"),
    (
        "",
        "Secret",
        "pods that refer to it do not start any more, and listeners that take their certificate from it lose it",
    ),
    ("", "ServiceAccount", "its tokens stop working, and pods that run as it do not start any more"),
    ("", "Endpoints", "the Service of this name leads nowhere any more"),
    ("", "Pod", "the pod is deleted"),
    ("apps", "DaemonSet", "its pods are deleted on every node"),
    ("batch", "Job", "its pods are deleted, also one that runs"),
    ("batch", "CronJob", "it runs no more, and its jobs are deleted with it"),
    ("autoscaling", "HorizontalPodAutoscaler", "the number of pods stays what it is and follows the load no more"),
    ("policy", "PodDisruptionBudget", "node drains may take all of its pods at once"),
    ("networking.k8s.io", "Ingress", "its hosts and paths are served no more"),
    ("networking.k8s.io", "NetworkPolicy", "what it forbade is allowed unless another policy forbids it"),
    ("rbac.authorization.k8s.io", "Role", "who was bound to it may no longer do what it allowed"),
    ("rbac.authorization.k8s.io", "ClusterRole", "who was bound to it may no longer do what it allowed"),
    ("rbac.authorization.k8s.io", "RoleBinding", "its subjects may no longer do what it allowed"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", "its subjects may no longer do what it allowed"),
    (
        kinds::ISTIO_NETWORKING,
        "ServiceEntry",
        "its hosts leave the mesh's registry: routes to them answer 503, or leave the mesh unmanaged",
    ),
    (
        kinds::ISTIO_NETWORKING,
        "Sidecar",
        "its workloads get the configuration of the whole mesh again: more memory, and more hosts they may call",
    ),
    (kinds::ISTIO_NETWORKING, "EnvoyFilter", "the proxies' configuration loses what it added or changed"),
    (kinds::ISTIO_NETWORKING, "WorkloadEntry", "the machine behind it gets no more requests"),
    (kinds::ISTIO_NETWORKING, "WorkloadGroup", "machines can no longer join with it"),
    (kinds::ISTIO_NETWORKING, "ProxyConfig", "its proxies go back to the mesh's defaults when they restart"),
    ("security.istio.io", "PeerAuthentication", "mutual TLS falls back to what the namespace or the mesh says"),
    (
        "security.istio.io",
        "RequestAuthentication",
        "tokens are no longer checked: rules that ask for a principal refuse everybody",
    ),
    (
        "security.istio.io",
        "AuthorizationPolicy",
        "what it denied is allowed, and what only it allowed is decided by the other policies",
    ),
    ("telemetry.istio.io", "Telemetry", "metrics, logs and traces fall back to what the namespace or the mesh says"),
    (
        "extensions.istio.io",
        "WasmPlugin",
        "requests no longer pass through the plugin; a check that it made is not made",
    ),
];

/// Only for what nothing else in the table of effects speaks of.
pub(super) fn otherwise(pair: &Pair<'_>) -> Option<Consequence> {
    let object = pair.destroyed()?;
    let told = of_object(pair, object)
        .or_else(|| LOST.iter().find(|(group, kind, _)| pair.is(group, kind)).map(|(_, _, text)| (*text).to_owned()));
    Some(Consequence::note(told.unwrap_or_else(|| "what refers to it finds it no more".to_owned())))
}

fn of_object(pair: &Pair<'_>, object: &Value) -> Option<String> {
    let workload = |kind| pair.is("apps", kind);
    let name = &*pair.id.name;
    if pair.is("", "Service") {
        return Some(format!("the name {name} is resolved no more: who calls it, and routes to it, fail"));
    }
    if workload("Deployment") || workload("StatefulSet") {
        let pods = object.at("/spec/replicas").and_then(Value::as_u64);
        let pods = match pods {
            None | Some(1) => "its pod is deleted".to_owned(),
            Some(pods) => format!("its {pods} pods are deleted"),
        };
        let rest = if workload("StatefulSet") { "; the volumes of their claims stay" } else { "" };
        return Some(format!("{pods}{rest}"));
    }
    if pair.is(kinds::ISTIO_NETWORKING, "VirtualService") {
        let through = if text(object, "/spec/gateways/0").is_some() { " through its gateways" } else { "" };
        return Some(format!("requests for {} are no longer routed by it{through}", hosts(object, "/spec/hosts")));
    }
    if pair.is(kinds::ISTIO_NETWORKING, "DestinationRule") {
        let subsets = object.at("/spec/subsets").and_then(Value::as_array).map_or(0, Vec::len);
        let host = text(object, "/spec/host").unwrap_or("its host");
        return Some(if subsets > 0 {
            format!("routes to the subsets of {host} answer 503, and its traffic policy ends")
        } else {
            format!("the traffic policy of {host} ends")
        });
    }
    if pair.is(kinds::ISTIO_NETWORKING, "Gateway") {
        let servers = object.at("/spec/servers").and_then(Value::as_array);
        let ports = servers.into_iter().flatten().filter_map(|server| server.at("/port/number"));
        let mut ports: Vec<String> = ports.map(ToString::to_string).collect();
        ports.dedup();
        let ports = if ports.is_empty() { String::new() } else { format!(" on port {}", ports.join(", ")) };
        return Some(format!("its gateways stop listening for these hosts{ports}: every route bound to it ends"));
    }
    None
}

/// `a.example.com, b.example.com and 3 more`.
fn hosts(object: &Value, pointer: &str) -> String {
    let list = object.at(pointer).and_then(Value::as_array);
    let names: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
    match names.len() {
        0 => "its hosts".to_owned(),
        1..=3 => names.join(", "),
        more => format!("{} and {} more", names[..2].join(", "), more - 2),
    }
}
