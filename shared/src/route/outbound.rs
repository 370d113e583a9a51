//! What the sidecar of a workload makes of the requests that the workload sends (`BuildSidecarOutboundVirtualHosts`): a
//! listener per port of the Services that its namespace sees, and in it a virtual host per Service with this port. The rules
//! of the oldest VirtualService of `mesh` for a host take the place of the way to the Service; what nobody knows is let
//! through to wherever DNS leads.

mod connections;

use super::action;
use super::binding;
use super::chain;
use super::compiled::{
    Action, Chain, ChainTo, Core, Listener, Matcher, Route, RouteTable, Security, Segment, VirtualHost,
};
use super::destination::Resolver;
use super::front::Front;
use super::model::{Model, VirtualService, text};
use super::names;
use super::outcome::Place;
use super::rules::{self, At, Routes};
use super::services::Service;
use crate::fleet::{Manifest, Target};
use crate::istio::is_subset;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The name by which VirtualServices name all sidecars.
pub(super) const MESH: &str = "mesh";

/// A workload that calls, and what it is compiled from.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a, 's, 'o> {
    pub(super) model: &'a Model<'s, 'o>,
    pub(super) front: &'a Front<'s>,
    /// Where its pods run, when it is known.
    pub(super) cluster: Option<&'a Target>,
    /// Comes before all others of its kind.
    pub(super) first: Option<&'a Manifest>,
}

/// Hosts that the namespace of a caller sees, in lower case.
type Registry<'a, 's> = BTreeMap<String, &'a Service<'s>>;

/// Builds all listeners, or those of some ports.
pub(super) fn listeners<'s>(caller: Caller<'_, 's, '_>, only: Option<&BTreeSet<u16>>) -> Core<'s> {
    let mut core = Core { by_host: true, ..Core::default() };
    let own = caller.front.namespace.as_str();
    let seen: Vec<&Service<'s>> = caller.model.services.seen_from(own);
    let ports: BTreeSet<u16> =
        seen.iter().flat_map(|it| it.ports.iter()).filter(|it| !it.udp).map(|it| it.number).collect();
    let bound = binding::bound(caller.model, MESH, own, caller.first);
    // Requests to port 80 meet hosts that are no Service's too.
    let hosts_alone = (!bound.is_empty()).then_some(80);
    let ports: BTreeSet<u16> = ports.into_iter().chain(hosts_alone).collect();
    let nearest = nearest(caller, &bound, &seen);
    for port in ports.into_iter().filter(|port| only.is_none_or(|only| only.contains(port))) {
        let has = |it: &&&Service<'s>| it.ports.iter().any(|own| own.number == port && !own.udp);
        let registry: Registry<'_, 's> = seen.iter().filter(has).map(|it| (it.host.to_lowercase(), *it)).collect();
        let making = Making { caller, port, bound: &bound, registry: &registry, nearest: &nearest };
        let listener = making.listener(&mut core);
        if !listener.chains.is_empty() {
            core.listeners.insert(port, listener);
        }
    }
    core
}

/// Per Service: the VirtualService with its name, or with the narrowest wildcard around it. Only that one's wildcards
/// take the Service.
fn nearest<'s>(caller: Caller<'_, 's, '_>, bound: &[(u8, usize)], seen: &[&Service<'s>]) -> HashMap<String, usize> {
    let mut of_host: HashMap<&str, usize> = HashMap::new();
    for (_, index) in bound {
        let hosts = caller.model.routes.get(*index).map(|it| it.hosts.as_slice()).unwrap_or_default();
        for host in hosts {
            of_host.entry(host).or_insert(*index);
        }
    }
    let wide = |host: &str| {
        let around = of_host.iter().filter(|(known, _)| known.starts_with('*') && is_subset(host, known));
        around.max_by_key(|(known, _)| known.len()).map(|(_, index)| *index)
    };
    let each = seen
        .iter()
        .filter_map(|it| Some((it.host.to_lowercase(), *of_host.get(it.host.as_str()).or(wide(&it.host).as_ref())?)));
    each.collect()
}

/// A port in the making.
struct Making<'a, 's, 'o> {
    caller: Caller<'a, 's, 'o>,
    port: u16,
    /// VirtualServices in their order: rank and index.
    bound: &'a [(u8, usize)],
    /// Services with this port.
    registry: &'a Registry<'a, 's>,
    nearest: &'a HashMap<String, usize>,
}

/// A VirtualService with rules for this port.
struct Wrapper<'a, 's> {
    rank: u8,
    manifest: &'s Manifest,
    routes: Routes,
    /// Its hosts that are no Services.
    hosts: Vec<String>,
    services: Vec<&'a Service<'s>>,
}

/// What was taken by whom: a second one for the same is left out.
#[derive(Default)]
struct Taken<'s> {
    names: HashMap<String, Option<(u8, &'s Manifest)>>,
    domains: HashSet<String>,
    /// Full names of Services, which are no short names of others.
    known: HashSet<String>,
}

impl<'s> Making<'_, 's, '_> {
    fn listener(&self, core: &mut Core<'s>) -> Listener<'s> {
        let mut listener = Listener::new();
        let server = |manifest: &'s Manifest| Place { manifest, pointer: String::new() };
        for service in self.registry.values().filter(|it| !is_http(it, self.port)) {
            let Some(manifest) = service.manifests.first() else { continue };
            let to = if is_tls(service, self.port) {
                self.by_name(core, service, manifest)
            } else {
                ChainTo::Tcp(self.connections(core, service, manifest))
            };
            let names = domains(service, &self.caller.front.namespace);
            listener.push(Chain { names, security: Security::None, to, server: server(manifest) });
        }
        let table = self.table(core);
        if let Some(manifest) = table.hosts.iter().flat_map(|host| &host.segments).map(|it| it.manifest).next() {
            let to = ChainTo::Http(core.tables.len());
            listener.push(Chain { names: Vec::new(), security: Security::None, to, server: server(manifest) });
            core.tables.push(table);
        }
        // Two Services may have one name: whoever comes first has it.
        listener.refused = None;
        listener
    }

    fn table(&self, core: &mut Core<'s>) -> RouteTable<'s> {
        let wrappers = self.wrappers(core);
        let mut taken = Taken::default();
        let taken_up: HashSet<&str> =
            wrappers.iter().flat_map(|it| &it.services).map(|service| service.host.as_str()).collect();
        taken.known.extend(taken_up.iter().map(|host| host.to_lowercase()));
        let mut table = RouteTable::default();
        for wrapper in &wrappers {
            let segment = || Segment {
                gateway: 0,
                gateway_manifest: wrapper.manifest,
                server: 0,
                rank: wrapper.rank,
                manifest: wrapper.manifest,
                routes: wrapper.routes.0,
                catch_all: wrapper.routes.1,
            };
            let by = Some((wrapper.rank, wrapper.manifest));
            for host in &wrapper.hosts {
                self.add(core, &mut table, &mut taken, (host, vec![host.clone()]), by, segment());
            }
            for service in &wrapper.services {
                let domains = domains(service, &self.caller.front.namespace);
                self.add(core, &mut table, &mut taken, (&service.host.to_lowercase(), domains), by, segment());
            }
        }
        for (host, service) in self.registry.iter().filter(|(_, it)| !taken_up.contains(it.host.as_str())) {
            let Some(manifest) = service.manifests.first().filter(|_| is_http(service, self.port)) else { continue };
            if service.external_name.is_some() {
                continue;
            }
            let at = core.routes.len();
            core.routes.push(self.straight(service, manifest));
            let segment = Segment {
                gateway: 0,
                gateway_manifest: manifest,
                server: 0,
                rank: 0,
                manifest,
                routes: (at, at),
                catch_all: Some(at),
            };
            let domains = domains(service, &self.caller.front.namespace);
            self.add(core, &mut table, &mut taken, (host, domains), None, segment);
        }
        table.lengths = table.suffix.keys().map(String::len).collect();
        table.lengths.sort_unstable_by(|a, b| b.cmp(a));
        table.lengths.dedup();
        table
    }

    /// VirtualServices with rules for this caller and port, in their order.
    fn wrappers(&self, core: &mut Core<'s>) -> Vec<Wrapper<'_, 's>> {
        let mut found = Vec::new();
        for (rank, index) in self.bound {
            let Some(route) = self.caller.model.routes.get(*index) else { continue };
            if self.port != 80 && !self.selects(route) {
                continue;
            }
            let at = At {
                model: self.caller.model,
                front: self.caller.front,
                cluster: self.caller.cluster,
                gateway: MESH,
                port: self.port,
                tls: false,
                of_sidecars: false,
            };
            let Some(routes) = rules::compile(core, &at, route) else { continue };
            let (hosts, mut services) = self.apart(*index, route);
            services.retain(|service| is_http(service, self.port));
            if !services.is_empty() || self.port == 80 {
                found.push(Wrapper { rank: *rank, manifest: route.manifest, routes, hosts, services });
            }
        }
        found
    }

    /// Does any of its hosts mean a Service with this port?
    fn selects(&self, route: &VirtualService<'_>) -> bool {
        route
            .hosts
            .iter()
            .map(|host| host.to_lowercase())
            .any(|host| self.registry.contains_key(&host) || self.registry.keys().any(|known| matches(&host, known)))
    }

    /// Its hosts that are no Services, and the Services that it takes.
    fn apart(&self, index: usize, route: &VirtualService<'_>) -> (Vec<String>, Vec<&Service<'s>>) {
        let (mut hosts, mut services) = (Vec::new(), Vec::new());
        let lower: Vec<String> = route.hosts.iter().map(|host| host.to_lowercase()).collect();
        for host in lower.iter().filter(|host| !host.starts_with('*')) {
            match self.registry.get(host) {
                Some(service) => services.push(*service),
                None => hosts.push(host.clone()),
            }
        }
        for wide in lower.iter().filter(|host| host.starts_with('*')) {
            let mut meant = self.registry.iter().filter(|(host, _)| matches(wide, host)).peekable();
            if meant.peek().is_none() {
                hosts.push(wide.clone());
            }
            services.extend(meant.filter(|(host, _)| self.nearest.get(*host) == Some(&index)).map(|(_, it)| *it));
        }
        (hosts, services)
    }

    /// Adds a virtual host, as far as nobody has its names.
    fn add(
        &self,
        core: &mut Core<'s>,
        table: &mut RouteTable<'s>,
        taken: &mut Taken<'s>,
        (host, domains): (&str, Vec<String>),
        by: Option<(u8, &'s Manifest)>,
        segment: Segment<'s>,
    ) {
        let name = names::virtual_host(host, self.port);
        if let Some(before) = taken.names.get(&name) {
            self.contest(core, *before, by);
            return;
        }
        taken.names.insert(name.clone(), by);
        let full = |domain: &String| domain == host || !taken.known.contains(domain);
        let domains: Vec<String> = domains.into_iter().filter(full).filter(|it| !taken.domains.contains(it)).collect();
        let Some(first) = domains.first().cloned() else { return };
        let at = table.hosts.len();
        for domain in domains {
            match domain.strip_prefix('*') {
                Some("") => table.any = Some(at),
                Some(suffix) => drop(table.suffix.insert(suffix.to_owned(), at)),
                None => drop(table.exact.insert(domain.clone(), at)),
            }
            taken.domains.insert(domain);
        }
        table.hosts.push(VirtualHost {
            name,
            domain: first,
            https_only: None,
            segments: vec![segment],
            contested: false,
        });
    }

    /// Two VirtualServices for one host: the older one has it all.
    fn contest(&self, core: &mut Core<'s>, a: Option<(u8, &'s Manifest)>, b: Option<(u8, &'s Manifest)>) {
        let (Some((of_a, a)), Some((of_b, b))) = (a, b) else { return };
        if of_a == of_b && a.id != b.id && self.caller.model.ages.known(a, b).is_none() {
            core.contested.push((self.port, a, b));
        }
    }

    /// The way to a Service that no VirtualService has rules for.
    fn straight(&self, service: &Service<'s>, manifest: &'s Manifest) -> Route<'s> {
        let place = Place { manifest, pointer: String::new() };
        Route {
            matcher: Matcher::default(),
            action: Action::Forward(Box::new(action::straight(
                &self.resolver(service.namespace),
                &service.host,
                place,
            ))),
            cors: None,
            rule: chain::rule_at(manifest, "", None),
        }
    }

    fn resolver<'r>(&'r self, namespace: &'r str) -> Resolver<'r, 's, 'r> {
        Resolver {
            model: self.caller.model,
            front: self.caller.front,
            cluster: self.caller.cluster,
            namespace,
            port: self.port,
        }
    }
}

/// Is one of two hosts inside the other, as istiod asks (`Name.Matches`)?
fn matches(a: &str, b: &str) -> bool {
    (a.starts_with('*') || b.starts_with('*')) && (is_subset(a, b) || is_subset(b, a))
}

/// Does a Service speak HTTP on a port, or what its sidecar finds out to be HTTP?
fn is_http(service: &Service<'_>, port: u16) -> bool {
    service.ports.iter().any(|it| it.number == port && it.http)
}

/// Does a Service speak TLS on a port, which its sidecar does not end?
fn is_tls(service: &Service<'_>, port: u16) -> bool {
    service.ports.iter().any(|it| it.number == port && it.tls)
}

/// The names by which pods of a namespace call a Service.
fn domains(service: &Service<'_>, from: &str) -> Vec<String> {
    let host = service.host.to_lowercase();
    let mut all = vec![host.clone(), format!("{host}.")];
    if let Some((name, space)) = host.strip_suffix(".svc.cluster.local").and_then(|rest| rest.split_once('.')) {
        if space == from {
            all.push(name.to_owned());
        }
        all.extend([format!("{name}.{space}"), format!("{name}.{space}.svc")]);
    }
    let headless = |it: &&Manifest| text(&it.object, "/spec/clusterIP") == "None";
    if service.manifests.first().is_some_and(headless) {
        let wide: Vec<String> = all.iter().map(|domain| format!("*.{domain}")).collect();
        all.extend(wide);
    }
    all
}
