//! The gateways of a fleet with their doors, hosts and routes, as plain values: for a page that is kept open.
//!
//! It says what the route tables ([`crate::route`]) say and owns what it says, so that it outlives the commit's files.

use crate::fleet::{FleetState, Manifest, Position, Target};
use crate::object::ObjectId;
use crate::route::{ActionView, ChainView, Door, Front, Options, PartView, Table, ToView, compile_all, gateways};
use std::collections::{BTreeMap, BTreeSet};

/// Destinations of one VirtualService that are named; the rest is counted.
const DESTINATIONS: usize = 8;

/// The gateways of a fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// IstioGateways first, in the order of the files.
    pub gateways: Vec<Gateway>,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Name.
    pub name: String,
    /// Namespace of its pods.
    pub namespace: String,
    /// The IstioGateway or the workload, and on which target it is.
    pub object: Option<(Target, ObjectId)>,
    /// ASM runs its pods.
    pub serverless: bool,
    /// Where its pods run; `mesh` for a serverless gateway.
    pub clusters: Vec<String>,
    /// The Services in front of its pods.
    pub doors: Vec<GatewayDoor>,
    /// What it answers for, by name.
    pub hosts: Vec<Host>,
    /// Where it is written.
    pub position: Option<Position>,
}

/// A Service in front of a gateway's pods.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayDoor {
    /// Its cluster; `mesh` for a serverless gateway.
    pub cluster: String,
    /// The object that its address can be read from: the Service itself, or the IstioGateway that ASM makes it of.
    pub object: (Target, ObjectId),
    /// Name of the Service.
    pub service: String,
    /// `LoadBalancer`, `ClusterIP`, …
    pub kind: String,
    /// ASM makes it.
    pub generated: bool,
    /// `80 → 8080`.
    pub ports: Vec<String>,
    /// Addresses that the files fix.
    pub addresses: Vec<String>,
}

/// A virtual host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// `shop.example.com`, `*`.
    pub name: String,
    /// TLS ends at the gateway on some port.
    pub tls: bool,
    /// Plain HTTP is answered with a redirect to HTTPS.
    pub https_only: bool,
    /// VirtualServices with rules for it, in their order.
    pub routes: Vec<Route>,
}

/// The part of a VirtualService in a virtual host.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its routes: one per match of a rule.
    pub rules: usize,
    /// Where they lead: `reviews.default:9080@v1`, `redirect 301`.
    pub destinations: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// Where it is written.
    pub position: Position,
}

impl Topology {
    /// Reads it off the route tables of a fleet.
    pub fn of(state: &FleetState) -> Self {
        let fronts = gateways(state);
        let options = Options { same_age: true, ..Options::default() };
        let tables = compile_all(state, &fronts, &options);
        Self { gateways: fronts.iter().zip(&tables).map(|(front, table)| gateway(front, table)).collect() }
    }
}

fn gateway(front: &Front<'_>, table: &Table<'_>) -> Gateway {
    Gateway {
        name: front.name.clone(),
        namespace: front.namespace.clone(),
        object: front.manifest.map(|manifest| (manifest.target.clone(), manifest.id.clone())),
        serverless: front.serverless,
        clusters: front.clusters.iter().map(|target| target.name().to_owned()).collect(),
        doors: front.doors.iter().map(door).collect(),
        hosts: hosts(table),
        position: front.manifest.map(|manifest| manifest.position.clone()),
    }
}

fn door(door: &Door<'_>) -> GatewayDoor {
    let ports = door.ports.iter().map(|port| match port.target {
        Some(target) if target != port.port => format!("{} → {target}", port.port),
        _ => port.port.to_string(),
    });
    GatewayDoor {
        cluster: door.cluster.name().to_owned(),
        object: (door.manifest.target.clone(), door.manifest.id.clone()),
        service: door.name.clone(),
        kind: door.kind.to_owned(),
        generated: door.generated,
        ports: ports.collect(),
        addresses: door.addresses.clone(),
    }
}

/// The virtual hosts over all ports, each once.
fn hosts(table: &Table<'_>) -> Vec<Host> {
    let mut found: BTreeMap<String, Host> = BTreeMap::new();
    for port in table.ports() {
        for chain in &port.chains {
            add_chain(&mut found, chain);
        }
    }
    found.into_values().collect()
}

fn add_chain(found: &mut BTreeMap<String, Host>, chain: &ChainView<'_>) {
    match &chain.to {
        ToView::Http(hosts) => {
            for view in hosts {
                let host = entry(found, view.domain);
                host.tls |= chain.ends_tls;
                host.https_only |= view.https_only.is_some();
                for part in &view.parts {
                    add_route(host, part);
                }
            }
        }
        ToView::Tcp(routes) => {
            let any = ["*".to_owned()];
            let names = if chain.names.is_empty() { &any[..] } else { chain.names };
            for name in names {
                for route in routes {
                    let manifest = route.rule.virtual_service.manifest;
                    let host = entry(found, name);
                    push(host, manifest, 1, destinations(std::iter::once(&route.action)));
                }
            }
        }
    }
}

fn entry<'a>(found: &'a mut BTreeMap<String, Host>, name: &str) -> &'a mut Host {
    let host = || Host { name: name.to_owned(), tls: false, https_only: false, routes: Vec::new() };
    found.entry(name.to_owned()).or_insert_with(host)
}

fn add_route(host: &mut Host, part: &PartView<'_>) {
    let led = destinations(part.routes.iter().map(|route| &route.action));
    push(host, part.virtual_service, part.routes.len(), led);
}

fn push(host: &mut Host, manifest: &Manifest, rules: usize, all: BTreeSet<String>) {
    let namespace = manifest.id.namespace.as_deref().unwrap_or("default");
    // The same VirtualService on a second port says the same again.
    if host.routes.iter().any(|known| known.name == *manifest.id.name && known.namespace == namespace) {
        return;
    }
    host.routes.push(Route {
        name: manifest.id.name.to_string(),
        namespace: namespace.to_owned(),
        rules,
        more: all.len().saturating_sub(DESTINATIONS),
        destinations: all.into_iter().take(DESTINATIONS).collect(),
        position: manifest.position.clone(),
    });
}

fn destinations<'a>(actions: impl Iterator<Item = &'a ActionView<'a>>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for action in actions {
        match action {
            ActionView::Redirect { status, to } => {
                all.insert(format!("redirect {status} {to}").trim_end().to_owned());
            }
            ActionView::Direct { status } => {
                all.insert(format!("answer {status}"));
            }
            ActionView::Forward { destinations, .. } => all.extend(destinations.iter().map(|to| {
                let subset = to.subset.as_ref().map(|subset| format!("@{subset}")).unwrap_or_default();
                let host = to.host.strip_suffix(".svc.cluster.local").unwrap_or(&to.host);
                format!("{host}:{}{subset}", to.port)
            })),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::MemoryTree;

    const FLEET: &str = "\
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec: {mesh: {}, clusters: [{name: m1c1, id: c0123456789abcdef0123456789abcdef}]}
";
    const MESH: &str = "\
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: edge, namespace: istio-system}
spec: {clusterIds: [c0123456789abcdef0123456789abcdef], ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
    - match: [{uri: {prefix: /old}}]
      redirect: {uri: /new}
    - route: [{destination: {host: web, port: {number: 8080}}}]
";
    const APPS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 8080}]}
";

    #[test]
    fn a_gateway_has_its_doors_hosts_and_where_they_lead() {
        let mut tree = MemoryTree::default();
        for (path, text) in [("fleet.yaml", FLEET), ("mesh/edge.yaml", MESH), ("clusters/m1c1/web.yaml", APPS)] {
            tree.insert(path, text);
        }
        let state = FleetState::read(&tree);
        assert!(state.problems.is_empty(), "{:?}", state.problems);
        let topology = Topology::of(&state);
        let [edge] = topology.gateways.as_slice() else { panic!("{topology:#?}") };
        assert_eq!((edge.name.as_str(), edge.clusters.as_slice()), ("edge", ["m1c1".to_owned()].as_slice()));
        let door = &edge.doors[0];
        assert_eq!((door.service.as_str(), door.ports.as_slice()), ("istio-edge", ["80 → 8080".to_owned()].as_slice()));
        assert!(door.generated && door.object.0 == Target::Mesh);
        let host = &edge.hosts[0];
        assert_eq!((host.name.as_str(), host.tls), ("shop.example.com", false));
        let [route] = host.routes.as_slice() else { panic!("{host:#?}") };
        assert_eq!((route.name.as_str(), route.rules), ("shop", 2));
        assert_eq!(route.destinations, ["redirect 301 /new", "web.shop:8080"]);
        assert_eq!(route.position.to_string(), "mesh/edge.yaml:13:1");
    }
}
