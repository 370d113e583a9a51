//! Services as the cloud controller sees them: those in Git, and those that ASM makes of IstioGateways, each with the
//! annotations, class and ports that it has in one cluster.

use super::names::namespace;
use crate::asm::annotations::{Annotation, Product, behind_prefix, find};
use crate::asm::gateway;
use crate::fleet::pods;
use crate::fleet::{Cluster, FleetState, Manifest, Target};
use crate::lint::EditOp;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;
use std::collections::HashMap;

/// A Service in one cluster.
#[derive(Clone, Debug)]
pub(in crate::lint) struct Front<'a> {
    /// The Service, or the IstioGateway that ASM makes it of.
    pub(in crate::lint) manifest: &'a Manifest,
    /// Its cluster; the mesh for a serverless gateway, and for a gateway in clusters that the fleet does not declare.
    pub(in crate::lint) target: Target,
    /// The same as `fleet.yaml` declares it.
    pub(in crate::lint) cluster: Option<&'a Cluster>,
    /// ASM makes it of an IstioGateway.
    pub(in crate::lint) generated: bool,
    /// ASM runs the gateway.
    pub(in crate::lint) serverless: bool,
    /// `spec.type`.
    pub(in crate::lint) kind: &'a str,
    /// `spec.loadBalancerClass` with its place.
    pub(in crate::lint) class: Option<(&'a str, String)>,
    /// `spec.externalTrafficPolicy` with its place.
    pub(in crate::lint) policy: Option<(&'a str, String)>,
    /// Annotations with the cloud controller's prefixes or among its keys without one.
    pub(in crate::lint) settings: Vec<Setting<'a>>,
    /// Where a further annotation would be written.
    pub(in crate::lint) annotations_at: String,
    /// Ports.
    pub(in crate::lint) ports: Vec<FrontPort<'a>>,
}

/// An annotation of the cloud controller.
#[derive(Clone, Debug)]
pub(in crate::lint) struct Setting<'a> {
    /// The whole key.
    pub(in crate::lint) key: &'a str,
    /// The value as it stands.
    pub(in crate::lint) value: &'a Value,
    /// Its place.
    pub(in crate::lint) pointer: String,
    /// What the controller knows of it; nothing when it does not know it.
    pub(in crate::lint) row: Option<&'static Annotation>,
}

/// A port of such a Service.
#[derive(Clone, Debug)]
pub(in crate::lint) struct FrontPort<'a> {
    /// Its place.
    pub(in crate::lint) pointer: String,
    /// The port.
    pub(in crate::lint) port: u64,
    /// `targetPort`; the port itself when absent or 0.
    pub(in crate::lint) target: Option<&'a Value>,
    /// `nodePort`, when it is not 0.
    pub(in crate::lint) node_port: Option<u64>,
    /// `TCP` or `UDP`: what ASM's own words (`HTTP2`, `HTTPS`) become.
    pub(in crate::lint) protocol: &'static str,
}

impl<'a> Front<'a> {
    /// Has it a load balancer?
    pub(in crate::lint) fn is_load_balancer(&self) -> bool {
        self.kind == "LoadBalancer"
    }

    /// Which one?
    pub(in crate::lint) fn product(&self) -> Product {
        Product::of_class(self.class.as_ref().map(|(class, _)| *class))
    }

    /// A setting by the name behind the prefix, as the controller looks it up: the legacy key counts only when the new one
    /// is absent, and a cluster's own value before the one for all.
    pub(in crate::lint) fn setting(&self, name: &str) -> Option<&Setting<'a>> {
        let named = |setting: &&Setting<'a>| setting.row.is_some_and(|row| row.name == name);
        self.settings.iter().filter(named).min_by_key(|setting| setting.is_legacy())
    }

    /// The text of a setting.
    pub(in crate::lint) fn text(&self, name: &str) -> Option<&'a str> {
        self.setting(name).and_then(|setting| setting.value.as_str())
    }

    /// The version of its cloud controller, as far as `fleet.yaml` says.
    pub(in crate::lint) fn controller(&self) -> Option<&'a str> {
        self.cluster?.cloud_controller_version.as_deref()
    }
}

impl Setting<'_> {
    /// Has it the prefix that was used before 2019?
    pub(in crate::lint) fn is_legacy(&self) -> bool {
        self.key.starts_with(crate::asm::annotations::LEGACY_PREFIX)
    }
}

impl FrontPort<'_> {
    /// The number on the pods; nothing when it is the name of a container port.
    pub(in crate::lint) fn target_number(&self) -> Option<u64> {
        match self.target {
            Some(Value::String(_)) => None,
            Some(value) => value.as_u64().filter(|number| *number > 0).or(Some(self.port)),
            None => Some(self.port),
        }
    }
}

/// All of a fleet.
pub(super) fn all(state: &FleetState) -> Vec<Front<'_>> {
    let clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
    let clusters: HashMap<&str, &Cluster> = clusters.map(|cluster| (cluster.name.as_str(), cluster)).collect();
    let mut fronts = Vec::new();
    for manifest in &state.manifests {
        if manifest.group_kind().is("", "Service") {
            fronts.push(of_service(manifest, clusters.get(manifest.target.name()).copied()));
        } else if manifest.group_kind().is(ASM, "IstioGateway") {
            let mut targets = pods::targets_of_gateway(state, manifest);
            if targets.is_empty() {
                targets.push(Target::Mesh);
            }
            let of = |target: Target| of_gateway(manifest, clusters.get(target.name()).copied(), target);
            fronts.extend(targets.into_iter().map(of));
        }
    }
    fronts
}

fn of_service<'a>(manifest: &'a Manifest, cluster: Option<&'a Cluster>) -> Front<'a> {
    let text = |field: &str| manifest.object.at(&format!("/spec/{field}")).and_then(Value::as_str);
    Front {
        manifest,
        target: manifest.target.clone(),
        cluster,
        generated: false,
        serverless: false,
        kind: text("type").unwrap_or("ClusterIP"),
        class: text("loadBalancerClass").map(|class| (class, "/spec/loadBalancerClass".to_owned())),
        policy: text("externalTrafficPolicy").map(|policy| (policy, "/spec/externalTrafficPolicy".to_owned())),
        settings: settings(manifest, "/metadata/annotations"),
        annotations_at: "/metadata/annotations".to_owned(),
        ports: ports(manifest, "/spec/ports"),
    }
}

fn of_gateway<'a>(manifest: &'a Manifest, cluster: Option<&'a Cluster>, target: Target) -> Front<'a> {
    let own = cluster.and_then(|cluster| cluster.id.as_deref()).map(|id| format!("/spec/overrides/{}", escape(id)));
    // A cluster's own field replaces the one for all clusters.
    let place = |field: &str| {
        let own = own.as_ref().map(|base| format!("{base}/{field}"));
        own.filter(|pointer| manifest.object.at(pointer).is_some()).unwrap_or_else(|| format!("/spec/{field}"))
    };
    let text = |field: &str| {
        let pointer = place(field);
        manifest.object.at(&pointer).and_then(Value::as_str).map(|text| (text, pointer))
    };
    let mut all = Vec::new();
    for base in own.iter().map(String::as_str).chain(["/spec"]) {
        let more = settings(manifest, &format!("{base}/serviceAnnotations"));
        let new = more.into_iter().filter(|more| !all.iter().any(|known: &Setting<'_>| known.key == more.key));
        let new: Vec<_> = new.collect();
        all.extend(new);
    }
    Front {
        manifest,
        target,
        cluster,
        generated: true,
        serverless: gateway::is_serverless(&manifest.object),
        kind: text("serviceType").map_or("LoadBalancer", |(kind, _)| kind),
        class: text("loadBalancerClass"),
        policy: text("externalTrafficPolicy"),
        settings: all,
        annotations_at: "/spec/serviceAnnotations".to_owned(),
        ports: ports(manifest, &place("ports")),
    }
}

fn settings<'a>(manifest: &'a Manifest, base: &str) -> Vec<Setting<'a>> {
    let annotations = manifest.object.at(base).and_then(Value::as_object).into_iter().flatten();
    let told = annotations.filter_map(|(key, value)| {
        let row = if key.starts_with("service.beta.kubernetes.io/") { find(key) } else { None };
        let is_setting = row.is_some() || behind_prefix(key).is_some();
        is_setting.then(|| Setting { key, value, pointer: format!("{base}/{}", escape(key)), row })
    });
    told.collect()
}

fn ports<'a>(manifest: &'a Manifest, base: &str) -> Vec<FrontPort<'a>> {
    let ports = manifest.object.at(base).and_then(Value::as_array).into_iter().flatten().enumerate();
    ports
        .filter_map(|(index, port)| {
            Some(FrontPort {
                pointer: format!("{base}/{index}"),
                port: port.get("port").and_then(Value::as_u64)?,
                target: port.get("targetPort").filter(|target| !target.is_null()),
                node_port: port.get("nodePort").and_then(Value::as_u64).filter(|number| *number > 0),
                protocol: if port.get("protocol").and_then(Value::as_str) == Some("UDP") { "UDP" } else { "TCP" },
            })
        })
        .collect()
}

/// A name as a step of a JSON pointer.
pub(in crate::lint) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Takes a field away; with the map around it when nothing else is in it.
pub(in crate::lint) fn removal(manifest: &Manifest, pointer: &str) -> EditOp {
    let around = pointer.rsplit_once('/').map_or("", |(around, _)| around);
    let map = manifest.object.at(around).and_then(Value::as_object);
    // `spec` and `metadata` stay whatever is in them.
    let alone = around.matches('/').count() > 1 && map.is_some_and(|map| map.len() == 1);
    EditOp::Remove(if alone { around } else { pointer }.to_owned())
}

/// Adds a field to a map, which is made when it is not there.
pub(in crate::lint) fn addition(manifest: &Manifest, map: &str, key: &str, value: Value) -> EditOp {
    if manifest.object.at(map).is_some_and(Value::is_object) {
        EditOp::Set(format!("{map}/{}", escape(key)), value)
    } else {
        EditOp::Set(map.to_owned(), Value::Object([(key.to_owned(), value)].into_iter().collect()))
    }
}

/// The namespace and name of the Service that a front stands for.
pub(in crate::lint) fn service_name(front: &Front<'_>) -> (String, String) {
    let name = &front.manifest.id.name;
    let name = if front.generated { gateway::generated_name(name) } else { name.to_string() };
    (namespace(front.manifest).to_owned(), name)
}
