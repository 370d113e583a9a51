//! # dead-server
//!
//! ## What it finds
//!
//! A host of a Gateway's HTTP server for which no VirtualService is bound to the Gateway. Servers that only redirect to
//! HTTPS are meant to have none.
//!
//! ## Why it is bad
//!
//! The port is open, and every request to the host answers 404.
//!
//! ## How to mend it
//!
//! Bind a VirtualService to the Gateway (`kubectl asm route add --gateway …`), or take the host away.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, doors, intersects};
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "dead-server",
    severity: Severity::Info,
    summary: "a host of a Gateway has no VirtualService",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("dead_server.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut judged = BTreeSet::new();
    for door in doors(world) {
        for (index, number) in &door.servers {
            let Some(view) = world.gateways().get(*index).filter(|_| judged.insert((*index, *number))) else {
                continue;
            };
            let server = view.gateway.servers.get(*number);
            for (at, host) in server.into_iter().flat_map(|server| server.hosts.iter().enumerate()) {
                let name = host.rsplit('/').next().unwrap_or(host).to_lowercase();
                let own = |bound: &[super::super::world::Bound]| bound.iter().any(|bound| bound.gateway == *index);
                let alive = door.domains.get(&name).is_some_and(|bound| own(bound))
                    || name.starts_with('*')
                        && door.domains.iter().any(|(domain, bound)| intersects(&name, domain) && own(bound));
                if !alive {
                    let message =
                        format!("no VirtualService answers for {host} on port {}: requests answer 404", door.port);
                    let report = Report::at(view.manifest, format!("/spec/servers/{number}/hosts/{at}"), message);
                    let report = report.hint("Bind a VirtualService to the Gateway, or take the host away");
                    // A server has one host at least.
                    sink.push(if server.is_some_and(|server| server.hosts.len() > 1) {
                        let edit = EditOp::Remove(format!("/spec/servers/{number}/hosts/{at}"));
                        report.fix("take the host away", false, vec![(view.manifest, edit)])
                    } else {
                        report
                    });
                }
            }
        }
    }
}
