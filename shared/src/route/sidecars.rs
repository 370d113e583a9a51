//! The rules for requests between workloads, for pictures: those of VirtualServices that are bound to `mesh`, which they all
//! are that name no Gateway; whoever calls. What the sidecar of one workload does is a table of its own (`outbound`).

use super::chain;
use super::compiled::{Core, TcpRoute};
use super::destination::Resolver;
use super::front::Front;
use super::model::{Model, VirtualService, items, texts};
use super::outbound::MESH;
use super::rules::{self, At};
use super::table::Options;
use super::view::{RouteView, routes_of, tcp_view};
use crate::fleet::{FleetState, Manifest};
use serde_json::Value;
use std::collections::BTreeMap;

/// Rules for requests between workloads.
#[derive(Debug)]
pub struct Sidecars<'s> {
    core: Core<'s>,
    services: Vec<Bound<'s>>,
}

/// A VirtualService of them.
#[derive(Debug)]
struct Bound<'s> {
    manifest: &'s Manifest,
    hosts: Vec<String>,
    /// In `Core::routes`: from, to.
    routes: (usize, usize),
    connections: Vec<TcpRoute<'s>>,
}

/// A VirtualService that sidecars have.
#[derive(Debug)]
pub struct SidecarView<'a> {
    /// It.
    pub virtual_service: &'a Manifest,
    /// The hosts that it is for, by their full names.
    pub hosts: &'a [String],
    /// Its routes: one per match of a rule, whoever calls.
    pub routes: Vec<RouteView<'a>>,
}

/// The rules of all VirtualServices that are bound to `mesh`, as workloads of their own namespace see them.
pub fn sidecars<'s>(state: &'s FleetState, options: &Options) -> Sidecars<'s> {
    let model = Model::of(state, options);
    let mut found = Sidecars { core: Core::default(), services: Vec::new() };
    for route in &model.routes {
        let mut gateways = texts(&route.manifest.object, "/spec/gateways").peekable();
        if gateways.peek().is_some() && !gateways.any(|name| name == MESH) {
            continue;
        }
        // Of the caller nothing is known but its namespace.
        model.resolved.borrow_mut().clear();
        let front = caller(route.namespace);
        let port = called_port(&model, route);
        let at = At { model: &model, front: &front, cluster: None, gateway: MESH, port, tls: false, of_sidecars: true };
        let from = found.core.routes.len();
        // Rules that none of them meets make no routes.
        let _ = rules::compile(&mut found.core, &at, route);
        let resolver = Resolver { model: &model, front: &front, cluster: None, namespace: route.namespace, port };
        let connections = ["tls", "tcp"].into_iter().flat_map(|kind| connections(&resolver, route, kind));
        found.services.push(Bound {
            manifest: route.manifest,
            hosts: route.hosts.clone(),
            routes: (from, found.core.routes.len()),
            connections: connections.collect(),
        });
    }
    found
}

fn caller<'s>(namespace: &str) -> Front<'s> {
    Front {
        name: MESH.to_owned(),
        namespace: namespace.to_owned(),
        labels: BTreeMap::new(),
        manifest: None,
        serverless: false,
        clusters: Vec::new(),
        addresses: Vec::new(),
        unprivileged: false,
        doors: Vec::new(),
        sidecar: true,
    }
}

/// A destination without a port is called on the port that the client called: the first of the host.
fn called_port(model: &Model<'_, '_>, route: &VirtualService<'_>) -> u16 {
    let known = route.hosts.iter().find_map(|host| model.services.visible(host, route.namespace));
    known.and_then(|service| service.ports.first()).map_or(80, |port| port.number)
}

/// Rules for TLS that is passed through, and for TCP.
fn connections<'s>(resolver: &Resolver<'_, 's, '_>, route: &VirtualService<'s>, kind: &str) -> Vec<TcpRoute<'s>> {
    let is_meant = |rule: &Value| {
        let all = rule.get("match").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |entry: &Value| {
            let named = items(entry, "/gateways");
            named.is_empty() || named.iter().any(|name| name == MESH)
        };
        all.is_empty() || all.iter().any(named)
    };
    let pointer = format!("/spec/{kind}");
    let rules = items(&route.manifest.object, &pointer).iter().enumerate().filter(|(_, rule)| is_meant(rule));
    rules
        .map(|(index, rule)| {
            let pointer = format!("{pointer}/{index}");
            chain::by_rule(resolver, route, 0, rule, &pointer, None)
        })
        .collect()
}

impl Sidecars<'_> {
    /// The VirtualServices, oldest first.
    pub fn services(&self) -> impl Iterator<Item = SidecarView<'_>> {
        self.services.iter().map(|bound| {
            let mut routes = routes_of(&self.core, bound.routes);
            routes.extend(bound.connections.iter().map(tcp_view));
            SidecarView { virtual_service: bound.manifest, hosts: &bound.hosts, routes }
        })
    }
}
