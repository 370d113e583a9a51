//! # conflicting-mesh-hosts
//!
//! ## What it finds
//!
//! VirtualServices for the same host that are bound to the sidecars (`mesh`, or no `gateways` at all) and that somebody
//! sees together: both exported to all namespaces or to the same one, or one to all and one to some.
//!
//! Where one is exported to all for a wildcard and another to some namespaces for a host in it, that is told as
//! information: there the narrower one is used.
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
use super::super::world::{Reference, Scope, World, intersects, namespace, scope};
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

/// A host of a VirtualService, by indices.
type At = (usize, usize);

/// By host name.
type Hosts = BTreeMap<String, Vec<At>>;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut all = Hosts::new();
    let mut some: BTreeMap<&str, Hosts> = BTreeMap::new();
    let bound = world.routes().iter().enumerate().filter(|(_, route)| route.gateways.contains(&Reference::Mesh));
    for (number, route) in bound {
        for (index, host) in route.route.hosts.iter().enumerate() {
            let full = full_host(host, namespace(route.manifest)).to_lowercase();
            let spaces = match scope(route.manifest) {
                Scope::All => {
                    all.entry(full).or_default().push((number, index));
                    continue;
                }
                Scope::Some(spaces) => spaces,
            };
            for space in spaces {
                some.entry(space).or_default().entry(full.clone()).or_default().push((number, index));
            }
        }
    }
    // What conflicts with a VirtualService: the same host (true) or a wider one (false).
    let mut found: BTreeMap<usize, BTreeMap<(At, At), bool>> = BTreeMap::new();
    let mut meet = |group: &[At], others: &[At], same: bool| {
        for (one, other) in group.iter().flat_map(|one| others.iter().take(6).map(move |other| (*one, *other))) {
            if one.0 != other.0 {
                *found.entry(one.0).or_default().entry((one, other)).or_default() |= same;
                *found.entry(other.0).or_default().entry((other, one)).or_default() |= same;
            }
        }
    };
    all.values().filter(|group| group.len() > 1).for_each(|group| meet(group, group, true));
    for (host, group) in some.values().flatten() {
        meet(group, group, true);
        all.get(host).into_iter().for_each(|wide| meet(group, wide, true));
        for (_, wide) in wider(host, &all) {
            meet(group, wide, false);
        }
    }
    for conflicts in found.into_values() {
        tell(world, &conflicts, sink);
    }
}

/// The other hosts that meet one, where either begins with a wildcard.
fn wider<'h>(host: &str, all: &'h Hosts) -> Vec<(&'h String, &'h Vec<At>)> {
    if host.starts_with('*') {
        return all.iter().filter(|(other, _)| *other != host && intersects(host, other)).collect();
    }
    let dots = host.match_indices('.').map(|(at, _)| format!("*{}", host.get(at..).unwrap_or_default()));
    dots.chain(["*".to_owned()]).filter_map(|wide| all.get_key_value(&wide)).collect()
}

/// One finding for a VirtualService.
fn tell<'a>(world: &World<'a>, conflicts: &BTreeMap<(At, At), bool>, sink: &mut Sink<'a>) {
    let same = conflicts.values().any(|same| *same);
    let told: Vec<(&At, &At)> =
        conflicts.iter().filter(|(_, is)| **is == same).map(|((one, other), _)| (one, other)).collect();
    let Some(((number, index), _)) = told.first() else { return };
    let Some(route) = world.routes().get(*number) else { return };
    let mut hosts: Vec<&str> =
        told.iter().filter_map(|((_, at), _)| route.route.hosts.get(*at).map(String::as_str)).collect();
    hosts.dedup();
    let others: Vec<_> =
        told.iter().filter_map(|(_, (other, at))| Some((world.routes().get(*other)?.manifest, *at))).collect();
    let mut names: Vec<String> =
        others.iter().map(|(other, _)| format!("{}/{}", namespace(other), other.id.name)).collect();
    names.sort();
    names.dedup();
    let (hosts, names) = (hosts.join(", "), names.join(", "));
    let message = if same {
        format!("sidecars use only one VirtualService for {hosts}, and {names} is for it too")
    } else {
        format!("sidecars that see both use the narrower host only: {hosts} here meets {names}")
    };
    let report = Report::at(route.manifest, format!("/spec/hosts/{index}"), message);
    let report = others.into_iter().take(5).fold(report, |report, (other, at)| {
        report.related(other, &format!("/spec/hosts/{at}"), if same { "the same host" } else { "the other host" })
    });
    sink.push(if same { report.hint("Join them in one VirtualService") } else { report.severity(Severity::Info) });
}
