//! The ports of the pods as Envoy opens them: one listener per port, with a filter chain per server or TLS rule, chosen by
//! the server name that the client asks for (`buildGatewayListeners`).

use super::action;
use super::binding;
use super::compiled::{Chain, ChainTo, Core, Listener, Security, TcpRoute};
use super::destination::Resolver;
use super::hosts::{self, Build};
use super::merge::{Mode, Server};
use super::model::{VirtualService, items, port, texts};
use super::names;
use super::outcome::{Place, Rule};
use crate::fleet::Manifest;
use crate::istio;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Server names that passed-through TLS has on a port, and whose they are.
type Taken<'s> = HashMap<u16, HashMap<String, &'s Manifest>>;

/// Builds all listeners, or those of some ports.
pub(super) fn listeners<'s>(build: Build<'_, 's, '_>, only: Option<&BTreeSet<u16>>) -> Core<'s> {
    let mut core = Core { contested: build.merged.contested.clone(), ..Core::default() };
    for dropped in &build.merged.dropped {
        let Some(server) = build.merged.servers.get(dropped.server) else { continue };
        let by = dropped.by.and_then(|by| build.merged.servers.get(by));
        let by = by.map(|by| format!(" (Gateway {}, which is older)", by.gateway_name)).unwrap_or_default();
        core.dropped.push((dropped.port, server.place(), format!("{}{by}", dropped.because)));
    }
    let wanted = |port: u16| only.is_none_or(|only| only.contains(&port));
    let mut tables: HashMap<&str, usize> = HashMap::new();
    let mut taken = Taken::new();
    for ((port, _), servers) in build.merged.ports.iter().filter(|((port, _), _)| wanted(*port)) {
        let mut chains = Vec::new();
        let all: Vec<&Server<'s>> = servers.iter().filter_map(|at| build.merged.servers.get(*at)).collect();
        let plain = all.first().filter(|server| server.is_plain_http());
        let of_tables: Vec<&Server<'s>> = match plain {
            Some(first) => vec![first],
            None => all.iter().copied().filter(|server| server.ends_https()).collect(),
        };
        for server in of_tables {
            if !tables.contains_key(server.table.as_str()) {
                let members = build.merged.tables.get(&server.table).map(Vec::as_slice).unwrap_or_default();
                let table = hosts::table(&mut core, build, members);
                tables.insert(&server.table, core.tables.len());
                core.tables.push(table);
            }
        }
        let table = |server: &Server<'_>| tables.get(server.table.as_str()).copied().unwrap_or_default();
        match plain {
            Some(server) => chains.push(Chain {
                names: Vec::new(),
                security: Security::None,
                to: ChainTo::Http(table(server)),
                server: server.place(),
            }),
            None => {
                for server in &all {
                    if server.ends_https() {
                        chains.push(Chain {
                            names: server_names(server),
                            security: ends(server),
                            to: ChainTo::Http(table(server)),
                            server: server.place(),
                        });
                    } else {
                        chains.extend(tcp(&mut core, build, server, *port, &mut taken));
                    }
                }
            }
        }
        let listener = core.listeners.entry(*port).or_insert_with(Listener::new);
        listener.servers.extend(all.iter().map(|server| server.place()));
        chains.into_iter().for_each(|chain| listener.push(chain));
    }
    // A listener without chains is left out.
    core.listeners.retain(|_, listener| !listener.chains.is_empty());
    core.gateways = {
        let mut seen = BTreeSet::new();
        let all = build.merged.servers.iter().filter(|server| seen.insert(server.gateway));
        all.map(|server| server.manifest).collect()
    };
    core
}

fn ends(server: &Server<'_>) -> Security {
    Security::Ends { client_certificate: server.tls.as_ref().is_some_and(|tls| tls.mode == Mode::Mutual) }
}

/// The server names of a server; none when it takes every name.
fn server_names(server: &Server<'_>) -> Vec<String> {
    let names = server.hosts.iter().map(|host| host.split_once('/').map_or(host.as_str(), |(_, name)| name).to_owned());
    let names: BTreeSet<String> = names.collect();
    if names.contains("*") { Vec::new() } else { names.into_iter().collect() }
}

/// Chains of a server that is not HTTP.
fn tcp<'s>(
    core: &mut Core<'s>,
    build: Build<'_, 's, '_>,
    server: &Server<'s>,
    port: u16,
    taken: &mut Taken<'s>,
) -> Vec<Chain<'s>> {
    if server.passes_through() {
        if server.tls.as_ref().is_some_and(|tls| tls.mode == Mode::AutoPassthrough) {
            let why = "AUTO_PASSTHROUGH, for other meshes, is not simulated".to_owned();
            core.dropped.push((port, server.place(), why));
            return Vec::new();
        }
        return passed_through(core, build, server, port, taken);
    }
    let routes = tcp_routes(build, server);
    if routes.is_empty() {
        core.dropped.push((port, server.place(), "no VirtualService has a tcp rule for it".to_owned()));
        return Vec::new();
    }
    let (names, security) = match server.tls {
        Some(_) => (server_names(server), ends(server)),
        None => (Vec::new(), Security::None),
    };
    vec![Chain { names, security, to: ChainTo::Tcp(routes), server: server.place() }]
}

/// The VirtualServices bound to a server whose hosts meet its hosts.
fn bound<'m, 's>(build: Build<'m, 's, '_>, server: &Server<'s>) -> Vec<(u8, &'m VirtualService<'s>)> {
    let all = binding::bound(build.model, &server.gateway_name, &build.front.namespace, build.first);
    let meets = |route: &VirtualService<'_>| {
        let accepted = hosts::accepted(server, route.namespace);
        route.hosts.iter().any(|host| accepted.iter().any(|own| istio::meet(own, host)))
    };
    let all = all.into_iter().filter_map(|(rank, index)| Some((rank, build.model.routes.get(index)?)));
    all.filter(|(_, route)| meets(route)).collect()
}

/// Is a match of a TCP or TLS rule for this server?
fn fits(server: &Server<'_>, route: &VirtualService<'_>, entry: &Value) -> bool {
    let mut gateways = texts(entry, "/gateways").peekable();
    port(entry, "/port").is_none_or(|port| port == server.number)
        && (gateways.peek().is_none()
            || gateways.any(|name| names::gateway(name, route.namespace) == server.gateway_name))
}

/// The first rule of each VirtualService that fits: the first of all is taken.
fn tcp_routes<'s>(build: Build<'_, 's, '_>, server: &Server<'s>) -> Vec<TcpRoute<'s>> {
    let mut found = Vec::new();
    for (rank, route) in bound(build, server) {
        let rules = items(&route.manifest.object, "/spec/tcp").iter().enumerate();
        let mut fitting = rules.filter(|(_, rule)| {
            let entries = items(rule, "/match");
            let fits = entries.is_empty() || entries.iter().any(|entry| fits(server, route, entry));
            fits && !items(rule, "/route").is_empty()
        });
        if let Some((index, rule)) = fitting.next() {
            found.push(make(build, server, route, rank, rule, &format!("/spec/tcp/{index}"), None));
        }
    }
    found
}

/// One chain per match of a TLS rule. A server name can be taken once; a match with a taken one is out.
fn passed_through<'s>(
    core: &mut Core<'s>,
    build: Build<'_, 's, '_>,
    server: &Server<'s>,
    port: u16,
    taken: &mut Taken<'s>,
) -> Vec<Chain<'s>> {
    let mut chains = Vec::new();
    for (rank, route) in bound(build, server) {
        for (index, rule) in items(&route.manifest.object, "/spec/tls").iter().enumerate() {
            if items(rule, "/route").is_empty() {
                continue;
            }
            for (at, entry) in items(rule, "/match").iter().enumerate().filter(|(_, entry)| fits(server, route, entry))
            {
                let names: Vec<String> = texts(entry, "/sniHosts").map(str::to_owned).collect();
                let taken = taken.entry(port).or_default();
                let pointer = format!("/spec/tls/{index}");
                let matched = format!("{pointer}/match/{at}");
                if let Some((name, by)) = names.iter().find_map(|name| taken.get(name).map(|by| (name, *by))) {
                    let place = Place { manifest: route.manifest, pointer: matched };
                    core.dropped.push((port, place, format!("{} takes the server name {name} already", by.id)));
                    if build.model.ages.known(by, route.manifest).is_none() {
                        core.contested.push((port, by, route.manifest));
                    }
                    continue;
                }
                for name in &names {
                    taken.insert(name.clone(), route.manifest);
                }
                let names = if names.iter().any(|name| name == "*") { Vec::new() } else { names };
                let to = make(build, server, route, rank, rule, &pointer, Some(matched));
                let to = ChainTo::Tcp(vec![to]);
                chains.push(Chain { names, security: Security::None, to, server: server.place() });
            }
        }
    }
    chains
}

fn make<'s>(
    build: Build<'_, 's, '_>,
    server: &Server<'s>,
    route: &VirtualService<'s>,
    rank: u8,
    rule: &Value,
    pointer: &str,
    matched: Option<String>,
) -> TcpRoute<'s> {
    let resolver = Resolver {
        model: build.model,
        front: build.front,
        cluster: build.cluster,
        namespace: route.namespace,
        port: server.number,
    };
    by_rule(&resolver, route, rank, rule, pointer, matched)
}

/// To where a rule for connections sends them.
pub(super) fn by_rule<'s>(
    resolver: &Resolver<'_, 's, '_>,
    route: &VirtualService<'s>,
    rank: u8,
    rule: &Value,
    pointer: &str,
    matched: Option<String>,
) -> TcpRoute<'s> {
    TcpRoute {
        action: action::connection(resolver, route, rule, pointer),
        rule: rule_at(route.manifest, pointer, matched),
        rank,
    }
}

/// A rule for connections; `matched`: its entry that is met.
pub(super) fn rule_at<'s>(manifest: &'s Manifest, pointer: &str, matched: Option<String>) -> Rule<'s> {
    let place = |pointer: String| Place { manifest, pointer };
    Rule {
        name: String::new(),
        virtual_service: place(pointer.to_owned()),
        matched: place(matched.unwrap_or_else(|| pointer.to_owned())),
        delegate: None,
    }
}

impl<'s> Listener<'s> {
    pub(super) fn new() -> Self {
        Self {
            chains: Vec::new(),
            exact: HashMap::new(),
            wild: HashMap::new(),
            other: None,
            refused: None,
            servers: Vec::new(),
        }
    }

    /// Envoy refuses a listener in which two chains ask for the same.
    pub(super) fn push(&mut self, chain: Chain<'s>) {
        let at = self.chains.len();
        let mut twice = None;
        if chain.names.is_empty() && self.other.replace(at).is_some() {
            twice = Some("every name".to_owned());
        }
        for name in &chain.names {
            // Envoy compares server names in lower case; istiod hands them out as they are written.
            let name = name.to_ascii_lowercase();
            let before = match name.strip_prefix('*') {
                Some(suffix) => self.wild.insert(suffix.to_owned(), at),
                None => self.exact.insert(name.clone(), at),
            };
            if before.is_some() {
                twice = Some(name);
            }
        }
        if let Some(name) = twice {
            self.refused = Some(format!("two servers take {name} on this port, so Envoy refuses all of it"));
        }
        self.chains.push(chain);
    }

    /// The chain for a server name in lower case, or for none: the name itself, then wildcards from the longest, then the
    /// chain for everything.
    pub(super) fn choose(&self, name: Option<&str>) -> Option<&Chain<'s>> {
        let named = name.and_then(|name| {
            let dots = name.char_indices().filter(|(_, letter)| *letter == '.');
            let mut suffixes = dots.filter_map(|(at, _)| name.get(at..));
            self.exact.get(name).or_else(|| suffixes.find_map(|suffix| self.wild.get(suffix)))
        });
        named.or(self.other.as_ref()).and_then(|at| self.chains.get(*at))
    }
}
