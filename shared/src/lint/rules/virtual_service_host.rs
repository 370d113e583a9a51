//! # virtual-service-host
//!
//! ## What it finds
//!
//! A Gateway that a VirtualService is bound to although no server of it accepts any of its hosts, and a host that none of
//! its Gateways accepts. Each host is judged by itself: a VirtualService with one good host and one bad one is dead for the
//! bad one.
//!
//! ## Why it is bad
//!
//! istiod makes a route only where the VirtualService's host and the server's host have a name in common (either may begin
//! with a wildcard; a server's `NAMESPACE/HOST` takes VirtualServices of that namespace only). Requests to the host answer
//! 404.
//!
//! ## How to mend it
//!
//! Add the host to a server of the Gateway, or correct it.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{GatewayView, Reference, RouteView, World, intersects, namespace};
use crate::fleet::Manifest;
use crate::istio::server_host;
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "virtual-service-host",
    severity: Severity::Warning,
    summary: "no server of its Gateways accepts a host of a VirtualService",
    istio: &["IST0132"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("virtual_service_host.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let others = world.of_kind("gateway.networking.k8s.io", "Gateway");
    let others: HashMap<_, _> = others.map(|other| ((namespace(other), &*other.id.name), other)).collect();
    for route in world.routes() {
        of_gateway_api(world, route, &others, sink);
        let gateways: Vec<_> = world.gateways_of(route).map(|(_, gateway)| gateway).collect();
        // What is bound to nothing is another rule's business.
        if gateways.is_empty() {
            continue;
        }
        let own = namespace(route.manifest);
        let hosts = &route.route.hosts;
        let alive = |gateway: &GatewayView<'_>| hosts.iter().any(|host| accepts(gateway, own, host));
        for (index, gateway) in world.gateways_of(route).filter(|(_, gateway)| !hosts.is_empty() && !alive(gateway)) {
            let (space, name) = gateway.key();
            let what = if hosts.len() == 1 { "the host" } else { "any of the hosts" };
            let message = format!("no server of the Gateway {space}/{name} accepts {what} {}", hosts.join(", "));
            let report = Report::at(route.manifest, format!("/spec/gateways/{index}"), format!("{message}: 404"));
            let report =
                report.related(gateway.manifest, "/spec/servers", format!("its servers accept {}", accepted(gateway)));
            let report = report.hint("Add the host to a server of the Gateway, or correct it");
            sink.push(if gateways.len() > 1 {
                let edit = (route.manifest, EditOp::Remove(format!("/spec/gateways/{index}")));
                // Rather than that, the host may be what is missing.
                report.fix(format!("do not bind it to {space}/{name}"), false, vec![edit])
            } else {
                report
            });
        }
        // The sidecars take any host.
        if route.gateways.contains(&Reference::Mesh) || !gateways.iter().any(|gateway| alive(gateway)) {
            continue;
        }
        for (index, host) in hosts.iter().enumerate() {
            if gateways.iter().any(|gateway| accepts(gateway, own, host)) {
                continue;
            }
            let names: Vec<String> =
                gateways.iter().map(|gateway| gateway.key()).map(|(s, n)| format!("{s}/{n}")).collect();
            let message =
                format!("no server of the Gateway {} accepts the host {host}: it answers 404", names.join(", "));
            // istioctl is content with one host that is accepted.
            let report = Report::at(route.manifest, format!("/spec/hosts/{index}"), message).beyond();
            let report = report.hint("Add the host to a server of the Gateway, or correct it");
            sink.push(gateways.iter().fold(report, |report, gateway| {
                report.related(gateway.manifest, "/spec/servers", format!("its servers accept {}", accepted(gateway)))
            }));
        }
    }
}

/// Gateways of the Gateway API: a listener without a host name takes all.
fn of_gateway_api<'a>(
    world: &World<'a>,
    route: &RouteView<'a>,
    others: &HashMap<(&str, &str), &'a Manifest>,
    sink: &mut Sink<'a>,
) {
    for (index, reference) in route.gateways.iter().enumerate() {
        let Reference::Gateway(space, name) = reference else { continue };
        let other = others.get(&(*space, *name)).filter(|_| world.gateway(space, name).is_none());
        let Some(other) = other.copied() else { continue };
        let listeners = other.object.at("/spec/listeners").and_then(Value::as_array).into_iter().flatten();
        let mut names = listeners.map(|listener| listener.get("hostname").and_then(Value::as_str).unwrap_or("*"));
        let hosts = &route.route.hosts;
        if !hosts.is_empty() && !names.any(|name| hosts.iter().any(|host| intersects(name, host))) {
            let message = format!("no listener of the Gateway {space}/{name} accepts {}: 404", hosts.join(", "));
            let report = Report::at(route.manifest, format!("/spec/gateways/{index}"), message);
            let report = report.related(other, "/spec/listeners", "its listeners");
            sink.push(report.hint("Add the host to a listener of the Gateway, or correct it"));
        }
    }
}

fn accepts(gateway: &GatewayView<'_>, own: &str, host: &str) -> bool {
    let (home, _) = gateway.key();
    gateway.gateway.servers.iter().flat_map(|server| &server.hosts).any(|accepted| {
        let (space, accepted) = server_host(accepted, home);
        space.is_none_or(|space| space == own) && intersects(accepted, host)
    })
}

fn accepted(gateway: &GatewayView<'_>) -> String {
    let mut hosts: Vec<&str> =
        gateway.gateway.servers.iter().flat_map(|server| &server.hosts).map(String::as_str).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.join(", ")
}
