//! # two-doors
//!
//! ## What it finds
//!
//! A host that servers of Gateways open on the same port of several IstioGateways with different TLS modes or redirects. A
//! warning when these gateways are of the same address type, information when one is internal and the other is not.
//!
//! ## Why it is bad
//!
//! DNS decides which load balancer a client reaches: the same URL is then encrypted or not, redirected or not, depending on the
//! answer.
//!
//! ## How to mend it
//!
//! Give the servers the same protocol and TLS settings, or share one Gateway between the gateways.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::fleet::Manifest;
use crate::istio::Server;
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "two-doors",
    severity: Severity::Warning,
    summary: "one host is served by several gateways in different ways",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("two_doors.rs"),
    check,
};

/// A server of a host on one gateway: the Gateway with the index of the server, and the gateway.
struct Door<'w, 'a> {
    manifest: &'a Manifest,
    index: usize,
    server: &'w Server,
    gateway: &'a Manifest,
}

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut first: HashMap<(&str, u16), Door<'_, 'a>> = HashMap::new();
    for view in world.gateways() {
        let mut gateways: Vec<&'a Manifest> = Vec::new();
        for pod in view.pods.iter().filter_map(|index| world.pods().get(*index)).filter(|pod| pod.is_istio_gateway()) {
            // Pods of one gateway stand together, a pod for each cluster.
            if !gateways.last().is_some_and(|last| std::ptr::eq(*last, pod.manifest)) {
                gateways.push(pod.manifest);
            }
        }
        let servers =
            view.gateway.servers.iter().enumerate().filter_map(|(at, server)| Some((at, server, server.port?)));
        for (index, server, port) in servers {
            for host in server
                .hosts
                .iter()
                .map(|host| host.split_once('/').map_or(host.as_str(), |(_, host)| host))
                .filter(|host| *host != "*")
            {
                for gateway in &gateways {
                    let door = Door { manifest: view.manifest, index, server, gateway };
                    match first.get(&(host, port)) {
                        Some(other) => sink.extend(judge(host, port, &door, other)),
                        None => _ = first.insert((host, port), door),
                    }
                }
            }
        }
    }
}

fn judge<'a>(host: &str, port: u16, door: &Door<'_, 'a>, other: &Door<'_, 'a>) -> Option<Report<'a>> {
    if std::ptr::eq(door.gateway, other.gateway)
        || std::ptr::eq(door.manifest, other.manifest) && door.index == other.index
    {
        return None;
    }
    let (own, theirs) = (told(door.server), told(other.server));
    if own == theirs {
        return None;
    }
    let message = format!(
        "{host} on port {port} is {own} on the gateway {}, and {theirs} on {}",
        door.gateway.id.name, other.gateway.id.name
    );
    let report = Report::at(door.manifest, format!("/spec/servers/{}", door.index), message);
    let report = report.related(other.manifest, &format!("/spec/servers/{}", other.index), "the other door");
    let same = is_internal(door.gateway) == is_internal(other.gateway);
    Some(if same { report } else { report.severity(Severity::Info) })
}

fn told(server: &Server) -> String {
    let mode = server.tls_mode.as_deref().map(|mode| format!(" with TLS {mode}")).unwrap_or_default();
    let redirect = if server.redirects_to_https { " redirecting to HTTPS" } else { "" };
    format!("{}{mode}{redirect}", server.protocol)
}

fn is_internal(gateway: &Manifest) -> bool {
    let annotations = gateway.object.at("/spec/serviceAnnotations");
    let kind = gateway.object.at("/spec/serviceType").and_then(Value::as_str);
    kind == Some("ClusterIP")
        || crate::asm::annotations::setting(annotations, "loadbalancer-address-type") == Some("intranet")
}
