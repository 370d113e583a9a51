//! # virtual-service-host
//!
//! ## What it finds
//!
//! A host of a VirtualService that no server of the Gateways it is bound to accepts. Each host is judged by itself: a
//! VirtualService with one good host and one bad one is dead for the bad one.
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
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{GatewayView, Reference, World, intersects, namespace};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "virtual-service-host",
    severity: Severity::Warning,
    summary: "no server of its Gateways accepts a host of a VirtualService",
    istio: &["IST0132"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("virtual_service_host.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in &world.routes {
        let gateways: Vec<_> = world.gateways_of(route).map(|(_, gateway)| gateway).collect();
        // The sidecars take any host; what is bound to nothing is another rule's business.
        if gateways.is_empty() || route.gateways.contains(&Reference::Mesh) {
            continue;
        }
        for (index, host) in route.route.hosts.iter().enumerate() {
            if gateways.iter().any(|gateway| accepts(gateway, namespace(route.manifest), host)) {
                continue;
            }
            let names: Vec<String> =
                gateways.iter().map(|gateway| gateway.key()).map(|(s, n)| format!("{s}/{n}")).collect();
            let message =
                format!("no server of the Gateway {} accepts the host {host}: it answers 404", names.join(", "));
            let report = Report::at(route.manifest, format!("/spec/hosts/{index}"), message);
            let report = report.hint("Add the host to a server of the Gateway, or correct it");
            sink.push(gateways.iter().fold(report, |report, gateway| {
                report.related(gateway.manifest, "/spec/servers", format!("its servers accept {}", hosts(gateway)))
            }));
        }
    }
}

fn accepts(gateway: &GatewayView<'_>, own: &str, host: &str) -> bool {
    let (home, _) = gateway.key();
    gateway.gateway.servers.iter().flat_map(|server| &server.hosts).any(|accepted| match accepted.split_once('/') {
        None => intersects(accepted, host),
        Some((space, accepted)) => match space {
            "*" => intersects(accepted, host),
            "." => home == own && intersects(accepted, host),
            space => space == own && intersects(accepted, host),
        },
    })
}

fn hosts(gateway: &GatewayView<'_>) -> String {
    let mut hosts: Vec<&str> =
        gateway.gateway.servers.iter().flat_map(|server| &server.hosts).map(String::as_str).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.join(", ")
}
