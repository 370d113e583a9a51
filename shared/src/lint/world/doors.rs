//! Doors: what one port of a gateway's pods answers, by host. Plain HTTP servers of all Gateways on the same pods and port
//! are one door, because istiod joins them; a server that ends TLS is a door of its own.

use super::{GatewayView, RouteView, World, namespace, scope};
use crate::istio::{self, Server, narrower};
use std::collections::{BTreeMap, HashMap};

/// One door.
#[derive(Debug)]
pub(in crate::lint) struct Door {
    /// Its port.
    pub(in crate::lint) port: u16,
    /// The servers that open it: Gateway (index into `World::gateways`) and server.
    pub(in crate::lint) servers: Vec<(usize, usize)>,
    /// The VirtualServices by the host name they answer to here, in lower case.
    pub(in crate::lint) domains: BTreeMap<String, Vec<Bound>>,
}

/// A VirtualService behind a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lint) struct Bound {
    /// Index into `World::routes`.
    pub(in crate::lint) route: usize,
    /// Which of its hosts.
    pub(in crate::lint) host: usize,
    /// The Gateway it is bound by.
    pub(in crate::lint) gateway: usize,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Pods(usize, u16),
    Gateway(usize, u16),
    Server(usize, usize),
}

/// All doors behind which HTTP rules apply.
pub(in crate::lint) fn doors(world: &World<'_>) -> Vec<Door> {
    let routes = routes_of(world);
    let mut doors: BTreeMap<Key, Door> = BTreeMap::new();
    for (index, gateway) in world.gateways().iter().enumerate() {
        for (number, server) in gateway.gateway.servers.iter().enumerate() {
            let Some(port) = server.port else { continue };
            let bound = bound(world, index, server, routes.get(&index).map(Vec::as_slice).unwrap_or_default());
            for key in keys(world, index, gateway, number, server, port) {
                let new = || Door { port, servers: Vec::new(), domains: BTreeMap::new() };
                let door = doors.entry(key).or_insert_with(new);
                door.servers.push((index, number));
                for (domain, bound) in &bound {
                    let known = door.domains.entry(domain.clone()).or_default();
                    if !known.iter().any(|known| known.route == bound.route) {
                        known.push(*bound);
                    }
                }
            }
        }
    }
    doors.into_values().collect()
}

/// Is it a server that HTTP rules apply to?
pub(in crate::lint) fn is_http(server: &Server) -> bool {
    matches!(server.protocol.as_str(), "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB")
}

fn keys(
    world: &World<'_>,
    index: usize,
    gateway: &GatewayView<'_>,
    number: usize,
    server: &Server,
    port: u16,
) -> Vec<Key> {
    if server.terminates_tls() && server.tls_mode.as_deref().is_some_and(|mode| mode != "PASSTHROUGH") {
        return vec![Key::Server(index, number)];
    }
    // A server that redirects answers by itself.
    if !is_http(server) || server.redirects_to_https {
        return Vec::new();
    }
    let pods = gateway.pods.iter().filter_map(|pod| world.pods().get(*pod));
    // The clusters of one gateway are alike: what makes the pods stands for them.
    let mut makers: Vec<usize> = pods.map(|pod| std::ptr::from_ref(&*pod.manifest.document).addr()).collect();
    makers.sort_unstable();
    makers.dedup();
    if makers.is_empty() {
        return vec![Key::Gateway(index, port)];
    }
    makers.into_iter().map(|maker| Key::Pods(maker, port)).collect()
}

/// The VirtualServices of each Gateway, left out those that its pods do not see.
fn routes_of(world: &World<'_>) -> HashMap<usize, Vec<usize>> {
    let numbers: HashMap<_, usize> =
        world.gateways().iter().enumerate().map(|(index, view)| (view.key(), index)).collect();
    let mut found: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, route) in world.routes().iter().enumerate() {
        for (_, gateway) in world.gateways_of(route) {
            if let Some(number) = numbers.get(&gateway.key()).filter(|_| is_seen(world, route, gateway)) {
                found.entry(*number).or_default().push(index);
            }
        }
    }
    found
}

/// Is the VirtualService exported to the pods of the Gateway?
fn is_seen(world: &World<'_>, route: &RouteView<'_>, gateway: &GatewayView<'_>) -> bool {
    let scope = scope(route.manifest);
    let mut pods = gateway.pods.iter().filter_map(|pod| world.pods().get(*pod)).peekable();
    pods.peek().is_none() || pods.any(|pod| scope.has(pod.namespace))
}

/// What the VirtualServices answer to at a server: for each pair of hosts that meet, the narrower one.
fn bound(world: &World<'_>, gateway: usize, server: &Server, routes: &[usize]) -> Vec<(String, Bound)> {
    let Some(view) = world.gateways().get(gateway) else { return Vec::new() };
    let (home, _) = view.key();
    let hosts: Vec<(Option<&str>, String)> = server.hosts.iter().map(|host| server_host(host, home)).collect();
    let mut exact: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut wide = Vec::new();
    for (index, (_, host)) in hosts.iter().enumerate() {
        if host.starts_with('*') { wide.push(index) } else { exact.entry(host).or_default().push(index) }
    }
    let mut found = Vec::new();
    for route in routes {
        let Some(view) = world.routes().get(*route) else { continue };
        for (number, host) in view.route.hosts.iter().enumerate() {
            let host = host.to_lowercase();
            let all: Vec<usize> = if host.starts_with('*') {
                (0..hosts.len()).collect()
            } else {
                exact.get(host.as_str()).into_iter().flatten().chain(&wide).copied().collect()
            };
            for (space, accepted) in all.iter().filter_map(|index| hosts.get(*index)) {
                if space.is_some_and(|space| space != namespace(view.manifest)) {
                    continue;
                }
                if let Some(narrow) = narrower(accepted, &host) {
                    found.push((narrow.to_owned(), Bound { route: *route, host: number, gateway }));
                }
            }
        }
    }
    found
}

/// A host of a server: the namespace whose VirtualServices it takes (`None`: all), and the name in lower case.
pub(in crate::lint) fn server_host<'h>(host: &'h str, home: &'h str) -> (Option<&'h str>, String) {
    let (space, host) = istio::server_host(host, home);
    (space, host.to_lowercase())
}
