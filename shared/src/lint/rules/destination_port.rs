//! # destination-port
//!
//! ## What it finds
//!
//! A destination without a port whose host has several.
//!
//! ## Why it is bad
//!
//! istiod cannot tell which port is meant. It takes the port that the request came in by, which is the right one only
//! by chance, and 503 otherwise.
//!
//! ## How to mend it
//!
//! Name the port: `port: {number: …}`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::istio::VirtualService;
use crate::object::At as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "destination-port",
    severity: Severity::Error,
    summary: "a destination without a port goes to a host that has several",
    istio: &["IST0112"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("destination_port.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for (to, pointer) in VirtualService::destinations(&route.manifest.object) {
            if to.port.is_some() {
                continue;
            }
            let found = world.host_for(&to.host, route.manifest);
            let mut ports: BTreeMap<u64, bool> = BTreeMap::new();
            for service in found.services.iter().filter_map(|index| world.services().get(*index)) {
                ports.extend(service.ports.iter().map(|port| {
                    let word = port.app_protocol.or(port.name).unwrap_or_default();
                    (port.port, speaks_http(word))
                }));
            }
            let entries = found.entries.iter().filter_map(|entry| entry.object.at("/spec/ports")?.as_array());
            ports.extend(entries.flatten().filter_map(|port| {
                let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or_default();
                Some((port.get("number")?.as_u64()?, speaks_http(protocol)))
            }));
            if ports.len() < 2 {
                continue;
            }
            let numbers: Vec<String> = ports.keys().map(u64::to_string).collect();
            let message = format!("{} has the ports {}: which one is meant?", to.host, numbers.join(", "));
            let report = Report::at(route.manifest, pointer.clone(), message).hint("Name it: port: {number: …}");
            // With one HTTP port there is little doubt.
            let http: Vec<u64> = ports.iter().filter(|(_, http)| **http).map(|(port, _)| *port).collect();
            sink.push(match http.as_slice() {
                [only] if pointer.starts_with("/spec/http") => {
                    let edit = EditOp::Set(format!("{pointer}/port"), json!({"number": only}));
                    report.fix(format!("name the port {only}"), false, vec![(route.manifest, edit)])
                }
                _ => report,
            });
        }
    }
}

fn speaks_http(word: &str) -> bool {
    let word = word.to_lowercase();
    matches!(word.split('-').next(), Some("http" | "http2" | "grpc"))
}
