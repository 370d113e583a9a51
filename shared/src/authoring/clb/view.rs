//! The LoadBalancer Services of a fleet: those that stand in Git, and those that ASM generates from IstioGateways.

use super::{NAMESPACE, REPLACES};
use crate::asm::annotations::{Product, setting};
use crate::asm::gateway::{cluster_ids, generated_name, is_serverless, wants_load_balancer};
use crate::authoring::fleet_view::namespace;
use crate::fleet::{FleetState, Manifest, Position, Target};
use crate::istio::gateway_name;
use crate::object::At as _;
use crate::object::kinds::{ASM, ISTIO_NETWORKING};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A Service of type LoadBalancer in one cluster, as Git wants it or, where Git does not know it, as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerService {
    /// Name of the member cluster.
    pub cluster: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Gateways whose pods it selects.
    pub gateways: Vec<String>,
    /// Does Git say that it should be there, itself or by the IstioGateway that it comes from? False only with what a
    /// cluster was asked for.
    pub in_git: bool,
    /// ASM generates it from the IstioGateway; it does not stand in Git itself.
    pub generated: bool,
    /// `CLB` or `NLB`.
    pub product: &'static str,
    /// `internet` or `intranet`.
    pub network: String,
    /// Specification of the CLB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// How the instance is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge_type: Option<String>,
    /// ID of the load balancer that it reuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuses: Option<String>,
    /// Name of the Service that it will replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// `Cluster` or `Local`.
    pub external_traffic_policy: String,
    /// Ports.
    pub ports: Vec<LoadBalancerPort>,
    /// All annotations.
    pub annotations: Map<String, Value>,
    /// Where Git declares it, or the IstioGateway that it comes from.
    #[serde(flatten)]
    pub position: Option<Position>,
}

/// A port of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerPort {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number on the load balancer.
    pub port: u64,
    /// Number or name on the pods.
    pub target_port: Value,
    /// Number on every node; the API server chooses one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u64>,
    /// `TCP` or `UDP`.
    pub protocol: String,
}

impl LoadBalancerPort {
    /// Reads a port of a Service or of an IstioGateway, with the defaults of the API server.
    pub(super) fn of(port: &Value) -> Option<Self> {
        let number = port.get("port").and_then(Value::as_u64)?;
        // One old example of a gateway had targetPort 0; Kubernetes then uses the port.
        let target = port.get("targetPort").filter(|target| !target.is_null() && target.as_u64() != Some(0));
        // A gateway's port may say HTTP2 or HTTPS; a Service knows TCP.
        let udp = port.get("protocol").and_then(Value::as_str) == Some("UDP");
        Some(Self {
            name: port.get("name").and_then(Value::as_str).map(str::to_owned),
            port: number,
            target_port: target.cloned().unwrap_or_else(|| number.into()),
            node_port: port.get("nodePort").and_then(Value::as_u64).filter(|port| *port > 0),
            protocol: if udp { "UDP" } else { "TCP" }.to_owned(),
        })
    }

    /// Those of a `spec`.
    pub(super) fn all(spec: &Value) -> Vec<Self> {
        let ports = spec.get("ports").and_then(Value::as_array);
        ports.into_iter().flatten().filter_map(Self::of).collect()
    }
}

impl LoadBalancerService {
    /// All of a fleet: clusters in the order of fleet.yaml, Services by namespace and name.
    pub fn all(state: &FleetState) -> Vec<Self> {
        let clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        let mut all = Vec::new();
        for cluster in clusters {
            let id = cluster.id.as_deref();
            let mut here: Vec<Self> = ordinary_gateways(state)
                .filter(|gateway| id.is_some_and(|id| cluster_ids(&gateway.object).contains(&id)))
                .filter(|gateway| wants_load_balancer(&spec_document(gateway, id)))
                .map(|gateway| Self::generated(&cluster.name, id, gateway))
                .collect();
            let target = Target::Cluster(cluster.name.as_str().into());
            let services = state.manifests_of(&target).filter(|manifest| is_load_balancer(manifest));
            here.extend(services.map(|service| Self::declared(state, &cluster.name, id, service)));
            here.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
            all.extend(here);
        }
        all
    }

    /// Host names that clients use for a gateway: those of the Gateways that select its pods and of their VirtualServices.
    pub fn hosts(state: &FleetState, gateway: &str) -> Vec<String> {
        let Some(own) = gateways(state).find(|manifest| *manifest.id.name == *gateway) else { return Vec::new() };
        let labels = own.object.at("/spec/podLabels");
        let selects = |manifest: &&Manifest| {
            let wanted = manifest.object.at("/spec/selector").and_then(Value::as_object);
            wanted.is_some_and(|wanted| {
                wanted.iter().all(|(key, value)| {
                    selector(gateway).iter().any(|(own, label)| own == key && value.as_str() == Some(label))
                        || labels.and_then(|labels| labels.get(key)) == Some(value)
                })
            })
        };
        let kind = |name: &'static str| {
            let all = state.manifests_of(&Target::Mesh);
            all.filter(move |manifest| manifest.group_kind().is(ISTIO_NETWORKING, name))
        };
        let doors: Vec<&Manifest> = kind("Gateway").filter(selects).collect();
        let texts = |value: Option<&Value>| -> Vec<String> {
            let list = value.and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let servers = doors.iter().flat_map(|door| door.object.at("/spec/servers").and_then(Value::as_array));
        let mut hosts: Vec<String> = servers.flatten().flat_map(|server| texts(server.get("hosts"))).collect();
        for route in kind("VirtualService") {
            let bound = texts(route.object.at("/spec/gateways")).iter().any(|name| {
                gateway_name(name, namespace(route))
                    .is_some_and(|named| doors.iter().any(|door| (namespace(door), &*door.id.name) == named))
            });
            if bound {
                hosts.extend(texts(route.object.at("/spec/hosts")));
            }
        }
        let mut hosts: Vec<String> =
            hosts.iter().map(|host| host.rsplit('/').next().unwrap_or_default().to_owned()).collect();
        hosts.retain(|host| host != "*" && !host.is_empty());
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// One that a cluster has and Git does not know. `None` for any other object.
    pub fn only_live(state: &FleetState, cluster: &str, service: &Value) -> Option<Self> {
        if service.at("/spec/type").and_then(Value::as_str) != Some("LoadBalancer") {
            return None;
        }
        let metadata = service.get("metadata")?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str);
        let (name, namespace) = (text("name")?, text("namespace").unwrap_or("default"));
        let found = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters).find(|known| known.name == cluster);
        let gateways = selected_gateways(state, found.and_then(|found| found.id.as_deref()), namespace, service);
        Some(Self { in_git: false, ..Self::build(cluster, namespace, name, gateways, service) })
    }

    fn generated(cluster: &str, id: Option<&str>, gateway: &Manifest) -> Self {
        let spec = spec_in(gateway, id);
        // As the Service that comes of it.
        let annotations = spec.get("serviceAnnotations").cloned().unwrap_or_default();
        let service = json!({"metadata": {"annotations": annotations}, "spec": spec});
        let (name, gateways) = (generated_name(&gateway.id.name), vec![gateway.id.name.to_string()]);
        let built = Self::build(cluster, NAMESPACE, &name, gateways, &service);
        Self { generated: true, position: Some(gateway.position.clone()), ..built }
    }

    fn declared(state: &FleetState, cluster: &str, id: Option<&str>, service: &Manifest) -> Self {
        let gateways = selected_gateways(state, id, namespace(service), &service.object);
        let built = Self::build(cluster, namespace(service), &service.id.name, gateways, &service.object);
        let replaces = service.object.at("/metadata/labels").and_then(|labels| labels.get(REPLACES));
        let replaces = replaces.and_then(Value::as_str).map(str::to_owned);
        Self { replaces, position: Some(service.position.clone()), ..built }
    }

    /// What a Service says.
    fn build(cluster: &str, namespace: &str, name: &str, gateways: Vec<String>, service: &Value) -> Self {
        let (spec, annotations) = (service.get("spec"), service.at("/metadata/annotations"));
        let setting = |name| setting(annotations, name).filter(|value| !value.is_empty()).map(str::to_owned);
        let text = |field: &str| spec?.get(field).and_then(Value::as_str);
        Self {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            gateways,
            in_git: true,
            generated: false,
            product: Product::of_class(text("loadBalancerClass")).word(),
            network: setting("loadbalancer-address-type").unwrap_or_else(|| "internet".to_owned()),
            spec: setting("loadbalancer-spec"),
            charge_type: setting("loadbalancer-instance-charge-type"),
            reuses: setting("loadbalancer-id"),
            replaces: None,
            external_traffic_policy: text("externalTrafficPolicy").unwrap_or("Cluster").to_owned(),
            ports: spec.map(LoadBalancerPort::all).unwrap_or_default(),
            annotations: annotations.and_then(Value::as_object).cloned().unwrap_or_default(),
            position: None,
        }
    }
}

/// The gateways that run in member clusters.
pub(super) fn ordinary_gateways(state: &FleetState) -> impl Iterator<Item = &Manifest> {
    gateways(state).filter(|gateway| !is_serverless(&gateway.object))
}

/// All IstioGateways.
pub(super) fn gateways(state: &FleetState) -> impl Iterator<Item = &Manifest> {
    state.manifests_of(&Target::Mesh).filter(|manifest| manifest.group_kind().is(ASM, "IstioGateway"))
}

/// The `spec` of a gateway in one cluster: what stands under `overrides.<cluster ID>` replaces what stands at the top.
pub(super) fn spec_in(gateway: &Manifest, cluster_id: Option<&str>) -> Value {
    let mut spec = gateway.object.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    let overrides = spec.remove("overrides");
    let own = cluster_id.and_then(|id| overrides.as_ref()?.get(id)?.as_object());
    spec.extend(own.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(spec)
}

fn spec_document(gateway: &Manifest, cluster_id: Option<&str>) -> Value {
    Value::Object([("spec".to_owned(), spec_in(gateway, cluster_id))].into_iter().collect())
}

/// Is it a Service of type LoadBalancer?
pub(super) fn is_load_balancer(manifest: &Manifest) -> bool {
    manifest.group_kind().is("", "Service")
        && manifest.object.at("/spec/type").and_then(Value::as_str) == Some("LoadBalancer")
}

/// The four labels that ASM gives the pods of a gateway; the generated Service selects by them.
pub(super) fn selector(gateway: &str) -> [(&'static str, String); 4] {
    [
        ("app", generated_name(gateway)),
        ("asm-system", "true".to_owned()),
        ("istio", gateway.to_owned()),
        ("provider", "asm".to_owned()),
    ]
}

/// The gateways of a cluster whose pods a Service selects.
fn selected_gateways(state: &FleetState, cluster_id: Option<&str>, namespace: &str, service: &Value) -> Vec<String> {
    let Some(wanted) = service.at("/spec/selector").and_then(Value::as_object) else { return Vec::new() };
    if wanted.is_empty() || namespace != NAMESPACE {
        return Vec::new();
    }
    let here = ordinary_gateways(state)
        .filter(|gateway| cluster_id.is_some_and(|id| cluster_ids(&gateway.object).contains(&id)));
    let selected = here.filter(|gateway| {
        let own = selector(&gateway.id.name);
        let spec = spec_in(gateway, cluster_id);
        wanted.iter().all(|(key, value)| match own.iter().find(|(own, _)| own == key) {
            Some((_, own)) => value.as_str() == Some(own),
            None => spec.get("podLabels").and_then(|labels| labels.get(key)) == Some(value),
        })
    });
    selected.map(|gateway| gateway.id.name.to_string()).collect()
}
