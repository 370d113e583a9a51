//! # service-entry-addresses
//!
//! ## What it finds
//!
//! A ServiceEntry without `addresses` with a port of protocol TCP, or of none.
//!
//! ## Why it is bad
//!
//! For TCP there is no host name in a request: the sidecar can tell the host by its address only. Without one the
//! listener takes every connection to that port, whatever host is meant.
//!
//! ## How to mend it
//!
//! Add `addresses`, say what the port speaks (HTTP, TLS, …), or let ASM's DNS proxy give addresses.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "service-entry-addresses",
    severity: Severity::Warning,
    summary: "a TCP port of a ServiceEntry without addresses",
    istio: &["IST0134"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("service_entry_addresses.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for entry in world.of_kind(ISTIO_NETWORKING, "ServiceEntry") {
        let list =
            |pointer: &str| entry.object.at(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !list("/spec/addresses").is_empty() || !list("/status/addresses").is_empty() {
            continue;
        }
        for (index, port) in list("/spec/ports").iter().enumerate() {
            let field = |name: &str| port.get(name).and_then(Value::as_str).unwrap_or_default().to_uppercase();
            let protocol = field("protocol");
            if !matches!(protocol.as_str(), "" | "TCP") {
                continue;
            }
            let number = port.get("number").and_then(Value::as_u64).unwrap_or_default();
            let message =
                format!("port {number} takes every TCP connection to that port: the ServiceEntry has no addresses");
            let report =
                Report::at(entry, format!("/spec/ports/{index}"), message).hint("Add addresses, or say what it speaks");
            let name = field("name");
            let word =
                name.split('-').next().filter(|word| matches!(*word, "HTTP" | "HTTPS" | "TLS" | "GRPC" | "HTTP2"));
            sink.push(match word.filter(|_| protocol.is_empty()) {
                Some(word) => {
                    let edit = (entry, EditOp::Set(format!("/spec/ports/{index}/protocol"), word.into()));
                    report.fix(format!("say that it speaks {word}, as its name does"), false, vec![edit])
                }
                None => report,
            });
        }
    }
}
