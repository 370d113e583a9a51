//! The way of a request that a workload sends: its sidecar, the Services of its namespace, the host that it calls.

use super::super::compiled::{ChainTo, Route, VirtualHost};
use super::super::lookup;
use super::super::outcome::{Answer, Closed, Place};
use super::super::request::split_port;
use super::super::trace::Stage;
use super::{Walk, listed};
use crate::distance::distance;

/// What becomes of a host that nobody knows.
const LET_THROUGH: &str = "its sidecar lets it through to wherever DNS leads (a mesh with REGISTRY_ONLY answers 502)";

impl<'a, 's> Walk<'a, 's> {
    /// Who sends it.
    pub(super) fn caller(&mut self) {
        let front = &self.table.front;
        let clusters: Vec<String> = front.clusters.iter().map(ToString::to_string).collect();
        let place = if clusters.is_empty() { String::new() } else { format!(" in {}", listed(&clusters)) };
        let text = format!("pods of {}/{}{place} send it through their sidecar", front.namespace, front.name);
        let own = front.manifest.map(|manifest| Place { manifest, pointer: String::new() });
        self.pass(Stage::Front, text, own.into_iter().collect());
    }

    /// Is there a Service with this port, or anything else that listens?
    pub(super) fn is_called(&mut self, port: u16) -> bool {
        if self.core.listeners.contains_key(&port) {
            return true;
        }
        let own = &self.table.front.namespace;
        let text = format!("no Service that namespace {own} sees has port {port}: {LET_THROUGH}");
        let host = split_port(&self.request.host).0.to_ascii_lowercase();
        let ports = self.ports_of(&host);
        let fix = match ports.as_slice() {
            [] => format!("Name a port of the Service that is meant: http://{host}:PORT/"),
            some => format!("{host} has port {}", listed(some)),
        };
        self.fail(Stage::Listener, text, Vec::new(), fix)
    }

    /// The ports on which a host is known.
    fn ports_of(&self, host: &str) -> Vec<String> {
        let knows = |port: &&u16| {
            let Some(listener) = self.core.listeners.get(*port) else { return false };
            let mut tables = listener.chains.iter().filter_map(|chain| match chain.to {
                ChainTo::Http(table) => self.core.tables.get(table),
                ChainTo::Tcp(_) | ChainTo::ByName(_) => None,
            });
            listener.exact.contains_key(host) || tables.any(|table| table.exact.contains_key(host))
        };
        let mut ports: Vec<u16> = self.core.listeners.keys().filter(knows).copied().collect();
        ports.sort_unstable();
        ports.iter().map(u16::to_string).collect()
    }

    /// Nobody has the host on this port.
    pub(super) fn nobody(&mut self, port: u16, host: &str, known: impl Iterator<Item = String>) {
        let text = format!(
            "no Service, ServiceEntry or VirtualService of the mesh has the host {host} on port {port}: {LET_THROUGH}"
        );
        let ports = self.ports_of(host);
        let short = |known: &str| known.split('.').next().map(str::to_owned).unwrap_or_default();
        let near = known.map(|it| (distance(host, &it).min(distance(host, &short(&it))), it)).min();
        let fix = match (ports.as_slice(), near.filter(|(distance, _)| *distance <= 2)) {
            ([], Some((_, near))) => format!("Did you mean {near}?"),
            ([], None) => format!("Add a Service {host}, or a ServiceEntry for a host outside of the mesh"),
            (some, _) => format!("{host} has port {}", listed(some)),
        };
        self.fail(Stage::VirtualHost, text, Vec::new(), fix);
    }

    /// No rule for TLS takes the name that the client asks for. `false`: it is something else that ends the way.
    pub(super) fn not_named(&mut self, port: u16, answer: &Answer<'_>) -> bool {
        let Answer::Closed(why) = answer else { return false };
        let host = lookup::called(self.request).into_owned();
        let chain = self.core.listeners.get(&port).and_then(|listener| listener.choose(Some(&host)));
        let Some(ChainTo::ByName(inner)) = chain.map(|chain| &chain.to) else { return false };
        let mut names: Vec<String> = inner.chains.iter().flat_map(|chain| chain.names.clone()).collect();
        names.sort();
        names.dedup();
        let names = listed(&names);
        let places = inner.chains.iter().map(|chain| chain.server.clone()).collect();
        let (what, fix) = match why {
            Closed::PlaintextOnTls => ("this is no TLS".to_owned(), "Ask with https".to_owned()),
            Closed::NoName => ("the client asks for no name in TLS".to_owned(), format!("Ask for one of {names}")),
            _ => {
                let name = lookup::server_name(self.request).map(std::borrow::Cow::into_owned).unwrap_or_default();
                let fix = format!("Add {name} to the sniHosts of a tls rule, or ask for one of {names}");
                (format!("the client asks for {name} in TLS"), fix)
            }
        };
        let text = format!(
            "{what}, and the tls rules of the mesh for {host} take {names} on port {port}: its sidecar closes the connection"
        );
        self.fail(Stage::FilterChain, text, places, fix);
        self.considered(self.left_out(port));
        true
    }

    /// A Service that no VirtualService has rules for.
    pub(super) fn straight(&mut self, host: &'a VirtualHost<'s>, route: &'a Route<'s>) {
        let place = Place { manifest: route.rule.virtual_service.manifest, pointer: String::new() };
        let text = format!("no VirtualService of the mesh has rules for {}: requests go to the Service", host.domain);
        self.pass(Stage::Binding, text, vec![place]);
    }
}
