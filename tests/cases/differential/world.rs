//! Made-up meshes: gateways, routes, services and workloads whose names meet often enough to matter.

use super::{
    gateways::gateways,
    judged::{Case, Question},
    requests::requests,
    routes::{between_workloads, virtual_services},
};
use asm_shared::yaml::write_all;
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const CLUSTERS: [&str; 2] = ["m1c1", "m1c2"];
pub(super) const NAMESPACES: [&str; 3] = ["default", "shop", "istio-system"];
/// Names of Services, and of workloads.
pub(super) const SERVICES: [&str; 4] = ["cart", "pay", "web", "stock"];
/// Hosts of Gateways and VirtualServices. A case has a few of them, so that they meet.
const HOSTS: [&str; 12] = [
    "*",
    "*.example.com",
    "a.example.com",
    "b.example.com",
    "*.a.example.com",
    "x.a.example.com",
    "shop.test",
    "*.test",
    "*.shop.test",
    "A.Example.com",
    "web.shop.svc.cluster.local",
    "api.example.com",
];

/// A mesh as objects, and what is asked of it.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    /// Objects of the mesh.
    pub(super) mesh: Vec<Value>,
    /// Objects of the member clusters, in the order of [`CLUSTERS`].
    pub(super) clusters: [Vec<Value>; 2],
    /// Regions of the clusters; empty where the fleet says none.
    pub(super) regions: [&'static str; 2],
    /// Are Services without pods taken as having none?
    pub(super) real: bool,
    /// What is asked.
    pub(super) requests: Vec<Question>,
}

impl World {
    /// The same as text.
    pub(super) fn case(&self) -> Case {
        let clusters = CLUSTERS.iter().zip(&self.clusters);
        Case {
            about: String::new(),
            yaml: write_all(&self.mesh),
            clusters: clusters.map(|(name, objects)| ((*name).to_owned(), write_all(objects))).collect(),
            regions: CLUSTERS
                .iter()
                .zip(self.regions)
                .filter(|(_, region)| !region.is_empty())
                .map(|(name, region)| ((*name).to_owned(), region.to_owned()))
                .collect(),
            endpoints: if self.real { "real" } else { "auto" }.to_owned(),
            requests: self.requests.clone(),
        }
    }
}

/// What a case is made with.
pub(super) struct Maker {
    pub(super) rng: Rng,
    /// The hosts of this case.
    pub(super) hosts: Vec<&'static str>,
    /// Name, namespace and ports of the Services that there are.
    pub(super) services: Vec<(&'static str, &'static str, Vec<u64>)>,
    /// The gateways that are asked: namespace and labels of their pods, and whether a Deployment makes them.
    pub(super) pods: Vec<GatewayPod>,
    /// Workloads whose sidecars are asked as well.
    pub(super) callers: Vec<GatewayPod>,
}

/// A gateway that is asked.
#[derive(Clone)]
pub(super) struct GatewayPod {
    pub(super) namespace: &'static str,
    pub(super) labels: BTreeMap<String, String>,
}

impl Maker {
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    pub(super) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.rng.usize(0..of.len())]
    }

    pub(super) fn host(&mut self) -> &'static str {
        let index = self.rng.usize(0..self.hosts.len());
        self.hosts[index]
    }

    /// Some of them, without repetition, in any order.
    pub(super) fn some<T: Clone>(&mut self, of: &[T], at_most: usize) -> Vec<T> {
        let mut all = of.to_vec();
        self.rng.shuffle(&mut all);
        all.truncate(self.rng.usize(1..=at_most.min(of.len())));
        all
    }

    pub(super) fn namespace(&mut self) -> &'static str {
        self.one(&NAMESPACES)
    }

    /// Name, namespace and age. Few ages, so that names decide now and then.
    pub(super) fn metadata(&mut self, name: &str, namespace: &str) -> Value {
        let day = self.rng.u32(1..6);
        json!({"name": name, "namespace": namespace, "creationTimestamp": format!("2024-01-0{day}T00:00:00Z")})
    }

    /// A name that no object of the kind has in the namespace yet; the same names in all namespaces, so that the namespace
    /// decides now and then.
    pub(super) fn name(&mut self, world: &World, kind: &str, namespace: &str) -> String {
        let known = |name: &str| {
            let mut of_kind = world.mesh.iter().filter(|object| object["kind"] == kind);
            of_kind.any(|object| object["metadata"]["name"] == name && object["metadata"]["namespace"] == namespace)
        };
        let mut name = self.one::<str>(&["alpha", "beta", "gamma"]).to_owned();
        while known(&name) {
            name.push_str("-more");
        }
        name
    }

    /// `exportTo`, when there is one.
    pub(super) fn export(&mut self, spec: &mut Value) {
        if self.chance(15) {
            let to = self.one::<str>(&[".", "*", "shop", "istio-system"]);
            spec["exportTo"] = json!([to]);
        }
    }
}

/// A case of `count` requests.
pub(super) fn world(seed: u64, count: usize) -> World {
    let mut maker = Maker {
        rng: Rng::with_seed(seed),
        hosts: Vec::new(),
        services: Vec::new(),
        pods: Vec::new(),
        callers: Vec::new(),
    };
    maker.hosts = maker.some(&HOSTS, 4);
    let mut world = World { real: maker.chance(30), ..World::default() };
    if maker.chance(60) {
        world.regions = *maker.one(&[&["north", "south"], &["north", "north"], &["south", "north"], &["north", ""]]);
    }
    let has_callers = maker.chance(50);
    workloads(&mut maker, &mut world, has_callers);
    gateway_pods(&mut maker, &mut world);
    if has_callers {
        callers(&mut maker, &mut world);
    }
    gateways(&mut maker, &mut world);
    virtual_services(&mut maker, &mut world);
    if has_callers {
        between_workloads(&mut maker, &mut world);
    }
    destination_rules(&mut maker, &mut world);
    if maker.chance(50) {
        world.mesh.push(service_entry(&mut maker));
    }
    world.requests = requests(&mut maker, &world, count);
    world
}

/// Services and their pods, in one cluster or both. The sidecar of a caller goes to a headless Service by the address that DNS
/// gives, which the judge does not have.
fn workloads(maker: &mut Maker, world: &mut World, has_callers: bool) {
    for name in SERVICES {
        for namespace in ["default", "shop"] {
            if maker.chance(15) {
                continue;
            }
            let ports = service_ports(maker);
            let numbers = ports.as_array().into_iter().flatten().filter_map(|port| port["port"].as_u64());
            maker.services.push((name, namespace, numbers.collect()));
            let headless = maker.chance(5) && !has_callers;
            let mut metadata = json!({"name": name, "namespace": namespace});
            // The same in both clusters: istiod takes the cluster that it hears of first.
            if maker.chance(10) {
                metadata["annotations"] =
                    json!({"networking.istio.io/exportTo": maker.one::<str>(&[".", "*", "shop"])});
            }
            for objects in &mut world.clusters {
                if maker.chance(20) {
                    continue;
                }
                let mut spec = json!({"selector": {"app": name}, "ports": ports});
                if headless {
                    spec["clusterIP"] = json!("None");
                }
                objects.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}));
                for version in ["v1", "v2", "v3"] {
                    if maker.chance(50) {
                        let replicas = maker.rng.u32(0..4);
                        let labels = json!({"app": name, "version": version});
                        objects.push(deployment(&format!("{name}-{version}"), namespace, &labels, replicas));
                    }
                }
            }
        }
    }
}

/// Workloads that call others, in one cluster each.
fn callers(maker: &mut Maker, world: &mut World) {
    for (namespace, tier) in maker.some(&[("default", "front"), ("shop", "front"), ("shop", "back")], 2) {
        let labels = json!({"app": "caller", "tier": tier});
        let cluster = maker.rng.usize(0..2);
        world.clusters[cluster].push(deployment(&format!("caller-{tier}"), namespace, &labels, 1));
        let labels = [("app", "caller"), ("tier", tier)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        maker.callers.push(GatewayPod { namespace, labels });
    }
}

fn service_ports(maker: &mut Maker) -> Value {
    let web = json!({"name": "http", "port": 80, "targetPort": 8080});
    let other = json!({"name": "http-other", "port": 9080});
    let data = json!({"name": "tcp-data", "port": 3306});
    match maker.rng.u32(0..4) {
        0 => json!([web, other]),
        1 => json!([web, data]),
        2 => json!([other]),
        _ => json!([web]),
    }
}

fn deployment(name: &str, namespace: &str, labels: &Value, replicas: u32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": "app"}]}}}})
}

/// One or two gateways: pods with a Service in front, or known by their labels alone.
fn gateway_pods(maker: &mut Maker, world: &mut World) {
    let all = [
        ("istio-system", json!({"app": "ingress", "istio": "ingressgateway"})),
        ("shop", json!({"app": "edge", "istio": "ingressgateway", "tier": "edge"})),
        ("default", json!({"app": "inner", "istio": "ingressgateway"})),
    ];
    for (namespace, labels) in maker.some(&all, 2) {
        let name = labels["app"].as_str().unwrap_or_default().to_owned();
        if maker.chance(60) {
            let cluster = maker.rng.usize(0..2);
            let objects = &mut world.clusters[cluster];
            objects.push(deployment(&name, namespace, &labels, 1));
            let mut ports = vec![
                json!({"name": "http", "port": 80, "targetPort": if maker.chance(50) { 8080 } else { 80 }}),
                json!({"name": "https", "port": 443, "targetPort": if maker.chance(50) { 8443 } else { 443 }}),
            ];
            if maker.chance(50) {
                ports.push(json!({"name": "more", "port": 9000}));
            }
            objects.push(
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
                "spec": {"type": "LoadBalancer", "selector": labels, "ports": ports}}),
            );
        }
        let labels = labels.as_object().into_iter().flatten();
        let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        maker.pods.push(GatewayPod { namespace, labels });
    }
}

fn destination_rules(maker: &mut Maker, world: &mut World) {
    for _ in 0..maker.rng.usize(1..7) {
        let (service, of) = (maker.one(&SERVICES), maker.one::<str>(&["default", "shop"]));
        let namespace = if maker.chance(60) { of } else { maker.namespace() };
        let host = match maker.rng.u32(0..6) {
            0 => service.to_owned(),
            1 => format!("*.{of}.svc.cluster.local"),
            2 => "*.cluster.local".to_owned(),
            _ => format!("{service}.{of}.svc.cluster.local"),
        };
        let versions = maker.some(&["v1", "v2", "v3", "v9"], 3);
        let subsets: Vec<Value> =
            versions.iter().map(|version| json!({"name": version, "labels": {"version": version}})).collect();
        let mut spec = json!({"host": host});
        if maker.chance(90) {
            spec["subsets"] = json!(subsets);
        }
        if maker.chance(20) {
            spec["trafficPolicy"] = json!({"loadBalancer": {"simple": "ROUND_ROBIN"}});
        } else if maker.chance(35) {
            spec["trafficPolicy"] = by_locality(maker);
        }
        maker.export(&mut spec);
        let name = maker.name(world, "DestinationRule", namespace);
        let metadata = maker.metadata(&name, namespace);
        world
            .mesh
            .push(json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata,
            "spec": spec}));
    }
}

/// Where requests go by the region that they come from.
fn by_locality(maker: &mut Maker) -> Value {
    let setting = match maker.rng.u32(0..7) {
        0 => json!({"enabled": false}),
        1 => json!({"distribute": [{"from": "north", "to": {"north": 80, "south": 20}}]}),
        2 => {
            json!({"distribute": [{"from": "north", "to": {"south": 100}}, {"from": "south/*", "to": {"north/*": 100}}]})
        }
        3 => json!({"failover": [{"from": "north", "to": "south"}]}),
        4 => json!({"failoverPriority": ["topology.istio.io/cluster"]}),
        5 => json!({"failoverPriority": ["topology.kubernetes.io/region", "version=v1"]}),
        _ => Value::Null,
    };
    let mut policy = json!({});
    if !setting.is_null() {
        policy["loadBalancer"] = json!({"simple": "ROUND_ROBIN", "localityLbSetting": setting});
    }
    if maker.chance(75) {
        policy["outlierDetection"] = json!({"consecutive5xxErrors": 5});
    }
    policy
}

fn service_entry(maker: &mut Maker) -> Value {
    let resolution = maker.one::<str>(&["STATIC", "DNS"]);
    let mut spec = json!({"hosts": ["outside.test"], "location": "MESH_EXTERNAL", "resolution": resolution,
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]});
    if resolution == "STATIC" || maker.chance(50) {
        spec["endpoints"] = json!([{"address": "192.0.2.1"}]);
    }
    maker.export(&mut spec);
    let namespace = maker.namespace();
    let metadata = maker.metadata("outside", namespace);
    json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": spec})
}
