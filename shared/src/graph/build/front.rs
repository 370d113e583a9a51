//! From the hosts to the servers: load balancers, Services, pods.

use super::{Builder, in_cluster, on};
use crate::asm::gateway::{NAMESPACE, RESERVED_LABELS};
use crate::asm::overview;
use crate::fleet::{Manifest, Target};
use crate::graph::findings::On;
use crate::graph::model::{Kind, Note, Place, Role, State};
use crate::istio::Gateway;
use crate::lint::Severity;
use crate::object::At as _;
use crate::object::kinds::ASM;
use crate::route::{self, Door, DoorPort, Front, Listener, PortView, Table, ToView};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ports of the pods at which no Gateway is meant to have a server: health, statistics.
const OWN_PORTS: [u16; 3] = [15020, 15021, 15090];
/// Where findings about the load balancer of an IstioGateway stand.
const OF_BALANCER: [&str; 4] =
    ["/spec/serviceAnnotations", "/spec/serviceType", "/spec/loadBalancerClass", "/spec/externalTrafficPolicy"];

/// The pods of a gateway in one cluster.
type Pods = (Target, Arc<str>);

impl Builder {
    /// A gateway, and everything behind it.
    pub(super) fn front(&mut self, table: &Table<'_>) {
        let front = table.front();
        let pods: Vec<Pods> = front.clusters.iter().map(|target| (target.clone(), self.pods(front, target))).collect();
        for door in &front.doors {
            for port in door.ports.iter().filter(|port| !port.target.is_some_and(|port| OWN_PORTS.contains(&port))) {
                self.door(door, port, &pods);
            }
        }
        for view in table.ports() {
            self.port(&view, &pods);
        }
        for (_, place, reason) in table.dropped() {
            self.left_out(place, reason, &pods);
        }
        for (_, id) in &pods {
            let beyond =
                table.beyond().iter().map(|it| format!("{} {} is not simulated", it.id.group_kind.kind, it.id.name));
            let beyond: Vec<String> = beyond.collect();
            self.get(id).into_iter().for_each(|node| node.details.extend(beyond.clone()));
        }
        for refusal in table.refused() {
            self.refused.entry(refusal.place.manifest.id.clone()).or_insert_with(|| refusal.reason.clone());
        }
    }

    fn pods(&mut self, front: &Front<'_>, target: &Target) -> Arc<str> {
        let id = format!("pods/{}/{}/{}", target.name(), front.namespace, front.name);
        let (node, is_new) = self.node(Kind::Pods, id, || format!("{}/{}", front.namespace, front.name));
        let id = node.id.clone();
        if !is_new {
            return id;
        }
        node.cluster = in_cluster(target);
        node.namespace = Some(front.namespace.as_str().into());
        if front.serverless {
            node.details.push("serverless".to_owned());
        }
        if let Some(manifest) = front.manifest {
            node.details.push(format!("×{}", replicas(manifest)));
            node.place = Some(Place::of(manifest, ""));
        }
        let own = |key: &str| RESERVED_LABELS.contains(&key) && front.manifest.is_some_and(is_istio_gateway);
        let labels = front.labels.iter().filter(|(key, _)| !own(key));
        node.details.extend(labels.map(|(key, value)| format!("{key}={value}")));
        if let Some(manifest) = front.manifest {
            let place = (!is_istio_gateway(manifest)).then_some(target);
            self.anchors.add(&manifest.id, place, "", on(&id));
        }
        id
    }

    /// A port of a Service, and the load balancer in front of it.
    fn door(&mut self, door: &Door<'_>, port: &DoorPort<'_>, pods: &[Pods]) {
        let service = self.service(door, port);
        let reason = "its selector has the labels of the pods";
        for (_, to) in pods.iter().filter(|(target, _)| *target == door.cluster) {
            let edge = self.edge(&service, to, Role::Request);
            // Where a port leads that no file names, or UDP, no server is known: 0 is none.
            edge.port = Some(port.target.filter(|_| port.protocol == "TCP").unwrap_or_default());
            edge.reason = reason.to_owned();
        }
        self.entrances.insert(service.clone(), service.clone());
        if door.kind == "LoadBalancer" {
            let balancer = self.balancer(door);
            self.entrances.insert(service.clone(), balancer.clone());
            let edge = self.edge(&balancer, &service, Role::Request);
            edge.reason = format!("listener {} {}", port.protocol, port.port);
        }
    }

    fn service(&mut self, door: &Door<'_>, port: &DoorPort<'_>) -> Arc<str> {
        let space = space(door);
        let (node, is_new) =
            self.node(Kind::Service, service_id(door, port.port), || format!("{space}/{}:{}", door.name, port.port));
        let id = node.id.clone();
        if is_new {
            node.cluster = in_cluster(&door.cluster);
            node.namespace = Some(space.into());
            node.place = Some(Place::of(door.manifest, &port.pointer));
            node.details.push(match port.target {
                Some(target) => format!("→ {target}"),
                None => "→ a port that no file names".to_owned(),
            });
            match port.listener {
                Listener::Tcp => {}
                Listener::Http => node.details.push("HTTP".to_owned()),
                Listener::Https => node.details.push("ends TLS".to_owned()),
                Listener::Redirect(to) => node.details.push(format!("redirects to https:{to}")),
            }
            if port.protocol != "TCP" {
                node.details.push(port.protocol.to_owned());
            }
            if door.kind != "LoadBalancer" {
                node.details.push(door.kind.to_owned());
            }
            if door.local {
                node.details.push("Local".to_owned());
            }
            let target = (!door.generated).then_some(&door.cluster);
            self.anchors.add(&door.manifest.id, target, &port.pointer, on(&id));
            if !door.generated {
                self.anchors.add(&door.manifest.id, target, "/spec/selector", on(&id));
            }
        }
        id
    }

    /// A load balancer: the one that the Service names, or its own.
    fn balancer(&mut self, door: &Door<'_>) -> Arc<str> {
        let space = space(door);
        let key = (door.cluster.name().to_owned(), space.to_owned(), door.name.clone());
        let known = self.balancers.get(&key).cloned();
        let product = known.as_ref().map_or("CLB", |known| known.product);
        let id = match door.load_balancer {
            Some(id) => format!("lb/{id}"),
            None => format!("lb/{}/{space}/{}", door.cluster.name(), door.name),
        };
        let (node, is_new) = self.node(Kind::LoadBalancer, id, || match door.load_balancer {
            Some(id) => format!("{product} {id}"),
            None => product.to_owned(),
        });
        let id = node.id.clone();
        if is_new {
            node.cluster = in_cluster(&door.cluster);
            node.namespace = Some(space.into());
            node.place = Some(Place::of(door.manifest, ""));
            node.details.extend(door.addresses.iter().cloned());
            if let Some(known) = known {
                node.details.push(known.network);
                node.details.extend(known.spec);
            }
        }
        if door.generated {
            for pointer in OF_BALANCER {
                self.anchors.add(&door.manifest.id, None, pointer, on(&id));
            }
        } else {
            self.anchors.add(&door.manifest.id, Some(&door.cluster), "", on(&id));
        }
        id
    }

    /// A port of the pods: its servers, its hosts, and what is behind them.
    fn port(&mut self, view: &PortView<'_>, pods: &[Pods]) {
        let mut hosts = hosts_of(view);
        for place in &view.servers {
            let key = (place.manifest.id.to_string(), place.pointer.clone());
            let bound = hosts.remove(&key).unwrap_or_default();
            let server = self.server(place);
            let is_idle = bound.is_empty();
            let bound = if is_idle { declared_hosts(place) } else { bound };
            if is_idle && let Some(node) = self.get(&server) {
                node.state = node.state.max(State::Idle);
            }
            self.open(view, place, &server, &bound, pods);
            for host in &bound {
                self.host(host, view);
            }
        }
        for chain in &view.chains {
            match &chain.to {
                ToView::Http(hosts) => hosts.iter().for_each(|host| self.virtual_host(host)),
                ToView::Tcp(routes) => self.tcp(chain, routes),
            }
        }
    }

    /// A server that istiod leaves out.
    fn left_out(&mut self, place: &route::Place<'_>, reason: &str, pods: &[Pods]) {
        if !place.pointer.starts_with("/spec/servers/") {
            return;
        }
        let server = self.server(place);
        for (_, from) in pods {
            let edge = self.edge(from, &server, Role::Request);
            edge.state = State::Broken;
            edge.reason = "istiod leaves the server out".to_owned();
            edge.notes = vec![fault(reason)];
        }
    }

    /// Pods listen for a server.
    fn open(
        &mut self,
        view: &PortView<'_>,
        place: &route::Place<'_>,
        server: &Arc<str>,
        hosts: &BTreeSet<Arc<str>>,
        pods: &[Pods],
    ) {
        let refused = view.refused.map(fault);
        for (target, from) in pods.iter().filter(|(target, _)| view.clusters.contains(&target)) {
            let enters = view.entries.iter().any(|entry| entry.cluster == *target);
            let edge = self.edge(from, server, Role::Request);
            edge.port = Some(view.port);
            edge.hosts.extend(hosts.iter().cloned());
            if declared_port(place) != Some(view.port) {
                edge.label = format!("on {}", view.port);
            }
            edge.reason = "the selector of the Gateway has labels of the pods".to_owned();
            edge.place = Some(Place::of(place.manifest, "/spec/selector"));
            let closed =
                (!enters).then(|| fault(&format!("no Service in front of these pods leads to port {}", view.port)));
            if let Some(note) = refused.clone().or(closed) {
                edge.state = State::Broken;
                edge.notes = vec![note];
            }
            let on = On::Edge(from.clone(), server.clone(), Role::Request);
            for field in ["port", "tls/credentialName", "tls/credentialNames", "tls/tlsCertificates"] {
                self.anchors.add(&place.manifest.id, Some(target), &format!("{}/{field}", place.pointer), on.clone());
            }
        }
        if view.entries.is_empty() {
            let pointer = format!("{}/port", place.pointer);
            self.anchors.add(&place.manifest.id, None, &pointer, on(server));
            if let Some(node) = self.get(server) {
                node.state = State::Broken;
                node.notes.push(fault(&format!("no Service in front of the pods leads to port {}", view.port)));
                node.notes.dedup();
            }
        }
    }

    /// A host, and the ways in that lead to its port.
    fn host(&mut self, name: &Arc<str>, view: &PortView<'_>) {
        if view.entries.is_empty() {
            return;
        }
        let (node, _) = self.node(Kind::Host, format!("host/{name}"), || name.to_string());
        let host = node.id.clone();
        for entry in &view.entries {
            let space = entry.manifest.id.namespace.as_deref().filter(|_| !is_istio_gateway(entry.manifest));
            let space = space.unwrap_or(NAMESPACE);
            let service = format!("svc/{}/{space}/{}:{}", entry.cluster.name(), entry.service, entry.port);
            let Some(to) = self.entrances.get(service.as_str()).cloned() else { continue };
            self.edge(&host, &to, Role::Request).reason = "where DNS leads is not in the files".to_owned();
        }
    }

    /// A server of a Gateway.
    pub(super) fn server(&mut self, place: &route::Place<'_>) -> Arc<str> {
        let manifest = place.manifest;
        let space = manifest.id.namespace.as_deref().unwrap_or("default");
        let (node, is_new) =
            self.node(Kind::Server, server_id(manifest, &place.pointer), || format!("{space}/{}", manifest.id.name));
        let id = node.id.clone();
        if is_new {
            node.namespace = Some(space.into());
            node.place = Some(Place::of(manifest, &place.pointer));
            node.details = server_words(manifest, &place.pointer);
            self.anchors.add(&manifest.id, None, &place.pointer, on(&id));
            self.anchors.add(&manifest.id, None, "", on(&id));
        }
        id
    }
}

/// Hosts by the server that has them: its Gateway, its pointer.
fn hosts_of(view: &PortView<'_>) -> BTreeMap<(String, String), BTreeSet<Arc<str>>> {
    let mut hosts: BTreeMap<(String, String), BTreeSet<Arc<str>>> = BTreeMap::new();
    let mut add = |manifest: &Manifest, pointer: String, host: &str| {
        hosts.entry((manifest.id.to_string(), pointer)).or_default().insert(host.into());
    };
    for chain in &view.chains {
        match &chain.to {
            ToView::Http(virtual_hosts) => {
                for host in virtual_hosts {
                    for part in &host.parts {
                        add(part.server.manifest, part.server.pointer.clone(), host.domain);
                    }
                    if let Some(place) = host.https_only {
                        add(place.manifest, place.pointer.clone(), host.domain);
                    }
                }
            }
            ToView::Tcp(routes) if !routes.is_empty() => {
                let any = ["*".to_owned()];
                for name in if chain.names.is_empty() { &any[..] } else { chain.names } {
                    add(chain.server.manifest, chain.server.pointer.clone(), name);
                }
            }
            ToView::Tcp(_) => {}
        }
    }
    hosts
}

/// The port that a server names; its pods may listen on another one.
fn declared_port(place: &route::Place<'_>) -> Option<u16> {
    let number = place.manifest.object.at(&format!("{}/port/number", place.pointer)).and_then(Value::as_u64)?;
    u16::try_from(number).ok()
}

/// The hosts that a server is for, without the namespaces before them.
fn declared_hosts(place: &route::Place<'_>) -> BTreeSet<Arc<str>> {
    let hosts = place.manifest.object.at(&format!("{}/hosts", place.pointer)).and_then(Value::as_array);
    let names = hosts.into_iter().flatten().filter_map(Value::as_str);
    names.map(|host| host.rsplit_once('/').map_or(host, |(_, host)| host).to_lowercase().into()).collect()
}

fn service_id(door: &Door<'_>, port: u16) -> String {
    format!("svc/{}/{}/{}:{port}", door.cluster.name(), space(door), door.name)
}

/// The namespace of a Service; ASM makes its own where gateways are.
fn space<'d>(door: &Door<'d>) -> &'d str {
    let own = door.manifest.id.namespace.as_deref().filter(|_| !door.generated);
    own.unwrap_or(if door.generated { NAMESPACE } else { "default" })
}

fn is_istio_gateway(manifest: &Manifest) -> bool {
    manifest.group_kind().is(ASM, "IstioGateway")
}

/// How many pods there are, as the file says.
fn replicas(manifest: &Manifest) -> String {
    if is_istio_gateway(manifest) {
        return overview::replicas(&manifest.object);
    }
    manifest.object.at("/spec/replicas").and_then(Value::as_u64).unwrap_or(1).to_string()
}

/// The ID of a server: the name of its port, so that it is the same when another comes before it.
pub(super) fn server_id(manifest: &Manifest, pointer: &str) -> String {
    let name_of = |server: &Value| {
        let name = server.at("/port/name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let number = || server.at("/port/number").map(Value::to_string).unwrap_or_default();
        name.map_or_else(number, str::to_owned)
    };
    let servers = manifest.object.at("/spec/servers").and_then(Value::as_array);
    let servers = servers.map(Vec::as_slice).unwrap_or_default();
    let index: usize = pointer.rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    let name = servers.get(index).map(name_of).unwrap_or_default();
    let same = servers.iter().take(index).filter(|server| name_of(server) == name).count();
    let space = manifest.id.namespace.as_deref().unwrap_or("default");
    let nth = if same > 0 { format!("#{}", same + 1) } else { String::new() };
    format!("server/{space}/{}/{name}{nth}", manifest.id.name)
}

/// Protocol and port, TLS mode, certificate.
fn server_words(manifest: &Manifest, pointer: &str) -> Vec<String> {
    let index: usize = pointer.rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    let view = Gateway::read(&manifest.object);
    let Some(server) = view.servers.get(index) else { return Vec::new() };
    let port = server.port.map(|port| port.to_string()).unwrap_or_default();
    let mut words = vec![format!("{} {port}", server.protocol).trim().to_owned()];
    words.extend(server.tls_mode.clone());
    let certificate = manifest.object.at(&format!("{pointer}/tls/credentialName")).and_then(Value::as_str);
    words.extend(certificate.filter(|name| !name.is_empty()).map(|name| format!("certificate {name}")));
    if server.redirects_to_https {
        words.push("→ redirect to https".to_owned());
    }
    words
}

/// What the table says, where no rule of lint does.
pub(super) fn fault(message: &str) -> Note {
    Note { rule: None, severity: Severity::Error, breaks: true, message: message.to_owned(), hint: None }
}
