//! # gateway-server
//! ## What it finds
//!
//! A port of a Gateway's server with a number that no port has, a protocol that Istio does not know, a `targetPort`, or the name of
//! another server's port; a `bind` that is no address; a Gateway whose own name is no DNS label.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the Gateway. Where there is none, the server is left out, and nothing listens on its port.
//!
//! ## How to mend it
//!
//! As the message says. The pods listen on the port's number; where a Service leads to it is the Service's `targetPort`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{GatewayView, World, has, is_address, is_label, items, text};
use crate::distance::distance;
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-server",
    severity: Severity::Error,
    summary: "a server of a Gateway is written wrongly",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("gateway_server.rs"),
    check,
};

/// What a port may speak, as it is mostly written.
const PROTOCOLS: [&str; 12] =
    ["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TLS", "TCP", "MONGO", "REDIS", "MYSQL", "UDP", "HTTP_PROXY"];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for gateway in world.gateways() {
        let (_, name) = gateway.key();
        if !is_label(name) {
            let message = format!("a Gateway cannot be named `{name}`: its name must be letters, digits and dashes");
            sink.push(Report::at(gateway.manifest, "/metadata/name", message));
        }
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (number, server) in items(&gateway.manifest.object, "/spec/servers") {
            port(gateway, number, server, sink);
            bind(gateway, number, server, sink);
            let name = text(server, "/port/name");
            let at = format!("/spec/servers/{number}/port/name");
            match names.get(name) {
                Some(first) if !name.is_empty() => {
                    let report =
                        Report::at(gateway.manifest, at, format!("another port of this Gateway is named {name}"));
                    let first = format!("/spec/servers/{first}/port/name");
                    sink.push(
                        report.related(gateway.manifest, &first, "the other one").hint("Give each a name of its own"),
                    );
                }
                _ => _ = names.insert(name, number),
            }
        }
    }
}

fn port<'a>(gateway: &GatewayView<'a>, number: usize, server: &Value, sink: &mut Sink<'a>) {
    let at = |field: &str| format!("/spec/servers/{number}/port{field}");
    let Some(port) = server.get("port") else { return };
    let manifest = gateway.manifest;
    let socket = text(server, "/bind").starts_with("unix://");
    match port.get("number").and_then(Value::as_u64) {
        Some(found) if !((1..=65535).contains(&found) || found == 0 && socket) => {
            sink.push(Report::at(manifest, at("/number"), format!("{found} is no port: it must be 1 to 65535")));
        }
        _ => {}
    }
    if has(port, "targetPort") && port.get("targetPort").and_then(Value::as_u64) != Some(0) {
        let report =
            Report::at(manifest, at("/targetPort"), "a Gateway has no targetPort: the pods listen on the number");
        let edit = (manifest, EditOp::Remove(at("/targetPort")));
        sink.push(report.hint("Take it away").fix("take targetPort away", true, vec![edit]));
    }
    let protocol = text(port, "/protocol");
    let known = PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol));
    if !protocol.is_empty() && !known {
        let report = Report::at(manifest, at("/protocol"), format!("Istio knows no protocol {protocol}"));
        let upper = protocol.to_uppercase();
        let near = PROTOCOLS.iter().map(|known| (distance(known, &upper), *known)).min();
        sink.push(match near.filter(|(far, known)| *far <= 2 && *far < known.len() - 1) {
            Some((_, meant)) => {
                let edit = (manifest, EditOp::Set(at("/protocol"), meant.into()));
                report.hint(format!("Did you mean {meant}?")).fix(format!("write {meant}"), false, vec![edit])
            }
            None => report.hint(format!("Known: {}", PROTOCOLS[..10].join(", "))),
        });
    }
}

fn bind<'a>(gateway: &GatewayView<'a>, number: usize, server: &Value, sink: &mut Sink<'a>) {
    let bind = text(server, "/bind");
    let fault = match bind.strip_prefix("unix://") {
        None if bind.is_empty() || is_address(bind) => None,
        None => Some(format!("`{bind}` is no IP address, and no unix:// path")),
        Some(path) if !path.starts_with(['/', '@']) => Some(format!("`{bind}` must have an absolute path")),
        Some(_) if server.at("/port/number").and_then(Value::as_u64).is_some_and(|port| port != 0) => {
            Some("a socket has no port: the number must be 0".to_owned())
        }
        Some(_) => None,
    };
    sink.extend(fault.map(|fault| Report::at(gateway.manifest, format!("/spec/servers/{number}/bind"), fault)));
}
