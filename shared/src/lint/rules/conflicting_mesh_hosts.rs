//! # conflicting-mesh-hosts
//!
//! ## What it finds
//!
//! Several VirtualServices for the same host that are bound to the sidecars (`mesh`, or no `gateways` at all) and
//! exported to the same namespaces.
//!
//! ## Why it is bad
//!
//! For sidecars, VirtualServices of one host are not joined: one of them is used, and which one is not defined.
//!
//! ## How to mend it
//!
//! Join them in one VirtualService, or delegate from one to the others.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Reference, RouteView, Scope, World, namespace, scope};
use crate::istio::full_host;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "conflicting-mesh-hosts",
    severity: Severity::Error,
    summary: "several VirtualServices for sidecars have the same host",
    istio: &["IST0109"],
    kiali: &["KIA1106"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("conflicting_mesh_hosts.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    // By who sees it (`None`: all) and host.
    let mut hosts: BTreeMap<(Option<&str>, String), Vec<(&RouteView<'a>, usize)>> = BTreeMap::new();
    for route in world.routes.iter().filter(|route| route.gateways.contains(&Reference::Mesh)) {
        for (index, host) in route.route.hosts.iter().enumerate() {
            let full = full_host(host, namespace(route.manifest)).to_lowercase();
            match scope(route.manifest) {
                Scope::All => hosts.entry((None, full)).or_default().push((route, index)),
                Scope::Some(spaces) => {
                    spaces
                        .into_iter()
                        .for_each(|space| hosts.entry((Some(space), full.clone())).or_default().push((route, index)));
                }
            }
        }
    }
    for ((_, host), routes) in hosts.into_iter().filter(|(_, routes)| routes.len() > 1) {
        for (route, index) in &routes {
            let others = routes.iter().filter(|(other, _)| !std::ptr::eq(*other, *route)).take(5);
            let others: Vec<_> = others.map(|(other, at)| (other.manifest, *at)).collect();
            if others.is_empty() {
                continue;
            }
            let names: Vec<String> =
                others.iter().map(|(other, _)| format!("{}/{}", namespace(other), other.id.name)).collect();
            let message =
                format!("sidecars use only one VirtualService for {host}, and {} is for it too", names.join(", "));
            let report = Report::at(route.manifest, format!("/spec/hosts/{index}"), message);
            let report = others.into_iter().fold(report, |report, (other, at)| {
                report.related(other, &format!("/spec/hosts/{at}"), "the same host")
            });
            sink.push(report.hint("Join them in one VirtualService"));
        }
    }
}
