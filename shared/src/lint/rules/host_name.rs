//! # host-name
//! ## What it finds
//!
//! A host of a VirtualService, of a destination or a mirror, or of a DestinationRule that is no name: a wildcard elsewhere than at the
//! beginning, characters that names do not have, a port. `*` as a destination, and `*` as a host of a VirtualService for sidecars.
//! Hosts of one VirtualService that are the same, or of which one has the other (`*.example.com` and `shop.example.com`).
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the object. Of two hosts where one has the other, Envoy asks the narrower one first, so the second one says
//! nothing.
//!
//! ## How to mend it
//!
//! A port of a destination goes to `port.number`. Where a wildcard has a host, take the host away.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{
    DestinationRuleView, Reference, RouteView, World, has_all_of, host_fault, is_address, items, rules_of, text,
};
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "host-name",
    severity: Severity::Error,
    summary: "a host is no host name",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("host_name.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        if hosts(route, sink) {
            twice(route, sink);
        }
        for (at, rule) in ["http", "tls", "tcp"].into_iter().flat_map(|kind| rules_of(route.manifest, kind)) {
            for (index, entry) in items(rule, "/route") {
                sink.extend(destination(route.manifest, entry, format!("{at}/route/{index}/destination")));
            }
            for (index, entry) in items(rule, "/mirrors") {
                sink.extend(destination(route.manifest, entry, format!("{at}/mirrors/{index}/destination")));
            }
            let mirror = rule.at("/mirror/host").and_then(Value::as_str);
            sink.extend(mirror.and_then(|host| judge(route.manifest, host, format!("{at}/mirror/host"))));
        }
    }
    for DestinationRuleView { manifest, .. } in world.destination_rules() {
        let host = text(&manifest.object, "/spec/host");
        let fault = host_fault(host).filter(|_| !host.is_empty());
        sink.extend(fault.map(|fault| Report::at(manifest, "/spec/host", fault)));
    }
}

/// Are all of them names?
fn hosts<'a>(route: &RouteView<'a>, sink: &mut Sink<'a>) -> bool {
    let sidecars = route.gateways.contains(&Reference::Mesh);
    let mut good = true;
    for (index, host) in
        items(&route.manifest.object, "/spec/hosts").filter_map(|(at, host)| Some((at, host.as_str()?)))
    {
        let fault = match host_fault(host) {
            Some(_) if is_address(host) => None,
            None if host == "*" && sidecars => {
                Some("a VirtualService for sidecars cannot be for every host".to_owned())
            }
            fault => fault,
        };
        good &= fault.is_none();
        sink.extend(fault.map(|fault| Report::at(route.manifest, format!("/spec/hosts/{index}"), fault)));
    }
    good
}

fn twice<'a>(route: &RouteView<'a>, sink: &mut Sink<'a>) {
    // Two wildcards as one walks the list: hosts are few, and long lists of plain names are compared by what they are.
    let hosts: Vec<String> = route.route.hosts.iter().map(|host| host.to_lowercase()).collect();
    let wide: Vec<usize> =
        (0..hosts.len()).filter(|at| hosts.get(*at).is_some_and(|host| host.starts_with('*'))).collect();
    let mut seen = std::collections::HashMap::new();
    for (index, host) in hosts.iter().enumerate() {
        let same = seen.insert(host.as_str(), index);
        let wider = || {
            wide.iter()
                .copied()
                .find(|at| *at != index && hosts.get(*at).is_some_and(|wide| wide != host && has_all_of(wide, host)))
        };
        let Some(other) = same.or_else(wider) else { continue };
        let (at, other_at) = (format!("/spec/hosts/{index}"), format!("/spec/hosts/{other}"));
        let other_host = hosts.get(other).map_or("", String::as_str);
        let message = if other_host == host {
            format!("the host {host} is named twice")
        } else {
            format!("the host {other_host} of the same VirtualService has {host} already")
        };
        let edit = (route.manifest, EditOp::Remove(at.clone()));
        let report = Report::at(route.manifest, at, message).related(route.manifest, &other_at, "the other one");
        sink.push(report.fix(format!("take {host} away"), true, vec![edit]));
    }
}

fn destination<'a>(manifest: &'a Manifest, entry: &Value, at: String) -> Option<Report<'a>> {
    judge(manifest, entry.at("/destination/host").and_then(Value::as_str)?, format!("{at}/host"))
}

fn judge<'a>(manifest: &'a Manifest, host: &str, at: String) -> Option<Report<'a>> {
    if host == "*" {
        return Some(Report::at(manifest, at, "requests must go to somebody: `*` is no destination"));
    }
    let fault = host_fault(host)?;
    let report = Report::at(manifest, at.clone(), fault);
    let parent = at.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
    let with_port = host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse::<u16>().ok()?)));
    Some(match with_port.filter(|(name, _)| host_fault(name).is_none()) {
        Some((name, port)) => {
            let edits = vec![
                (manifest, EditOp::Set(at, name.into())),
                (manifest, EditOp::Set(format!("{parent}/port"), serde_json::json!({"number": port}))),
            ];
            report.hint("The port has a field of its own").fix(format!("write {port} as port.number"), false, edits)
        }
        None => report,
    })
}
