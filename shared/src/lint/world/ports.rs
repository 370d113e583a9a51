//! What ports speak, whose namespaces are the system's, and which pods have a sidecar.

use super::{Pod, ServicePort, World, namespace};
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashSet;

/// The protocol of a port, as Istio tells it by `appProtocol` or name; `None` when it cannot.
pub(in crate::lint) fn protocol_of(port: &ServicePort<'_>) -> Option<&'static str> {
    const KNOWN: &[&str] =
        &["http", "http2", "https", "grpc", "grpc-web", "tcp", "tls", "udp", "mongo", "mysql", "redis", "hbone"];
    let known = |word: &str| KNOWN.iter().find(|known| word.eq_ignore_ascii_case(known)).copied();
    if matches!(port.protocol, "UDP" | "SCTP") {
        return Some("udp");
    }
    if let Some(word) = port.app_protocol {
        return match word {
            "kubernetes.io/h2c" => Some("http2"),
            "kubernetes.io/ws" => Some("http"),
            "kubernetes.io/wss" => Some("https"),
            word => known(word),
        };
    }
    let name = port.name.unwrap_or_default().to_lowercase();
    if name == "grpc-web" || name.starts_with("grpc-web-") {
        return Some("grpc-web");
    }
    let by_number = match port.port {
        25 | 53 | 3306 | 27017 => Some("tcp"),
        _ => None,
    };
    known(name.split('-').next().unwrap_or_default()).or(by_number)
}

/// Does the object belong to Kubernetes or to Istio itself?
pub(in crate::lint) fn is_system(manifest: &Manifest) -> bool {
    let labels = manifest.object.at("/metadata/labels");
    let label = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str);
    matches!(
        namespace(manifest),
        "kube-system" | "kube-public" | "kube-node-lease" | "local-path-storage" | "istio-system"
    ) || label("istio").is_some_and(|value| !value.is_empty())
        || label("release") == Some("istio")
}

/// Which pods have a sidecar.
pub(in crate::lint) struct Meshed<'a> {
    namespaces: HashSet<&'a str>,
}

/// Looks for the namespaces whose pods get one.
pub(in crate::lint) fn in_mesh<'a>(world: &World<'a>) -> Meshed<'a> {
    let injected = |manifest: &&Manifest| {
        let labels = manifest.object.at("/metadata/labels");
        let label = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str);
        match label("istio-injection") {
            Some(word) => word == "enabled",
            None => label("istio.io/rev").is_some(),
        }
    };
    Meshed { namespaces: world.of_kind("", "Namespace").filter(injected).map(|manifest| &*manifest.id.name).collect() }
}

impl Meshed<'_> {
    /// Has this pod one?
    pub(in crate::lint) fn has(&self, pod: &Pod<'_>) -> bool {
        const INJECT: &str = "sidecar.istio.io/inject";
        let annotations = ["/metadata/annotations", "/spec/template/metadata/annotations"];
        let annotated = annotations.iter().find_map(|at| pod.manifest.object.at(at)?.get(INJECT)?.as_str());
        let said = pod.labels.get(INJECT).and_then(Value::as_str).or(annotated);
        let containers = pod.spec.and_then(|spec| spec.get("containers")?.as_array());
        let mut names = containers.into_iter().flatten().filter_map(|container| container.get("name")?.as_str());
        // A sidecar that is written out is there, whatever injection would do.
        names.any(|name| name == "istio-proxy")
            || said.map_or_else(|| self.namespaces.contains(pod.namespace), |word| word == "true")
    }
}
