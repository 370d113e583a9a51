//! # service-entry-protocol
//!
//! ## What it finds
//!
//! ServiceEntries that give one port of one host different protocols, where both are exported to the same namespaces.
//!
//! ## Why it is bad
//!
//! One of them is used for the port, and which one is not defined.
//!
//! ## How to mend it
//!
//! Say the same in both, or join them.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Scope, World, namespace, scope};
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "service-entry-protocol",
    severity: Severity::Warning,
    summary: "ServiceEntries disagree about the protocol of a port",
    istio: &["IST0177"],
    kiali: &["KIA1211"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("service_entry_protocol.rs"),
    check,
};

/// A port in a ServiceEntry: who sees it, what it speaks, where.
struct Port<'a> {
    entry: &'a Manifest,
    scope: Scope<'a>,
    protocol: String,
    pointer: String,
}

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut ports: BTreeMap<(String, u64), Vec<Port<'a>>> = BTreeMap::new();
    for entry in world.of_kind(ISTIO_NETWORKING, "ServiceEntry") {
        let list = |pointer: &str| entry.object.at(pointer).and_then(Value::as_array).into_iter().flatten();
        for host in list("/spec/hosts").filter_map(Value::as_str) {
            for (index, port) in list("/spec/ports").enumerate() {
                let Some(number) = port.get("number").and_then(Value::as_u64) else { continue };
                let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or_default().to_uppercase();
                let pointer = format!("/spec/ports/{index}/protocol");
                let port = Port { entry, scope: scope(entry), protocol, pointer };
                ports.entry((host.to_lowercase(), number)).or_default().push(port);
            }
        }
    }
    let mut told = BTreeSet::new();
    for ((host, number), ports) in ports.into_iter().filter(|(_, ports)| ports.len() > 1) {
        let protocols: BTreeSet<&str> = ports.iter().map(|port| port.protocol.as_str()).collect();
        if protocols.len() < 2 {
            continue;
        }
        for port in &ports {
            let Some(other) =
                ports.iter().find(|other| other.protocol != port.protocol && meet(&other.scope, &port.scope))
            else {
                continue;
            };
            // Once for each ServiceEntry.
            if told.insert(&port.entry.id) {
                let name = format!("{}/{}", namespace(other.entry), other.entry.id.name);
                let words = |word: &str| if word.is_empty() { "no protocol".to_owned() } else { word.to_owned() };
                let message = format!(
                    "{host}:{number} is {} here and {} in {name}",
                    words(&port.protocol),
                    words(&other.protocol)
                );
                let report = Report::at(port.entry, port.pointer.clone(), message);
                sink.push(
                    report.related(other.entry, &other.pointer, "the other protocol").hint("Say the same in both"),
                );
            }
        }
    }
}

/// Does anybody see both?
fn meet(a: &Scope<'_>, b: &Scope<'_>) -> bool {
    match (a, b) {
        (Scope::Some(a), Scope::Some(b)) => a.intersection(b).next().is_some(),
        _ => true,
    }
}
