//! # external-name-port
//!
//! ## What it finds
//!
//! A Service of type ExternalName with a port whose name does not say its protocol, or says just `tcp`.
//!
//! ## Why it is bad
//!
//! Istio makes a listener for such a port on every address of the mesh. Requests to other Services on the same port
//! then go to the external name.
//!
//! ## How to mend it
//!
//! Name the port by what it speaks (`https`, `tcp-NAME`), or use a ServiceEntry.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, is_system, protocol_of};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "external-name-port",
    severity: Severity::Warning,
    summary: "a port of an ExternalName Service takes in other requests",
    istio: &["IST0150"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("external_name_port.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let external = world.services().iter().filter(|service| service.kind == "ExternalName");
    for service in external.filter(|service| !is_system(service.manifest)) {
        for (index, port) in service.ports.iter().enumerate() {
            if protocol_of(port).is_some() && port.name != Some("tcp") {
                continue;
            }
            let message = format!("port {} of an ExternalName Service takes in requests to other Services", port.port);
            let report = Report::at(service.manifest, format!("/spec/ports/{index}"), message);
            let report = report.hint("Name it by what it speaks, such as https");
            sink.push(match port.port {
                443 if port.app_protocol.is_none() => {
                    let edit = EditOp::Set(format!("/spec/ports/{index}/name"), "https".into());
                    report.fix("name it https", false, vec![(service.manifest, edit)])
                }
                _ => report,
            });
        }
    }
}
