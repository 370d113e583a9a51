//! Services of the member clusters: those in Git, and those that ASM makes of IstioGateways.

use super::names::namespace;
use crate::asm::gateway;
use crate::fleet::pods;
use crate::fleet::{FleetState, Manifest, Target};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A Service in one cluster.
#[derive(Clone, Debug)]
pub(in crate::lint) struct Service<'a> {
    /// The Service, or the IstioGateway that ASM makes it of.
    pub(in crate::lint) manifest: &'a Manifest,
    /// Its cluster. The mesh for the Service of a serverless gateway, which is ASM's.
    pub(in crate::lint) target: Target,
    /// Namespace.
    pub(in crate::lint) namespace: &'a str,
    /// Name.
    pub(in crate::lint) name: Cow<'a, str>,
    /// `spec.type`.
    pub(in crate::lint) kind: &'a str,
    /// Ports.
    pub(in crate::lint) ports: Vec<ServicePort<'a>>,
    /// `spec.selector`; `None` when it has none.
    pub(in crate::lint) selector: Option<Cow<'a, Map<String, Value>>>,
    /// ASM makes it of an IstioGateway.
    pub(in crate::lint) generated: bool,
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::lint) struct ServicePort<'a> {
    /// Name.
    pub(in crate::lint) name: Option<&'a str>,
    /// Port.
    pub(in crate::lint) port: u64,
    /// `targetPort`: a number or the name of a container port; the port itself when absent.
    pub(in crate::lint) target_port: Option<&'a Value>,
    /// `nodePort`.
    pub(in crate::lint) node_port: Option<u64>,
    /// `TCP`, `UDP`, `SCTP`.
    pub(in crate::lint) protocol: &'a str,
    /// `appProtocol`.
    pub(in crate::lint) app_protocol: Option<&'a str>,
}

impl Service<'_> {
    /// Is it in front of these pods?
    pub(in crate::lint) fn selects(&self, pod: &pods::Pod<'_>) -> bool {
        self.namespace == pod.namespace
            && pod.target.as_ref() == Some(&self.target)
            && self.selector.as_ref().is_some_and(|selector| !selector.is_empty() && pod.has(selector))
    }
}

/// All Services of a fleet.
pub(super) fn all(state: &FleetState) -> Vec<Service<'_>> {
    let mut services = Vec::new();
    for manifest in &state.manifests {
        if manifest.group_kind().is("", "Service") {
            services.push(Service {
                manifest,
                target: manifest.target.clone(),
                namespace: namespace(manifest),
                name: Cow::Borrowed(&*manifest.id.name),
                kind: text(&manifest.object, "/spec/type").unwrap_or("ClusterIP"),
                ports: ports(&manifest.object),
                selector: manifest.object.at("/spec/selector").and_then(Value::as_object).map(Cow::Borrowed),
                generated: false,
            });
        } else if manifest.group_kind().is(ASM, "IstioGateway") {
            for target in pods::targets_of_gateway(state, manifest) {
                services.push(of_gateway(manifest, target));
            }
        }
    }
    services
}

fn of_gateway(manifest: &Manifest, target: Target) -> Service<'_> {
    let mut selector = gateway::pod_labels(&manifest.id.name, &manifest.object);
    selector.retain(|key, _| matches!(key.as_str(), "app" | "istio" | "asm-system" | "provider"));
    Service {
        manifest,
        target,
        namespace: namespace(manifest),
        name: Cow::Owned(gateway::generated_name(&manifest.id.name)),
        kind: text(&manifest.object, "/spec/serviceType").unwrap_or("LoadBalancer"),
        ports: ports(&manifest.object),
        selector: Some(Cow::Owned(selector)),
        generated: true,
    }
}

fn ports(object: &Value) -> Vec<ServicePort<'_>> {
    let ports = object.at("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(port).collect()
}

fn port(port: &Value) -> Option<ServicePort<'_>> {
    Some(ServicePort {
        name: text(port, "/name"),
        port: port.get("port").and_then(Value::as_u64)?,
        target_port: port.get("targetPort").filter(|target| !target.is_null()),
        node_port: port.get("nodePort").and_then(Value::as_u64),
        protocol: text(port, "/protocol").unwrap_or("TCP"),
        app_protocol: text(port, "/appProtocol"),
    })
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.at(pointer).and_then(Value::as_str)
}
