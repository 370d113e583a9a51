//! What no table has: Gateways that select no pods, routes that are bound to nothing, load balancers without pods.

use super::front::fault;
use super::{Builder, on};
use crate::fleet::{FleetState, Manifest, Target};
use crate::graph::findings::On;
use crate::graph::model::{Kind, Node, Place, Role, State};
use crate::istio::{VirtualService, gateway_name};
use crate::lint::Finding;
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use crate::route;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

impl Builder {
    pub(super) fn apart(&mut self, state: &FleetState, findings: &[Finding]) {
        let of_kind = |kind: &'static str| {
            state.manifests_of(&Target::Mesh).filter(move |it| it.group_kind().is(ISTIO_NETWORKING, kind))
        };
        let mut gateways: HashMap<(&str, &str), Vec<Arc<str>>> = HashMap::new();
        for manifest in of_kind("Gateway") {
            let servers = self.servers(manifest);
            gateways.insert((space(manifest), &*manifest.id.name), servers);
        }
        for manifest in of_kind("VirtualService") {
            self.bindings(manifest, &gateways);
        }
        for manifest in of_kind("Gateway").chain(of_kind("VirtualService")) {
            self.refusal(manifest);
        }
        self.balancers(state, findings);
    }

    /// What istiod does not accept is in no table.
    fn refusal(&mut self, manifest: &Manifest) {
        let Some(reason) = self.refused.get(&manifest.id).cloned() else { return };
        let id = format!("vs/{}/{}", space(manifest), manifest.id.name);
        let servers = format!("server/{}/{}/", space(manifest), manifest.id.name);
        let is_route = manifest.group_kind().is(ISTIO_NETWORKING, "VirtualService");
        let of = |node: &&mut Node| if is_route { *node.id == *id } else { node.id.starts_with(&servers) };
        for node in self.nodes.iter_mut().filter(of) {
            node.state = State::Broken;
            node.notes.push(fault(&format!("istiod does not accept it: {reason}")));
        }
    }

    /// The servers of a Gateway; those that no pods have are made.
    fn servers(&mut self, manifest: &Manifest) -> Vec<Arc<str>> {
        let count = manifest.object.at("/spec/servers").and_then(Value::as_array).map_or(0, Vec::len);
        (0..count)
            .map(|index| {
                let place = route::Place { manifest, pointer: format!("/spec/servers/{index}") };
                let is_new = !self.has(&super::front::server_id(manifest, &place.pointer));
                let id = self.server(&place);
                if is_new && let Some(node) = self.get(&id) {
                    node.state = State::Idle;
                }
                id
            })
            .collect()
    }

    /// The Gateways that a VirtualService names. Where no table has a route of it, the link is there all the same: lint
    /// says why it leads nowhere.
    fn bindings(&mut self, manifest: &Manifest, gateways: &HashMap<(&str, &str), Vec<Arc<str>>>) {
        let own = space(manifest);
        for (index, name) in VirtualService::read(&manifest.object).gateways.iter().enumerate() {
            let Some((other, short)) = gateway_name(name, own) else { continue };
            let id = format!("vs/{own}/{}", manifest.id.name);
            let servers = gateways.get(&(other, short));
            let bound = servers.is_some_and(|servers| {
                servers
                    .iter()
                    .any(|server| self.edge_at.contains_key(&(server.clone(), id.as_str().into(), Role::Request)))
            });
            if bound {
                continue;
            }
            let from = match servers.and_then(|servers| servers.first()) {
                Some(server) => server.clone(),
                None => self.missing(other, short, servers.is_some()),
            };
            let is_new = !self.has(&id);
            let id = self.virtual_service(manifest);
            if is_new && let Some(node) = self.get(&id) {
                node.state = State::Idle;
            }
            let pointer = format!("/spec/gateways/{index}");
            let edge = self.edge(&from, &id, Role::Request);
            edge.state = edge.state.max(State::Idle);
            edge.place = Some(Place::of(manifest, &pointer));
            edge.reason = "spec.gateways names the Gateway".to_owned();
            self.anchors.add(&manifest.id, None, &pointer, On::Edge(from, id, Role::Request));
        }
    }

    /// A Gateway that is named and not there, or that has no server.
    fn missing(&mut self, space: &str, name: &str, exists: bool) -> Arc<str> {
        let (node, is_new) = self.node(Kind::Server, format!("server/{space}/{name}"), || format!("{space}/{name}"));
        if is_new {
            node.namespace = Some(space.into());
            node.state = State::Broken;
            node.details.push(if exists { "has no server" } else { "is in no file" }.to_owned());
        }
        node.id.clone()
    }

    /// Services with a load balancer that are meant for a gateway and select none of its pods.
    fn balancers(&mut self, state: &FleetState, findings: &[Finding]) {
        for finding in findings.iter().filter(|finding| finding.rule == "load-balancer-selector") {
            let Some(object) = finding.place.object.as_ref().filter(|object| !self.anchors.has(object)) else {
                continue;
            };
            for target in &finding.targets {
                let found = state.manifests_of(target).find(|manifest| manifest.id == *object);
                found.into_iter().for_each(|manifest| self.balancer_alone(manifest, target));
            }
        }
    }

    fn balancer_alone(&mut self, manifest: &Manifest, target: &Target) {
        let key = (target.name().to_owned(), space(manifest).to_owned(), manifest.id.name.to_string());
        let known = self.balancers.get(&key).cloned();
        let product = known.as_ref().map_or("CLB", |known| known.product);
        let (space, name) = (space(manifest), &manifest.id.name);
        let id = format!("lb/{}/{space}/{name}", target.name());
        let (node, _) = self.node(Kind::LoadBalancer, id, || product.to_owned());
        let balancer = node.id.clone();
        node.cluster = super::in_cluster(target);
        node.namespace = Some(space.into());
        node.place = Some(Place::of(manifest, ""));
        if let Some(known) = known {
            node.details = std::iter::once(known.network).chain(known.spec).collect();
        }
        let (node, _) =
            self.node(Kind::Service, format!("svc/{}/{space}/{name}", target.name()), || format!("{space}/{name}"));
        let service = node.id.clone();
        node.cluster = super::in_cluster(target);
        node.namespace = Some(space.into());
        node.place = Some(Place::of(manifest, "/spec/selector"));
        let ports = manifest.object.at("/spec/ports").and_then(Value::as_array).into_iter().flatten();
        let ports: Vec<String> = ports.filter_map(|port| port.get("port")).map(|port| format!(":{port}")).collect();
        node.details.extend((!ports.is_empty()).then(|| ports.join(" ")));
        self.edge(&balancer, &service, Role::Request);
        self.anchors.add(&manifest.id, Some(target), "/spec/selector", on(&service));
        self.anchors.add(&manifest.id, Some(target), "/metadata/namespace", on(&service));
        self.anchors.add(&manifest.id, Some(target), "", on(&balancer));
    }
}

fn space(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}
