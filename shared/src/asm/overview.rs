//! A gateway on one page, from the files alone.

use super::{gateway, usage};
use crate::fleet::{FleetState, Manifest, Target};
use crate::object::At as _;
use crate::object::kinds::ASM;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A gateway on one page.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayOverview {
    /// Name.
    pub name: String,
    /// `ingress` or `egress`.
    pub gateway_type: String,
    /// ASM runs it.
    pub serverless: bool,
    /// Type of its Service.
    pub service_type: String,
    /// `CLB` or `NLB`, when it has a load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<&'static str>,
    /// `internet` or `intranet`, when it has a load balancer and the choice is documented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_type: Option<String>,
    /// `Cluster` or `Local`, when the Service has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<String>,
    /// Pods per cluster: a number, or a range.
    pub replicas: String,
    /// Its ports as `name=port` or `name=port:target`.
    pub ports: Vec<String>,
    /// Labels of its pods besides those that ASM sets.
    pub pod_labels: Vec<String>,
    /// The clusters that it runs in.
    pub clusters: Vec<ClusterPart>,
    /// Gateways (Istio) that select its pods.
    pub gateways: Vec<Place>,
    /// VirtualServices bound to those.
    pub routes: Vec<Place>,
    /// Its file and line.
    pub source: String,
}

/// A gateway in one cluster.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPart {
    /// Name in the fleet; the ID when the fleet does not know it.
    pub cluster: String,
    /// ACK cluster ID.
    pub id: String,
    /// Name of the Service and the Deployment that ASM makes.
    pub generated: String,
    /// Fields that this cluster has differently.
    pub overrides: Vec<String>,
    /// Further Services with load balancers in front of the same pods.
    pub services: Vec<Place>,
}

/// An object and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// File and line.
    pub source: String,
}

/// The gateways of the fleet.
pub fn gateways(state: &FleetState) -> impl Iterator<Item = &Manifest> {
    state.manifests_of(&Target::Mesh).filter(|manifest| manifest.group_kind().is(ASM, "IstioGateway"))
}

/// A gateway on one page.
pub fn of(state: &FleetState, manifest: &Manifest) -> GatewayOverview {
    let object = &*manifest.object;
    let text = |field: &str| object.at(&format!("/spec/{field}")).and_then(Value::as_str).map(str::to_owned);
    let used = usage::of(state, manifest);
    let serverless = gateway::is_serverless(object);
    let service_type = text("serviceType").unwrap_or_else(|| "LoadBalancer".to_owned());
    let has_load_balancer = gateway::wants_load_balancer(object);
    let is_nlb = text("loadBalancerClass").is_some_and(|class| class.ends_with("/nlb"));
    let address_type = ["alibaba-cloud", "alicloud"].iter().find_map(|prefix| {
        let key = format!("service.beta.kubernetes.io/{prefix}-loadbalancer-address-type");
        object.at("/spec/serviceAnnotations")?.get(key)?.as_str().map(str::to_owned)
    });
    let clusters = gateway::cluster_ids(object).into_iter().map(|id| {
        let known = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        let name = known.into_iter().find(|cluster| cluster.id.as_deref() == Some(id)).map(|c| c.name.clone());
        let cluster = name.unwrap_or_else(|| id.to_owned());
        let own = object.at("/spec/overrides").and_then(|all| all.get(id)).and_then(Value::as_object);
        let services = used.services.iter().filter(|service| service.target.name() == cluster);
        ClusterPart {
            id: id.to_owned(),
            generated: gateway::generated_name(&manifest.id.name),
            overrides: own.into_iter().flat_map(|own| own.keys().cloned()).collect(),
            services: services.map(|service| place(service)).collect(),
            cluster,
        }
    });
    let labels = object.at("/spec/podLabels").and_then(Value::as_object).into_iter().flatten();
    GatewayOverview {
        name: manifest.id.name.to_string(),
        gateway_type: text("gatewayType").unwrap_or_else(|| "ingress".to_owned()),
        serverless,
        load_balancer: has_load_balancer.then_some(if is_nlb { "NLB" } else { "CLB" }),
        address_type: (has_load_balancer && !serverless).then(|| address_type.unwrap_or_else(|| "internet".to_owned())),
        external_traffic_policy: (service_type != "ClusterIP")
            .then(|| text("externalTrafficPolicy").unwrap_or_else(|| "Cluster".to_owned())),
        service_type,
        replicas: replicas(object),
        ports: ports(object),
        pod_labels: labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect(),
        clusters: clusters.collect(),
        gateways: used.gateways.iter().map(|using| place(using.manifest)).collect(),
        routes: used.routes.iter().map(|route| place(route)).collect(),
        source: manifest.position.to_string(),
    }
}

fn place(manifest: &Manifest) -> Place {
    Place {
        name: manifest.id.name.to_string(),
        namespace: manifest.id.namespace.as_deref().unwrap_or("default").to_owned(),
        source: manifest.position.to_string(),
    }
}

/// Pods per cluster: a number, or a range.
pub(crate) fn replicas(object: &Value) -> String {
    let number = |field: &str| object.at(&format!("/spec/{field}")).and_then(Value::as_i64);
    match (number("minReplicas"), number("maxReplicas")) {
        (Some(min), Some(max)) => format!("{min}-{max}"),
        (None, Some(max)) => format!("1-{max}"),
        _ => number("replicaCount").unwrap_or(1).to_string(),
    }
}

fn ports(object: &Value) -> Vec<String> {
    let ports = object.at("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = |port: &Value| {
        let number = port.get("port").map(plain).unwrap_or_default();
        let target = port.get("targetPort").map(plain).filter(|target| *target != number);
        let name = port.get("name").map(plain).map(|name| format!("{name}=")).unwrap_or_default();
        format!("{name}{number}{}", target.map(|target| format!(":{target}")).unwrap_or_default())
    };
    ports.map(told).collect()
}
