//! # sni-host
//! ## What it finds
//!
//! An item of `sniHosts` in `spec.tls` that no host of the VirtualService has, that is no name, or that is an address.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the VirtualService. Clients do not send addresses as SNI, so such a rule takes no connection.
//!
//! ## How to mend it
//!
//! Add the host to `hosts`, or correct it.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, has_all_of, host_fault, is_address, items, rules_of};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "sni-host",
    severity: Severity::Error,
    summary: "a rule for TLS connections asks for a host that it cannot get",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("sni_host.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        let hosts = &route.route.hosts;
        for (at, rule) in rules_of(route.manifest, "tls") {
            for (number, entry) in items(rule, "/match") {
                let names = items(entry, "/sniHosts").filter_map(|(index, name)| Some((index, name.as_str()?)));
                for (index, name) in names {
                    let place = format!("{at}/match/{number}/sniHosts/{index}");
                    let report = |message: String| Report::at(route.manifest, place.clone(), message);
                    if is_address(name) {
                        let message = format!("{name} is an address, and clients send names");
                        sink.push(report(message).severity(Severity::Warning));
                    } else if let Some(fault) = host_fault(name).filter(|_| !name.starts_with("outbound_")) {
                        sink.push(report(fault));
                    } else if !hosts.iter().any(|host| has_all_of(&host.to_lowercase(), &name.to_lowercase())) {
                        let message = format!("no host of this VirtualService has {name}: {}", hosts.join(", "));
                        let edit = (route.manifest, EditOp::Append("/spec/hosts".to_owned(), name.into()));
                        let report = report(message).hint("Add it to hosts, or correct it");
                        sink.push(report.fix(format!("add {name} to hosts"), false, vec![edit]));
                    }
                }
            }
        }
    }
}
