//! The way of a connection: load balancer, Service, Gateways, port, server name.

use super::super::compiled::{Chain, ChainTo, Security, TcpRoute, Verdict, Way};
use super::super::front::Listener as Balancer;
use super::super::lookup;
use super::super::outcome::{Answer, Closed, Place};
use super::super::trace::Stage;
use super::{Walk, listed, name};
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use serde_json::Value;

impl<'a, 's> Walk<'a, 's> {
    /// Through a Service; without one, straight to the pods.
    pub(super) fn front(&mut self, way: Option<&'a Way<'s>>) -> bool {
        let front = &self.table.front;
        let port = self.request.port;
        let Some(way) = way else {
            if self.table.options.pod_ports || front.doors.is_empty() {
                self.pass(Stage::Front, format!("port {port} of the pods of {}", front.name), own(front.manifest));
                return true;
            }
            let mut ports: Vec<u16> = front.doors.iter().flat_map(|door| door.ports.iter().map(|it| it.port)).collect();
            ports.sort_unstable();
            ports.dedup();
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let open = if ports.is_empty() { "none at all".to_owned() } else { format!("only {}", listed(&ports)) };
            let text = format!("no Service in front of {} has port {port}; there is {open}", front.name);
            let places =
                front.doors.iter().map(|door| Place { manifest: door.manifest, pointer: "/spec/ports".to_owned() });
            let places = places.collect();
            return self.fail(
                Stage::Front,
                text,
                places,
                format!("Add port {port} to the Service, or ask one of its ports"),
            );
        };
        let entries = &way.entries;
        let each = entries.iter().map(|it| {
            if front.serverless && it.cluster == Target::Mesh {
                return format!("the load balancer that ASM makes for {}", front.name);
            }
            let through = if it.load_balancer { "load balancer and Service" } else { "Service" };
            format!("{through} {} in {}", it.service, it.cluster)
        });
        let each: Vec<String> = each.collect();
        let places = entries.iter().map(|it| Place { manifest: it.manifest, pointer: it.pointer.clone() }).collect();
        let text = format!("port {port} of {} leads to port {} of the pods", listed(&each), way.target);
        match (way.balancer, self.request.tls) {
            (Balancer::Tcp, _) | (Balancer::Http, false) => self.pass(Stage::Front, text, places),
            (Balancer::Https, true) => {
                self.pass(Stage::Front, format!("{text}; TLS ends at the load balancer"), places);
            }
            (Balancer::Redirect(to), false) => {
                self.pass(Stage::Front, format!("the load balancer redirects to https on port {to}"), places);
                return false;
            }
            (Balancer::Http | Balancer::Redirect(_), true) => {
                let text = format!("the load balancer reads plain HTTP on port {port}, and this is TLS");
                return self.fail(Stage::Front, text, places, "Ask with http, or a port for TLS".to_owned());
            }
            (Balancer::Https, false) => {
                let text = format!("the load balancer ends TLS on port {port}, and this is plain HTTP");
                return self.fail(Stage::Front, text, places, "Ask with https".to_owned());
            }
        }
        true
    }

    /// Which Gateways choose the pods.
    pub(super) fn gateways(&mut self) -> bool {
        let front = &self.table.front;
        if self.core.gateways.is_empty() {
            let labels: Vec<String> = front.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let text =
                format!("no Gateway selects the pods of {}, which have the labels {}", front.name, listed(&labels));
            let label = ["istio", "app"].iter().find_map(|key| Some(format!("{key}: {}", front.labels.get(*key)?)));
            let fix = label.map(|label| format!("Give a Gateway the selector {{{label}}}"));
            return self.fail(Stage::Gateways, text, own(front.manifest), fix);
        }
        let all: Vec<String> = self.core.gateways.iter().map(|it| name(it)).collect();
        let word = if all.len() == 1 { "Gateway" } else { "Gateways" };
        let places = self.core.gateways.iter().map(|it| Place { manifest: it, pointer: "/spec/selector".to_owned() });
        let places = places.collect();
        self.pass(Stage::Gateways, format!("{word} {} selected for the pods", listed(&all)), places);
        true
    }

    /// Which servers open the port.
    pub(super) fn listener(&mut self, port: u16) -> bool {
        let left_out: Vec<(Place<'a>, String)> = self.left_out(port);
        let Some(listener) = self.core.listeners.get(&port) else {
            let mut open: Vec<u16> = self.core.listeners.keys().copied().collect();
            open.sort_unstable();
            let open: Vec<String> = open.iter().map(u16::to_string).collect();
            let open = if open.is_empty() { "no port".to_owned() } else { format!("only {}", listed(&open)) };
            let asked = self.request.port;
            let number = if port == asked { port.to_string() } else { format!("{port} (port {asked} of the Service)") };
            let text = format!("no server of a Gateway opens port {number} of the pods; open is {open}");
            let places =
                self.core.gateways.iter().map(|it| Place { manifest: it, pointer: "/spec/servers".to_owned() });
            let fix = left_out.first().map_or_else(
                || format!("Add a server with port.number {asked} to a Gateway"),
                |(_, why)| format!("A server for it was left out: {why}"),
            );
            let places = places.collect();
            self.fail(Stage::Listener, text, places, fix);
            self.considered(left_out);
            return false;
        };
        let places = listener.servers.clone();
        if let Some(reason) = &listener.refused {
            return self.fail(Stage::Listener, reason.clone(), places, "Give each host to one server only".to_owned());
        }
        let mut servers: Vec<String> = listener.servers.iter().map(server).collect();
        servers.dedup();
        self.pass(Stage::Listener, format!("port {port} of the pods is opened by {}", listed(&servers)), places);
        self.considered(left_out);
        true
    }

    pub(super) fn left_out(&self, port: u16) -> Vec<(Place<'a>, String)> {
        let of_port = self.core.dropped.iter().filter(|(own, ..)| *own == port);
        of_port.map(|(_, place, why)| (place.clone(), why.clone())).collect()
    }

    /// Which of them takes the connection.
    pub(super) fn chain(&mut self, port: u16, tls: bool) -> bool {
        let name = lookup::server_name(self.request).map(std::borrow::Cow::into_owned);
        match lookup::chain(self.core, port, tls, self.request) {
            Ok(chain) => {
                if let Some(text) = taken(chain, name.as_deref(), tls) {
                    self.pass(Stage::FilterChain, text, vec![chain.server.clone()]);
                }
                true
            }
            Err(Answer::Closed(why)) => {
                let listener = self.core.listeners.get(&port);
                let places = listener.map(|it| it.servers.clone()).unwrap_or_default();
                let chains = listener.map(|it| it.chains.as_slice()).unwrap_or_default();
                let names: Vec<String> = chains.iter().flat_map(|chain| chain.names.clone()).collect();
                let names = if names.is_empty() { "every name".to_owned() } else { listed(&names) };
                let (text, fix) = match why {
                    Closed::NoServerForName => {
                        let name = name.unwrap_or_default();
                        (
                            format!(
                                "no server takes the name {name} that the client asks for in TLS; they take {names}"
                            ),
                            format!("Add {name} to the hosts of a server for TLS, or to the sniHosts of a tls rule"),
                        )
                    }
                    Closed::NoName => (
                        format!("the client asks for no name in TLS, and the servers take {names}"),
                        "Ask by a host name instead of an address, or add a server with hosts [\"*\"]".to_owned(),
                    ),
                    Closed::PlaintextOnTls => {
                        ("the port speaks TLS, and this is plain HTTP".to_owned(), "Ask with https".to_owned())
                    }
                    Closed::TlsOnPlaintext => {
                        ("the port speaks plain HTTP, and this is TLS".to_owned(), "Ask with http".to_owned())
                    }
                    Closed::NoClientCertificate => (
                        "the server asks for a certificate of the client, and none is shown".to_owned(),
                        "Show a certificate, or set tls.mode SIMPLE or OPTIONAL_MUTUAL".to_owned(),
                    ),
                    Closed::NoUpstream => ("the destination cannot be reached".to_owned(), String::new()),
                };
                self.fail(Stage::FilterChain, text, places, fix)
            }
            Err(_) => false,
        }
    }

    /// A connection that is forwarded as it is.
    pub(super) fn tcp(&mut self, routes: &'a [TcpRoute<'s>]) {
        let Some(first) = routes.first() else { return };
        let place = &first.rule.virtual_service;
        if !first.rule.is_written() {
            let text =
                format!("no VirtualService of the mesh has rules for {}: it goes to the Service", name(place.manifest));
            self.pass(Stage::Binding, text, vec![place.clone()]);
            return self.destinations(&first.action, first.action.verdict == Verdict::Some);
        }
        let kind = if place.pointer.starts_with("/spec/tls") { "tls" } else { "tcp" };
        let text = format!("VirtualService {}, {kind} rule {}", name(place.manifest), number(&place.pointer));
        self.pass(Stage::Route, text, vec![first.rule.matched.clone()]);
        self.destinations(&first.action, first.action.verdict == Verdict::Some);
    }
}

/// `web (HTTP port 80)` of a server's place.
fn server(place: &Place<'_>) -> String {
    let written = place.manifest.object.at(&place.pointer);
    let part = |pointer: &str| written.and_then(|it| it.at(pointer));
    let protocol = part("/port/protocol").and_then(Value::as_str).unwrap_or_default();
    let port = part("/port/number").and_then(Value::as_u64).unwrap_or_default();
    format!("Gateway {} ({protocol}, port {port})", name(place.manifest))
}

fn taken(chain: &Chain<'_>, name: Option<&str>, tls: bool) -> Option<String> {
    if !tls {
        return None;
    }
    let name = name.unwrap_or("no name");
    let server = server(&chain.server);
    Some(match (chain.security, &chain.to) {
        (Security::Ends { .. }, _) => format!("TLS for {name} ends at {server}"),
        (Security::None, ChainTo::Tcp(_) | ChainTo::ByName(_)) => {
            format!("TLS for {name} is passed through by {server}")
        }
        (Security::None, ChainTo::Http(_)) => format!("{server} takes it"),
    })
}

fn own<'s>(manifest: Option<&'s Manifest>) -> Vec<Place<'s>> {
    manifest.map(|manifest| Place { manifest, pointer: String::new() }).into_iter().collect()
}

/// The number of a rule, from 1.
pub(super) fn number(pointer: &str) -> usize {
    let mut steps = pointer.split('/').filter_map(|step| step.parse::<usize>().ok());
    steps.next().unwrap_or_default() + 1
}
