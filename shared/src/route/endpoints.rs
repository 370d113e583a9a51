//! The pods of a destination: those of all clusters of the mesh that a Service of this name selects there, with the labels of
//! the subset. Pods never stand in Git; what makes them does, with `replicas`.

use super::front::Front;
use super::model::{Model, items, namespace, text};
use super::outcome::ClusterEndpoints;
use super::services::{Kind, Service};
use crate::asm::gateway;
use crate::fleet::pods::Pod;
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use crate::object::kinds::{ASM, ISTIO_NETWORKING};
use serde_json::{Map, Value};

/// Those of a host and port that have these labels.
pub(super) fn of<'s>(
    model: &Model<'s, '_>,
    front: &Front<'s>,
    service: &Service<'s>,
    port: u16,
    labels: Option<&Map<String, Value>>,
) -> Vec<ClusterEndpoints<'s>> {
    if service.kind == Kind::Entry {
        return service.manifests.first().map(|entry| of_entry(model, entry, labels)).unwrap_or_default();
    }
    let Some(first) = service.manifests.first() else { return Vec::new() };
    let name = port_name(first, port);
    let mut found: Vec<ClusterEndpoints<'s>> = Vec::new();
    for manifest in &service.manifests {
        // Endpoints are joined by the name of the port.
        if !items(&manifest.object, "/spec/ports").iter().any(|it| text(it, "/name") == name) {
            continue;
        }
        if is_local(&service.host) && !front.clusters.contains(&manifest.target) {
            continue;
        }
        let generated = manifest.group_kind().is(ASM, "IstioGateway");
        let selector = if generated {
            Some(own_labels(manifest))
        } else {
            manifest.object.at("/spec/selector").and_then(Value::as_object).cloned()
        };
        match selector.filter(|selector| !selector.is_empty()) {
            Some(selector) => {
                for (target, pod, count) in selected(model, manifest, generated, &selector, labels) {
                    add(&mut found, target, count, pod.manifest);
                }
            }
            None if labels.is_none_or(Map::is_empty) => {
                for (slice, count) in written(model, manifest) {
                    add(&mut found, manifest.target.clone(), count, slice);
                }
            }
            None => {}
        }
    }
    found.sort_by(|a, b| a.cluster.cmp(&b.cluster));
    found
}

fn add<'s>(found: &mut Vec<ClusterEndpoints<'s>>, cluster: Target, count: u32, by: &'s Manifest) {
    if count == 0 {
        return;
    }
    let at = found.iter().position(|it| it.cluster == cluster).unwrap_or_else(|| {
        found.push(ClusterEndpoints { cluster, count: 0, workloads: Vec::new() });
        found.len() - 1
    });
    if let Some(known) = found.get_mut(at) {
        known.count += count;
        known.workloads.push(by);
    }
}

/// Name of a port of a Service; Services with one port need not name it.
fn port_name(service: &Manifest, number: u16) -> &str {
    let ports = items(&service.object, "/spec/ports").iter();
    let mut ports = ports.filter(|it| it.get("port").and_then(Value::as_u64) == Some(u64::from(number)));
    ports.next().map(|it| text(it, "/name")).unwrap_or_default()
}

fn own_labels(gateway_manifest: &Manifest) -> Map<String, Value> {
    let mut labels = gateway::pod_labels(&gateway_manifest.id.name, &gateway_manifest.object);
    labels.retain(|key, _| gateway::RESERVED_LABELS.contains(&key.as_str()));
    labels
}

/// Pods that a Service selects in its cluster (one that ASM makes: in all clusters of its gateway).
fn selected<'m, 's>(
    model: &'m Model<'s, '_>,
    service: &'s Manifest,
    generated: bool,
    selector: &Map<String, Value>,
    labels: Option<&Map<String, Value>>,
) -> Vec<(Target, &'m Pod<'s>, u32)> {
    let mut both = selector.clone();
    let mut topology = Map::new();
    for (key, value) in labels.into_iter().flatten() {
        if is_topology(key) {
            topology.insert(key.clone(), value.clone());
        } else if both.insert(key.clone(), value.clone()).is_some_and(|old| old != *value) {
            return Vec::new();
        }
    }
    let pods = model.pod_index.with(&model.pods, &both).into_iter().filter_map(|at| model.pods.get(at));
    let near = pods.filter_map(|pod| {
        let target = pod.target.clone()?;
        let here = generated || target == service.target;
        (here && pod.namespace == namespace(service) && lies_in(model, &target, &topology))
            .then(|| (target, pod, replicas(pod.manifest)))
    });
    near.collect()
}

fn is_topology(key: &str) -> bool {
    matches!(
        key,
        "topology.istio.io/cluster"
            | "topology.istio.io/network"
            | "topology.kubernetes.io/region"
            | "topology.kubernetes.io/zone"
    )
}

/// Has everything in a cluster these labels, which istiod adds to pods?
fn lies_in(model: &Model<'_, '_>, target: &Target, labels: &Map<String, Value>) -> bool {
    let clusters = model.state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
    let cluster = clusters.into_iter().find(|it| it.name == target.name());
    labels.iter().all(|(key, value)| {
        let value = value.as_str();
        match key.as_str() {
            "topology.istio.io/cluster" => {
                value == Some(target.name()) || cluster.is_some_and(|it| it.id.as_deref() == value)
            }
            "topology.kubernetes.io/region" => {
                cluster.is_some_and(|it| it.region.is_some() && it.region.as_deref() == value)
            }
            // Zones and networks are not told by the files.
            _ => false,
        }
    })
}

/// How many pods a manifest makes.
pub(super) fn replicas(manifest: &Manifest) -> u32 {
    let object = &manifest.object;
    let number = |pointer: &str| object.at(pointer).and_then(Value::as_u64);
    let count = match &*manifest.group_kind().kind {
        "CronJob" => 0,
        "Pod" => {
            let ended = matches!(text(object, "/status/phase"), "Succeeded" | "Failed" | "Pending");
            u64::from(!ended)
        }
        "DaemonSet" => 1,
        "Job" => number("/spec/parallelism").unwrap_or(1),
        "IstioGateway" => number("/spec/replicaCount").unwrap_or(1).max(1),
        _ => number("/spec/replicas").unwrap_or(1),
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Endpoints that are written by hand, for a Service without a selector.
fn written<'s>(model: &Model<'s, '_>, service: &Manifest) -> Vec<(&'s Manifest, u32)> {
    let here = model.state.manifests_in(&service.target).filter(|it| namespace(it) == namespace(service));
    let count = |all: usize| u32::try_from(all).unwrap_or(u32::MAX);
    here.filter_map(|it| {
        if it.group_kind().is("discovery.k8s.io", "EndpointSlice") {
            let of = text(&it.object, "/metadata/labels/kubernetes.io~1service-name");
            let ready = items(&it.object, "/endpoints").iter();
            let ready = ready.filter(|it| it.at("/conditions/ready").and_then(Value::as_bool) != Some(false));
            (of == &*service.id.name).then(|| (it, count(ready.count())))
        } else if it.group_kind().is("", "Endpoints") && it.id.name == service.id.name {
            let subsets = items(&it.object, "/subsets").iter();
            Some((it, count(subsets.map(|subset| items(subset, "/addresses").len()).sum())))
        } else {
            None
        }
    })
    .collect()
}

/// Endpoints of a ServiceEntry.
fn of_entry<'s>(
    model: &Model<'s, '_>,
    entry: &'s Manifest,
    labels: Option<&Map<String, Value>>,
) -> Vec<ClusterEndpoints<'s>> {
    let mut found = Vec::new();
    let object = &entry.object;
    let has = |own: Option<&Value>| {
        labels.is_none_or(|labels| labels.iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value)))
    };
    if let Some(selector) = object.at("/spec/workloadSelector/labels").and_then(Value::as_object) {
        let mut both = selector.clone();
        both.extend(labels.cloned().unwrap_or_default());
        let pods = model.pod_index.with(&model.pods, &both).into_iter().filter_map(|at| model.pods.get(at));
        for pod in pods.filter(|pod| pod.namespace == namespace(entry)) {
            if let Some(target) = &pod.target {
                add(&mut found, target.clone(), replicas(pod.manifest), pod.manifest);
            }
        }
        let machines = model.state.manifests_of(&Target::Mesh);
        let machines = machines.filter(|it| it.group_kind().is(ISTIO_NETWORKING, "WorkloadEntry"));
        for machine in machines.filter(|it| namespace(it) == namespace(entry)) {
            let own = |key: &String| {
                let metadata = machine.object.at("/metadata/labels").and_then(|it| it.get(key));
                metadata.or_else(|| machine.object.at("/spec/labels").and_then(|it| it.get(key)))
            };
            if both.iter().all(|(key, value)| own(key) == Some(value)) {
                add(&mut found, Target::Mesh, 1, machine);
            }
        }
        return found;
    }
    let endpoints = items(object, "/spec/endpoints");
    let dns = matches!(text(object, "/spec/resolution"), "DNS" | "DNS_ROUND_ROBIN" | "DYNAMIC_DNS");
    if endpoints.is_empty() && dns && labels.is_none_or(Map::is_empty) {
        add(&mut found, Target::Mesh, 1, entry);
    }
    let own = endpoints.iter().filter(|it| has(it.get("labels"))).count();
    add(&mut found, Target::Mesh, u32::try_from(own).unwrap_or(u32::MAX), entry);
    found
}

/// Hosts whose endpoints never leave their cluster, by istiod's default.
fn is_local(host: &str) -> bool {
    host.ends_with(".kube-system.svc.cluster.local") || host == "kubernetes.default.svc.cluster.local"
}
