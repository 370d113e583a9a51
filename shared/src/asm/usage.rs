//! Who uses a gateway: the Gateways (Istio) that select its pods, the routes bound to those, and further Services with load
//! balancers in front of the same pods.

use super::gateway;
use crate::fleet::{FleetState, Manifest, Target};
use crate::istio::gateway_name;
use crate::object::At as _;
use crate::object::kinds::{ASM, ISTIO_NETWORKING};
use serde_json::Value;

/// A Gateway (Istio) that selects the pods.
#[derive(Clone, Debug)]
pub struct UsingGateway<'a> {
    /// The Gateway.
    pub manifest: &'a Manifest,
    /// Names of other IstioGateways that it selects as well.
    pub other_gateways: Vec<&'a str>,
}

/// Who uses a gateway.
#[derive(Clone, Debug, Default)]
pub struct Usage<'a> {
    /// Gateways that select its pods.
    pub gateways: Vec<UsingGateway<'a>>,
    /// VirtualServices bound to those.
    pub routes: Vec<&'a Manifest>,
    /// Services with a load balancer of their own in front of its pods, in the clusters that it runs in.
    pub services: Vec<&'a Manifest>,
}

/// Who uses this gateway.
pub fn of<'a>(state: &'a FleetState, proxy: &Manifest) -> Usage<'a> {
    let mesh = || state.manifests_of(&Target::Mesh);
    let proxies: Vec<_> = mesh().filter(|manifest| manifest.group_kind().is(ASM, "IstioGateway")).collect();
    let gateways: Vec<_> = mesh()
        .filter(|manifest| manifest.group_kind().is(ISTIO_NETWORKING, "Gateway"))
        .filter_map(|manifest| {
            let selector = manifest.object.at("/spec/selector");
            let selected = |proxy: &Manifest| selects(selector, &proxy.id.name, &proxy.object);
            selected(proxy).then(|| {
                let others = proxies.iter().filter(|other| other.id != proxy.id && selected(other));
                UsingGateway { manifest, other_gateways: others.map(|other| &*other.id.name).collect() }
            })
        })
        .collect();
    let routes = mesh()
        .filter(|manifest| manifest.group_kind().is(ISTIO_NETWORKING, "VirtualService"))
        .filter(|route| {
            gateways_of(state, route).iter().any(|bound| gateways.iter().any(|using| using.manifest.id == bound.id))
        })
        .collect();
    Usage { services: services(state, proxy), gateways, routes }
}

/// Does the selector of a Gateway choose the pods of this IstioGateway? No selector chooses all pods.
pub fn selects(selector: Option<&Value>, name: &str, proxy: &Value) -> bool {
    let Some(selector) = selector.and_then(Value::as_object) else { return true };
    let labels = gateway::pod_labels(name, proxy);
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The Gateways that a VirtualService is bound to, as far as the fleet has them.
pub fn gateways_of<'a>(state: &'a FleetState, route: &Manifest) -> Vec<&'a Manifest> {
    let named = route.object.at("/spec/gateways").and_then(Value::as_array);
    let own = route.id.namespace.as_deref().unwrap_or("default");
    let named: Vec<(&str, &str)> =
        named.into_iter().flatten().filter_map(Value::as_str).filter_map(|name| gateway_name(name, own)).collect();
    let found = state.manifests_of(&Target::Mesh).filter(|manifest| {
        let space = manifest.id.namespace.as_deref().unwrap_or("default");
        manifest.group_kind().is(ISTIO_NETWORKING, "Gateway") && named.contains(&(space, &*manifest.id.name))
    });
    found.collect()
}

fn services<'a>(state: &'a FleetState, proxy: &Manifest) -> Vec<&'a Manifest> {
    let ids = gateway::cluster_ids(&proxy.object);
    let runs_in = |target: &Target| {
        let mut clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        clusters
            .any(|cluster| cluster.name == target.name() && cluster.id.as_deref().is_some_and(|id| ids.contains(&id)))
    };
    let of_proxy = |service: &&Manifest| {
        service.group_kind().is("", "Service")
            && service.id.namespace == proxy.id.namespace
            && is_in_front_of(&service.object, &proxy.id.name, &proxy.object)
    };
    let members = state.manifests.iter().filter(|manifest| manifest.target != Target::Mesh);
    members.filter(of_proxy).filter(|service| runs_in(&service.target)).collect()
}

/// Is it a Service with a load balancer in front of the pods of this gateway?
pub fn is_in_front_of(service: &Value, name: &str, proxy: &Value) -> bool {
    let selector = service
        .at("/spec/selector")
        .filter(|selector| selector.as_object().is_some_and(|selector| !selector.is_empty()));
    service.at("/spec/type").and_then(Value::as_str) == Some("LoadBalancer")
        && selector.is_some()
        && selects(selector, name, proxy)
}
