//! # destination-host
//!
//! ## What it finds
//!
//! A route or mirror whose destination host is neither a Service in any cluster nor a host of a ServiceEntry, and a port
//! that the Service does not have.
//!
//! Where the files hold no Service, ServiceEntry or workload of the host's namespace at all, its applications stand
//! elsewhere and nothing is said.
//!
//! ## Why it is bad
//!
//! istiod makes a route to a cluster that does not exist: the gateway answers 503, and nothing reports it. A short name
//! means the VirtualService's own namespace.
//!
//! ## How to mend it
//!
//! Correct the host (`NAME.NAMESPACE.svc.cluster.local` for another namespace) or the port, or add the Service.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{HostMatch, World, namespace};
use crate::distance::distance;
use crate::istio::{RouteDestination, VirtualService, full_host};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "destination-host",
    severity: Severity::Error,
    summary: "a route goes to a host or port that does not exist",
    istio: &["IST0101"],
    kiali: &["KIA1101"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("destination_host.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in &world.routes {
        let own = namespace(route.manifest);
        for (to, pointer) in VirtualService::destinations(&route.manifest.object) {
            let found = world.hosts.find(&to.host, own);
            if found.is_empty() {
                if world.knows_namespace(namespace_of(&to.host, own)) {
                    let message = format!("there is no Service and no ServiceEntry {}", full_host(&to.host, own));
                    let report = Report::at(route.manifest, pointer, format!("{message}: requests answer 503"));
                    sink.push(report.hints(meant(world, &to.host, own)));
                }
            } else if let Some(message) = wrong_port(world, &to, &found) {
                sink.push(Report::at(route.manifest, pointer, message).hint("Name a port that the Service has"));
            }
        }
    }
}

/// The namespace in which a host has to be.
fn namespace_of<'h>(host: &'h str, own: &'h str) -> &'h str {
    let mut labels = host.split('.');
    let (_, space, rest) = (labels.next(), labels.next(), labels.next());
    match (space, rest) {
        (Some(space), Some("svc") | None) => space,
        // Some name outside the cluster: only a ServiceEntry could know it, in the namespace of whoever uses it.
        _ => own,
    }
}

fn wrong_port(world: &World<'_>, to: &RouteDestination, found: &HostMatch<'_>) -> Option<String> {
    let port = u64::from(to.port?);
    // A ServiceEntry may add ports; its own are judged with it.
    if !found.entries.is_empty() {
        return None;
    }
    let mut ports: Vec<u64> = Vec::new();
    for service in found.services.iter().filter_map(|index| world.services.get(*index)) {
        ports.extend(service.ports.iter().map(|port| port.port));
    }
    if ports.contains(&port) {
        return None;
    }
    ports.sort_unstable();
    ports.dedup();
    let ports: Vec<String> = ports.iter().map(u64::to_string).collect();
    Some(format!("the Service {} has no port {port}, only {}", to.host, ports.join(", ")))
}

fn meant(world: &World<'_>, host: &str, own: &str) -> Option<String> {
    let full = full_host(host, own);
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let names = world.hosts.names();
    // The same name in another namespace, or almost the same name.
    let near =
        names.map(|name| (distance(name, &full), name)).filter(|(far, name)| *far <= 2 || short(name) == short(&full));
    near.min().map(|(_, name)| format!("Did you mean {name}?"))
}
