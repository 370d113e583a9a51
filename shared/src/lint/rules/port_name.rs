//! # port-name
//!
//! ## What it finds
//!
//! A port of a Service whose protocol Istio cannot tell: the name is not `PROTOCOL` or `PROTOCOL-…` and there is no
//! `appProtocol`. Protocols are http, http2, https, grpc, grpc-web, tcp, tls, udp, mongo, mysql and redis. UDP ports,
//! ports with a well-known number (25, 53, 3306, 27017) and system namespaces do not count.
//!
//! ## Why it is bad
//!
//! Istio looks at the first bytes of each connection instead. Where the server speaks first that costs seconds, and
//! rules for HTTP may not apply.
//!
//! ## How to mend it
//!
//! Set `appProtocol`, or name the port `http-…`, `tcp-…`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, is_system, protocol_of};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "port-name",
    severity: Severity::Info,
    summary: "the protocol of a port cannot be told",
    istio: &["IST0118"],
    kiali: &["KIA0601", "KIA0602"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("port_name.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let own = world.services().iter().filter(|service| !service.generated && service.kind != "ExternalName");
    for service in own.filter(|service| !is_system(service.manifest)) {
        for (index, port) in service.ports.iter().enumerate().filter(|(_, port)| protocol_of(port).is_none()) {
            let message = match (port.app_protocol, port.name) {
                (Some(word), _) => format!("appProtocol `{word}` is no protocol that Istio knows"),
                (None, Some(name)) => format!("the name `{name}` does not say what port {} speaks", port.port),
                (None, None) => format!("nothing says what port {} speaks", port.port),
            };
            let report = Report::at(service.manifest, format!("/spec/ports/{index}"), message);
            let report = report.hint("Set appProtocol: http, tcp, …");
            sink.push(match guess(port.name, port.port) {
                Some(word) => {
                    let edit = EditOp::Set(format!("/spec/ports/{index}/appProtocol"), word.into());
                    report.fix(format!("say that it speaks {word}"), false, vec![(service.manifest, edit)])
                }
                None => report,
            });
        }
    }
}

/// What a port most likely speaks.
fn guess(name: Option<&str>, port: u64) -> Option<&'static str> {
    let name = name.unwrap_or_default().to_lowercase();
    match port {
        _ if name.contains("grpc") => Some("grpc"),
        _ if name.contains("https") => Some("https"),
        _ if name.contains("http") || name == "web" => Some("http"),
        443 | 8443 => Some("https"),
        80 | 8000 | 8080 | 9080 => Some("http"),
        6379 => Some("redis"),
        _ => None,
    }
}
