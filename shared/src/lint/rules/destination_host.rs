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
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{HostMatch, World, host_namespace, namespace};
use crate::distance::distance;
use crate::istio::{RouteDestination, VirtualService, full_host};
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "destination-host",
    severity: Severity::Error,
    summary: "a route goes to a host or port that does not exist",
    istio: &["IST0101"],
    kiali: &["KIA1101"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("destination_host.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        let own = namespace(route.manifest);
        for pointer in without_destination(&route.manifest.object) {
            let message = "this entry names no destination: there is nowhere to send requests to";
            sink.push(Report::at(route.manifest, pointer, message).hint("Name one: destination: {host: …}"));
        }
        for (to, pointer) in VirtualService::destinations(&route.manifest.object) {
            let found = world.host_for(&to.host, route.manifest);
            if found.is_empty() {
                if world.knows_namespace(host_namespace(&to.host, own)) {
                    let message = format!("there is no Service and no ServiceEntry {}", full_host(&to.host, own));
                    let report = Report::at(route.manifest, pointer.clone(), format!("{message}: requests answer 503"));
                    sink.push(match meant(world, &to.host, own) {
                        Some(name) => {
                            let edit = EditOp::Set(format!("{pointer}/host"), name.clone().into());
                            let report = report.hint(format!("Did you mean {name}?"));
                            report.fix(format!("send them to {name}"), false, vec![(route.manifest, edit)])
                        }
                        None if !world.hosts().find(&to.host, own).is_empty() => {
                            report.hint("There is one, but `exportTo` keeps it from those who see this VirtualService")
                        }
                        None => report,
                    });
                }
            } else if let Some(message) = wrong_port(world, &to, &found) {
                sink.push(Report::at(route.manifest, pointer, message).hint("Name a port that the Service has"));
            }
        }
    }
}

/// Places of route entries without a host.
fn without_destination(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["http", "tls", "tcp"] {
        let rules = object.at(&format!("/spec/{kind}")).and_then(Value::as_array).into_iter().flatten();
        for (rule, value) in rules.enumerate() {
            let entries = value.get("route").and_then(Value::as_array).into_iter().flatten().enumerate();
            let empty = entries.filter(|(_, entry)| entry.at("/destination/host").is_none());
            found.extend(empty.map(|(index, _)| format!("/spec/{kind}/{rule}/route/{index}")));
        }
    }
    found
}

fn wrong_port(world: &World<'_>, to: &RouteDestination, found: &HostMatch<'_>) -> Option<String> {
    let port = u64::from(to.port?);
    let mut ports: Vec<u64> = Vec::new();
    for entry in &found.entries {
        let own = entry.object.at("/spec/ports").and_then(Value::as_array);
        // It says nothing of ports: nothing can be said of them.
        ports.extend(own?.iter().filter_map(|port| port.get("number").and_then(Value::as_u64)));
    }
    for service in found.services.iter().filter_map(|index| world.services().get(*index)) {
        ports.extend(service.ports.iter().map(|port| port.port));
    }
    if ports.contains(&port) {
        return None;
    }
    ports.sort_unstable();
    ports.dedup();
    let ports: Vec<String> = ports.iter().map(u64::to_string).collect();
    Some(format!("{} has no port {port}, only {}", to.host, ports.join(", ")))
}

fn meant(world: &World<'_>, host: &str, own: &str) -> Option<String> {
    let full = full_host(host, own);
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let names = world.hosts().names().filter(|name| *name != full);
    // The same name in another namespace, or almost the same name.
    let near =
        names.map(|name| (distance(name, &full), name)).filter(|(far, name)| *far <= 2 || short(name) == short(&full));
    near.min().map(|(_, name)| name.to_owned())
}
