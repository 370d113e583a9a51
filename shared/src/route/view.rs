//! What a table holds, from the ports of the Services to the destinations: for pictures, read-only.

use super::compiled::{
    Action, Chain, ChainTo, Core, ForwardAction, Listener, RouteTable, Security, Segment, TcpRoute, VirtualHost, Way,
};
use super::model::Model;
use super::outcome::{Destination, Entry, Fault, Mirror, Place, Rule};
use super::table::compile_in;
use super::{Front, Options, Table};
use crate::fleet::{FleetState, Manifest, Target};
use std::collections::BTreeMap;

/// A port of the pods of a gateway.
#[derive(Debug)]
pub struct PortView<'a> {
    /// Its number.
    pub port: u16,
    /// The clusters whose pods have it.
    pub clusters: Vec<&'a Target>,
    /// The Services through which requests come in; none when no Service in front of the pods leads to it.
    pub entries: Vec<&'a Entry<'a>>,
    /// Why Envoy refuses to listen.
    pub refused: Option<&'a str>,
    /// The servers of Gateways that open it, also those without a chain of their own.
    pub servers: Vec<&'a Place<'a>>,
    /// What is done with a connection, by its server name.
    pub chains: Vec<ChainView<'a>>,
}

/// A filter chain.
#[derive(Debug)]
pub struct ChainView<'a> {
    /// The server that makes it.
    pub server: &'a Place<'a>,
    /// Server names; empty for any.
    pub names: &'a [String],
    /// TLS ends here.
    pub ends_tls: bool,
    /// What comes then.
    pub to: ToView<'a>,
}

/// What a filter chain leads to.
#[derive(Debug)]
pub enum ToView<'a> {
    /// Virtual hosts.
    Http(Vec<HostView<'a>>),
    /// The destinations of a TCP connection.
    Tcp(Vec<RouteView<'a>>),
}

/// A virtual host.
#[derive(Debug)]
pub struct HostView<'a> {
    /// Its name: `shop.example.com`, `*.example.com`, `*`.
    pub domain: &'a str,
    /// The server that answers plain HTTP with a redirect to HTTPS.
    pub https_only: Option<&'a Place<'a>>,
    /// VirtualServices with rules for it, in their order.
    pub parts: Vec<PartView<'a>>,
}

/// The rules of one VirtualService in a virtual host.
#[derive(Debug)]
pub struct PartView<'a> {
    /// The server of the Gateway that binds it.
    pub server: &'a Place<'a>,
    /// The VirtualService.
    pub virtual_service: &'a Manifest,
    /// Its routes: one per match of a rule.
    pub routes: Vec<RouteView<'a>>,
}

/// A route.
#[derive(Debug)]
pub struct RouteView<'a> {
    /// The rule that it comes from.
    pub rule: &'a Rule<'a>,
    /// What it does.
    pub action: ActionView<'a>,
}

/// What a route does.
#[derive(Debug)]
pub enum ActionView<'a> {
    /// The gateway answers with a redirect.
    Redirect {
        /// Status.
        status: u16,
        /// Where to, as far as the rule says.
        to: String,
    },
    /// The gateway answers by itself.
    Direct {
        /// Status.
        status: u16,
    },
    /// It is forwarded.
    Forward {
        /// Those with a share.
        destinations: &'a [Destination<'a>],
        /// Who gets a copy.
        mirrors: &'a [Mirror<'a>],
        /// Errors and delays that are injected.
        fault: Option<&'a Fault>,
    },
}

/// The tables of several gateways, in their order. What they have in common is looked at once.
pub fn compile_all<'s>(state: &'s FleetState, fronts: &[Front<'s>], options: &Options) -> Vec<Table<'s>> {
    let model = Model::of(state, options);
    fronts.iter().map(|front| compile_in(&model, front, options)).collect()
}

/// The same for gateways whose pods in one cluster are meant, a cluster each.
pub fn compile_each<'s>(
    state: &'s FleetState,
    wanted: &[(&Front<'s>, Option<Target>)],
    options: &Options,
) -> Vec<Table<'s>> {
    let model = Model::of(state, options);
    let table = |(front, cluster): &(&Front<'s>, Option<Target>)| {
        compile_in(&model, front, &Options { cluster: cluster.clone(), ..options.clone() })
    };
    wanted.iter().map(table).collect()
}

impl Table<'_> {
    /// The ports of the pods, with what is behind them, in their order; several times where clusters differ.
    pub fn ports(&self) -> Vec<PortView<'_>> {
        let mut all = Vec::new();
        for (number, variant) in self.variants.iter().enumerate() {
            let ports: BTreeMap<u16, &Listener<'_>> =
                variant.core.listeners.iter().map(|(port, listener)| (*port, listener)).collect();
            let clusters = self.clusters_of(number);
            for (port, listener) in ports {
                all.push(PortView {
                    port,
                    clusters: clusters.clone(),
                    entries: self.entries(number, port),
                    refused: listener.refused.as_deref(),
                    servers: servers(&variant.core, listener),
                    chains: listener.chains.iter().map(|chain| chain_view(&variant.core, chain)).collect(),
                });
            }
        }
        all
    }

    /// Servers, and matches of rules, that istiod leaves out: the port that they would have been on, where, why.
    pub fn dropped(&self) -> impl Iterator<Item = &(u16, Place<'_>, String)> {
        self.variants.iter().flat_map(|variant| &variant.core.dropped)
    }

    /// The clusters whose pods have this table; the first one is for those without any Service too.
    fn clusters_of(&self, variant: usize) -> Vec<&Target> {
        let ways = || self.ways.values().flatten();
        let of = |cluster: &Target| {
            let own = ways().find(|way| way.entries.iter().any(|entry| entry.cluster == *cluster));
            own.map_or(0, |way| way.variant)
        };
        self.front.clusters.iter().filter(|cluster| of(cluster) == variant).collect()
    }

    /// The ways in that lead to a port of the pods.
    fn entries(&self, variant: usize, port: u16) -> Vec<&Entry<'_>> {
        let ways: BTreeMap<u16, &Vec<Way<'_>>> = self.ways.iter().map(|(port, ways)| (*port, ways)).collect();
        let ways = ways.into_values().flatten().filter(|way| way.variant == variant && way.target == port);
        ways.flat_map(|way| &way.entries).collect()
    }
}

/// All servers of a port: those of the listener, and those that share their virtual hosts with them.
fn servers<'a>(core: &'a Core<'_>, listener: &'a Listener<'_>) -> Vec<&'a Place<'a>> {
    let mut all: Vec<&Place<'a>> = listener.servers.iter().collect();
    for chain in &listener.chains {
        if let ChainTo::Http(table) = &chain.to {
            all.extend(core.tables.get(*table).into_iter().flat_map(|table| &table.servers));
        }
    }
    let mut seen = Vec::new();
    all.retain(|place| {
        let key = (&place.manifest.id, place.pointer.as_str());
        let is_new = !seen.contains(&key);
        seen.extend(is_new.then_some(key));
        is_new
    });
    all
}

fn chain_view<'a>(core: &'a Core<'_>, chain: &'a Chain<'_>) -> ChainView<'a> {
    ChainView {
        server: &chain.server,
        names: &chain.names,
        ends_tls: matches!(chain.security, Security::Ends { .. }),
        to: match &chain.to {
            ChainTo::Http(table) => {
                let table = core.tables.get(*table);
                let hosts =
                    table.into_iter().flat_map(|table| table.hosts.iter().map(|host| host_view(core, table, host)));
                ToView::Http(hosts.collect())
            }
            // The first is taken.
            ChainTo::Tcp(routes) => ToView::Tcp(routes.iter().take(1).map(tcp_view).collect()),
            ChainTo::ByName(inner) => {
                let firsts = inner.chains.iter().filter_map(|chain| match &chain.to {
                    ChainTo::Tcp(routes) => routes.first(),
                    _ => None,
                });
                ToView::Tcp(firsts.map(tcp_view).collect())
            }
        },
    }
}

/// A rule for connections.
pub(super) fn tcp_view<'a>(route: &'a TcpRoute<'_>) -> RouteView<'a> {
    RouteView { rule: &route.rule, action: forward(&route.action) }
}

/// Some routes of a core: from, to.
pub(super) fn routes_of<'a>(core: &'a Core<'_>, (from, to): (usize, usize)) -> Vec<RouteView<'a>> {
    let routes = core.routes.get(from..to).into_iter().flatten();
    routes.map(|route| RouteView { rule: &route.rule, action: action(&route.action) }).collect()
}

fn host_view<'a>(core: &'a Core<'_>, table: &'a RouteTable<'_>, host: &'a VirtualHost<'_>) -> HostView<'a> {
    let part = |segment: &'a Segment<'_>| {
        let mut routes = routes_of(core, segment.routes);
        routes.extend(segment.catch_all.into_iter().flat_map(|at| routes_of(core, (at, at + 1))));
        Some(PartView { server: table.servers.get(segment.server)?, virtual_service: segment.manifest, routes })
    };
    HostView {
        domain: &host.domain,
        https_only: host.https_only.as_ref(),
        parts: host.segments.iter().filter_map(part).collect(),
    }
}

fn action<'a>(action: &'a Action<'_>) -> ActionView<'a> {
    match action {
        Action::Redirect(redirect) => {
            let scheme = redirect.scheme.as_ref().map(|scheme| format!("{scheme}://")).unwrap_or_default();
            let port = redirect.port.map(|port| format!(":{port}")).unwrap_or_default();
            let host = redirect.host.as_deref().unwrap_or_default();
            let path = redirect.path.as_ref().or(redirect.prefix.as_ref()).map(String::as_str).unwrap_or_default();
            ActionView::Redirect { status: redirect.status, to: format!("{scheme}{host}{port}{path}") }
        }
        Action::Direct { status, .. } => ActionView::Direct { status: *status },
        Action::Forward(action) => forward(action),
    }
}

fn forward<'a>(action: &'a ForwardAction<'_>) -> ActionView<'a> {
    ActionView::Forward { destinations: &action.destinations, mirrors: &action.mirrors, fault: action.fault.as_ref() }
}
