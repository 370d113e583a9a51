//! # load-balancer-shared
//!
//! ## What it finds
//!
//! The same `loadbalancer-id` in two clusters (also by one IstioGateway with several `clusterIds`), in two Services with the
//! same port, and in two Services of which one overrides its listeners. Two Services of one cluster with different ports are
//! information.
//!
//! ## Why it is bad
//!
//! Clusters cannot share a load balancer; two Services on one port overwrite each other's listener in turn;
//! `force-override-listeners: "true"` takes over a listener whoever made it.
//!
//! ## How to mend it
//!
//! Give each Service a load balancer of its own: leave `loadbalancer-id` out, or write one per cluster in `spec.overrides`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World};
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "load-balancer-shared",
    severity: Severity::Error,
    summary: "Services share a load balancer that they cannot share",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("load_balancer_shared.rs"),
    check,
};

const ID: &str = "loadbalancer-id";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut users: BTreeMap<&str, Vec<&Front<'a>>> = BTreeMap::new();
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        if let Some(id) = front.text(ID).filter(|id| !id.is_empty()) {
            users.entry(id).or_default().push(front);
        }
    }
    for (id, users) in users.iter().filter(|(_, users)| users.len() > 1) {
        // By port, the first that has it; whoever comes later is told of the first.
        let mut ports: BTreeMap<(u64, &str), &Front<'a>> = BTreeMap::new();
        let Some(first) = users.first() else { continue };
        ports.extend(first.ports.iter().map(|port| ((port.port, port.protocol), *first)));
        for front in &users[1..] {
            sink.extend(judge(id, front, first, &ports));
            for port in &front.ports {
                ports.entry((port.port, port.protocol)).or_insert(front);
            }
        }
    }
}

fn judge<'a>(
    id: &str,
    front: &Front<'a>,
    first: &Front<'a>,
    ports: &BTreeMap<(u64, &str), &Front<'a>>,
) -> Option<Report<'a>> {
    let setting = front.setting(ID)?;
    let clash = front.ports.iter().find_map(|port| Some((port.port, *ports.get(&(port.port, port.protocol))?)));
    let overrides = |front: &Front<'_>| front.text("loadbalancer-force-override-listeners") == Some("true");
    let other = first.manifest.id.to_string();
    let (message, severity, with) = if front.target != first.target {
        (format!("{id} is used in several clusters: they cannot share a load balancer"), Severity::Error, first)
    } else if let Some((port, with)) = clash {
        (format!("{id} is shared with {}, and both take port {port}", with.manifest.id), Severity::Error, with)
    } else if overrides(front) || overrides(first) {
        (format!("{id} is shared with {other}, and listeners are overwritten"), Severity::Warning, first)
    } else {
        (
            format!("{id} is shared with {other}: an outage, a limit or a deletion of it concerns both"),
            Severity::Info,
            first,
        )
    };
    let report = Report::at(front.manifest, &*setting.pointer, message).severity(severity);
    let at = with.setting(ID).map(|setting| setting.pointer.clone()).unwrap_or_default();
    let report = report.targets([front.target.clone(), with.target.clone()]);
    let report = if std::ptr::eq(front.manifest, with.manifest) {
        report
    } else {
        report.related(with.manifest, &at, "used here as well")
    };
    Some(report.hint("Leave the ID out to get a load balancer of its own, or write one per cluster in spec.overrides"))
}
