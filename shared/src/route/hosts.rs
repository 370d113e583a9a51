//! The virtual hosts of a route table: hosts of servers and of VirtualServices meet, the narrower name of each pair becomes
//! a virtual host, and rules of several VirtualServices for one name stand in one list (`buildGatewayHTTPRouteConfig`).

use super::binding;
use super::compiled::{Core, RouteTable, Segment, VirtualHost};
use super::front::Front;
use super::merge::{Merged, Server};
use super::model::Model;
use super::names;
use super::outcome::Place;
use super::rules::{self, At, Routes};
use crate::fleet::{Manifest, Target};
use crate::istio::by_specificity;
use indexmap::IndexMap;
use std::collections::HashMap;

/// What a table is built from.
#[derive(Clone, Copy)]
pub(super) struct Build<'a, 's, 'o> {
    pub(super) model: &'a Model<'s, 'o>,
    pub(super) front: &'a Front<'s>,
    /// Where the pods run, when it is known.
    pub(super) cluster: Option<&'a Target>,
    pub(super) merged: &'a Merged<'s>,
    /// Comes before all others of its kind.
    pub(super) first: Option<&'a Manifest>,
}

/// A virtual host in the making.
struct Making<'s> {
    port: u16,
    https_only: Option<Place<'s>>,
    segments: Vec<Segment<'s>>,
    /// The rules as often as they come, for the name of the virtual host.
    rules: Vec<Routes>,
}

/// Builds the table of some servers.
pub(super) fn table<'s>(core: &mut Core<'s>, build: Build<'_, 's, '_>, servers: &[usize]) -> RouteTable<'s> {
    let servers: Vec<&Server<'s>> = servers.iter().filter_map(|at| build.merged.servers.get(*at)).collect();
    let mut hosts: IndexMap<String, Making<'s>> = IndexMap::new();
    // Compiled once for a Gateway, with the port of its first server here.
    let mut compiled: HashMap<(usize, usize), Option<Routes>> = HashMap::new();
    for (number, server) in servers.iter().enumerate() {
        for (rank, index) in binding::bound(build.model, &server.gateway_name, &build.front.namespace, build.first) {
            let Some(route) = build.model.routes.get(index) else { continue };
            let accepted = accepted(server, route.namespace);
            let shared = names::intersection(&accepted, &route.hosts);
            if shared.is_empty() {
                continue;
            }
            let at = At {
                model: build.model,
                front: build.front,
                cluster: build.cluster,
                gateway: &server.gateway_name,
                port: server.number,
                tls: server.tls.is_some(),
                of_sidecars: false,
            };
            let routes = *compiled.entry((server.gateway, index)).or_insert_with(|| rules::compile(core, &at, route));
            let Some((routes, catch_all)) = routes else { continue };
            let segment = Segment {
                gateway: server.gateway,
                gateway_manifest: server.manifest,
                server: number,
                rank,
                manifest: route.manifest,
                routes,
                catch_all,
            };
            for host in shared {
                add(&mut hosts, host, server, Some(segment.clone()));
            }
        }
        if server.redirects() {
            for host in &server.hosts {
                add(&mut hosts, host, server, None);
            }
        }
    }
    finish(build.model, &servers, hosts)
}

/// The hosts of a server for VirtualServices of a namespace.
pub(super) fn accepted<'h>(server: &'h Server<'_>, namespace: &str) -> Vec<&'h str> {
    let all = server.hosts.iter().filter_map(|host| match host.split_once('/') {
        None => Some(host.as_str()),
        Some((space, host)) => (space == namespace).then_some(host),
    });
    all.collect()
}

fn add<'s>(hosts: &mut IndexMap<String, Making<'s>>, host: &str, server: &Server<'s>, segment: Option<Segment<'s>>) {
    let made = hosts.entry(host.to_lowercase()).or_insert_with(|| Making {
        port: server.number,
        https_only: None,
        segments: Vec::new(),
        rules: Vec::new(),
    });
    if server.redirects() {
        made.https_only.get_or_insert_with(|| server.place());
    }
    if let Some(segment) = segment {
        made.rules.push((segment.routes, segment.catch_all));
        // Through two servers of one Gateway come the same rules.
        if !made.segments.iter().any(|known| known.routes == segment.routes && known.catch_all == segment.catch_all) {
            made.segments.push(segment);
        }
    }
}

fn finish<'s>(
    model: &Model<'s, '_>,
    servers: &[&Server<'s>],
    mut making: IndexMap<String, Making<'s>>,
) -> RouteTable<'s> {
    let port = servers.first().map_or(0, |server| server.number);
    let mut table =
        RouteTable { servers: servers.iter().map(|server| server.place()).collect(), ..RouteTable::default() };
    if making.is_empty() {
        let name = names::virtual_host("blackhole", port);
        making.insert("*".to_owned(), Making { port, https_only: None, segments: Vec::new(), rules: Vec::new() });
        table.push("*", name, making.swap_remove("*"), model);
        return table;
    }
    making.sort_by(|a, _, b, _| by_specificity(a, b));
    // Names with the same rules are one virtual host of Envoy, called by its first name.
    let mut known: HashMap<(Vec<Routes>, bool), String> = HashMap::new();
    for (host, made) in making {
        let own = names::virtual_host(&host, made.port);
        let name = known.entry((made.rules.clone(), made.https_only.is_some())).or_insert(own).clone();
        table.push(&host, name, Some(made), model);
    }
    table.lengths = table.suffix.keys().map(String::len).collect();
    table.lengths.sort_unstable_by(|a, b| b.cmp(a));
    table.lengths.dedup();
    table
}

impl<'s> RouteTable<'s> {
    fn push(&mut self, domain: &str, name: String, made: Option<Making<'s>>, model: &Model<'s, '_>) {
        let Some(made) = made else { return };
        let at = self.hosts.len();
        match domain.strip_prefix('*') {
            Some("") => self.any = Some(at),
            Some(suffix) => drop(self.suffix.insert(suffix.to_owned(), at)),
            None => drop(self.exact.insert(domain.to_owned(), at)),
        }
        let unknown = made.segments.windows(2).any(|pair| match pair {
            [a, b] => precedes(model.ages, a, b).is_none(),
            _ => false,
        });
        self.hosts.push(VirtualHost {
            name,
            domain: domain.to_owned(),
            https_only: made.https_only,
            segments: made.segments,
            contested: unknown,
        });
    }

    /// The virtual host of a host name in lower case, without port: the name itself, then the longest wildcard.
    pub(super) fn find(&self, host: &str) -> Option<&VirtualHost<'s>> {
        let exact = self.exact.get(host);
        let wild = || {
            let fitting = self.lengths.iter().filter(|length| **length < host.len());
            fitting.filter_map(|length| host.get(host.len() - length..)).find_map(|suffix| self.suffix.get(suffix))
        };
        exact.or_else(wild).or(self.any.as_ref()).and_then(|at| self.hosts.get(*at))
    }
}

/// Does one segment come before the other, whatever the ages that are not known?
pub(super) fn precedes(ages: super::order::Ages<'_>, a: &Segment<'_>, b: &Segment<'_>) -> Option<bool> {
    let order = if a.gateway != b.gateway {
        ages.known(a.gateway_manifest, b.gateway_manifest)?
    } else {
        let same = a.server.cmp(&b.server).then(a.rank.cmp(&b.rank));
        if same.is_eq() { ages.known(a.manifest, b.manifest)? } else { same }
    };
    Some(order.is_lt())
}
