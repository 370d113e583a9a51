//! # service-entries-overlap
//!
//! ## What it finds
//!
//! Two ServiceEntries for the same host that somebody sees both of, and that do not say the same of it: other ports, another
//! `resolution` or `location`, other addresses, or, in different namespaces, other endpoints. A protocol that differs is told by
//! `service-entry-protocol`.
//!
//! ## Why it is bad
//!
//! A proxy knows a host once: of several ServiceEntries that it sees it takes the oldest. Which one that is Git does not say. Ports that
//! only the other one has do not exist for it. Endpoints are joined within one namespace, and nowhere else.
//!
//! ## How to mend it
//!
//! Write one ServiceEntry for the host, or keep each in its own namespace with `exportTo: ["."]`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Scope, World, items, namespace, scope, text};
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "service-entries-overlap",
    severity: Severity::Warning,
    summary: "two ServiceEntries are for the same host",
    istio: &[],
    kiali: &["KIA1212"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("service_entries_overlap.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut by_host: BTreeMap<String, Vec<(usize, &'a Manifest)>> = BTreeMap::new();
    for entry in world.of_kind(ISTIO_NETWORKING, "ServiceEntry") {
        let mut own = BTreeSet::new();
        for (index, host) in items(&entry.object, "/spec/hosts").filter_map(|(at, host)| Some((at, host.as_str()?))) {
            if own.insert(host.to_lowercase()) {
                by_host.entry(host.to_lowercase()).or_default().push((index, entry));
            }
        }
    }
    for (host, entries) in by_host.into_iter().filter(|(_, entries)| entries.len() > 1) {
        for (number, (index, entry)) in entries.iter().enumerate() {
            let earlier = entries.iter().take(number).filter(|(_, other)| meet(&scope(entry), &scope(other)));
            // One finding for each, about the first that says otherwise.
            let told = earlier.filter_map(|(at, other)| Some((*at, *other, differs(entry, other)?))).next();
            let Some((at, other, what)) = told else { continue };
            let (space, name) = (namespace(other), &other.id.name);
            let message = format!("{space}/{name} is for {host} too, with {what}: proxies take the older one");
            let report = Report::at(entry, format!("/spec/hosts/{index}"), message);
            let report = report.related(other, &format!("/spec/hosts/{at}"), "the other one");
            sink.push(report.hint("Write one ServiceEntry for the host, or export each to its own namespace only"));
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

/// In what they differ, as a proxy sees it.
fn differs(a: &Manifest, b: &Manifest) -> Option<String> {
    let (one, two) = (&a.object, &b.object);
    let ports = |object: &Value| -> BTreeSet<u64> {
        items(object, "/spec/ports").filter_map(|(_, port)| port.get("number")?.as_u64()).collect()
    };
    if ports(one) != ports(two) {
        let numbers: Vec<String> = ports(two).iter().map(u64::to_string).collect();
        return Some(match numbers.as_slice() {
            [] => "no ports".to_owned(),
            [only] => format!("the port {only}"),
            all => format!("the ports {}", all.join(", ")),
        });
    }
    for (field, usual) in [("resolution", "NONE"), ("location", "MESH_EXTERNAL")] {
        let of = |object| match text(object, &format!("/spec/{field}")) {
            "" => usual.to_owned(),
            word => word.to_owned(),
        };
        if of(one) != of(two) {
            return Some(format!("{field} {}", of(two)));
        }
    }
    let list = |object: &Value, field: &str| -> Vec<String> {
        let mut all: Vec<String> = items(object, field).map(|(_, item)| item.to_string()).collect();
        all.sort_unstable();
        all
    };
    if list(one, "/spec/addresses") != list(two, "/spec/addresses") {
        return Some("other addresses".to_owned());
    }
    let apart = namespace(a) != namespace(b);
    let selector = |object: &Value| object.at("/spec/workloadSelector").cloned();
    let others = list(one, "/spec/endpoints") != list(two, "/spec/endpoints") || selector(one) != selector(two);
    (apart && others).then(|| "other endpoints".to_owned())
}
