//! # order-hazard
//!
//! ## What it finds
//!
//! Two VirtualServices for one host at one gateway whose rules take the same requests and do different things with
//! them. Gateways on the same pods and port count as one. Rules that take everything are held against each other only:
//! istiod puts them after all others.
//!
//! ## Why it is bad
//!
//! istiod joins the rules of both, those of the older VirtualService first. Age is not in Git: an object that is
//! deleted and made again, or a cluster restored from Git, may route otherwise without a change of any file.
//!
//! ## How to mend it
//!
//! Put the rules into one VirtualService, in the order that is meant, or make their matches disjoint.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, doors, is_put_last, namespace, overlaps, simple, together};
use crate::istio::{HttpMatch, StringMatch, covers, gateway_name};
use crate::object::At as _;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "order-hazard",
    severity: Severity::Warning,
    summary: "the order of two VirtualServices is not decided",
    istio: &[],
    kiali: &["KIA1106"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("order_hazard.rs"),
    check,
};

/// One match entry of a rule at a door.
struct Entry<'w> {
    route: usize,
    rule: usize,
    number: usize,
    at: String,
    asks: &'w HttpMatch,
    last: bool,
}

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut told = BTreeSet::new();
    for door in doors(world) {
        for (domain, bound) in door.domains.iter().filter(|(_, bound)| bound.len() > 1) {
            let mut entries = Vec::new();
            for bound in bound {
                let Some(view) = world.routes().get(bound.route) else { continue };
                let gateway = world.gateways().get(bound.gateway).map(|gateway| gateway.key());
                let first = entries.len();
                for (rule, read) in view.route.http.iter().enumerate() {
                    let listed = view.manifest.object.at(&format!("/spec/http/{rule}/match")).is_some();
                    for (number, asks) in read
                        .matches
                        .iter()
                        .enumerate()
                        .filter(|(_, asks)| applies(asks, door.port, view.manifest, gateway))
                    {
                        // What follows an entry for everything, istiod leaves out.
                        if entries.get(first..).is_some_and(|own: &[Entry<'_>]| own.iter().any(|entry| entry.last)) {
                            break;
                        }
                        let match_at = if listed { format!("/match/{number}") } else { String::new() };
                        let at = format!("/spec/http/{rule}{match_at}");
                        entries.push(Entry { route: bound.route, rule, number, at, asks, last: is_put_last(asks) });
                    }
                }
            }
            for (a, b) in pairs(&entries) {
                let (Some(one), Some(other)) = (entries.get(a), entries.get(b)) else { continue };
                if is_hazard(world, one, other) && told.insert((one.route, one.rule, other.route)) {
                    tell(world, domain, one, other, sink);
                }
            }
        }
    }
}

/// Does the match mean requests of this door at all?
fn applies(asks: &HttpMatch, port: u16, route: &crate::fleet::Manifest, gateway: Option<(&str, &str)>) -> bool {
    let here = asks.others.get("port").and_then(Value::as_u64).is_none_or(|own| own == u64::from(port));
    let named = asks.others.get("gateways").and_then(Value::as_array);
    here && named.is_none_or(|names| {
        names.iter().filter_map(Value::as_str).any(|name| gateway_name(name, namespace(route)) == gateway)
    })
}

/// Entries of different VirtualServices whose paths may meet: found by the prefixes of each path, not by trying all.
fn pairs(entries: &[Entry<'_>]) -> BTreeSet<(usize, usize)> {
    let mut prefixes: HashMap<String, Vec<usize>> = HashMap::new();
    let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
    let mut others = Vec::new();
    let literal = |entry: &Entry<'_>| match &entry.asks.uri {
        Some(StringMatch::Exact(path)) => Some((path.to_lowercase(), false)),
        Some(StringMatch::Prefix(path)) => Some((path.to_lowercase(), true)),
        _ => None,
    };
    for (index, entry) in entries.iter().enumerate() {
        match literal(entry) {
            Some((path, true)) => prefixes.entry(path).or_default().push(index),
            Some((path, false)) => exact.entry(path).or_default().push(index),
            None => others.push(index),
        }
    }
    let mut found = BTreeSet::new();
    let mut meet = |a: usize, b: usize| {
        let routes = (entries.get(a).map(|entry| entry.route), entries.get(b).map(|entry| entry.route));
        if routes.0 != routes.1 {
            // The one that is reported is that of the later name.
            found.insert(if routes.0 > routes.1 { (a, b) } else { (b, a) });
        }
    };
    for (index, entry) in entries.iter().enumerate() {
        if let Some((path, _)) = literal(entry) {
            exact.get(&path).into_iter().flatten().for_each(|other| meet(index, *other));
            let ends = path.char_indices().map(|(at, _)| at).chain([path.len()]);
            for head in ends.filter_map(|end| path.get(..end)) {
                prefixes.get(head).into_iter().flatten().for_each(|other| meet(index, *other));
            }
        }
        others.iter().for_each(|other| meet(index, *other));
    }
    found
}

fn is_hazard(world: &World<'_>, one: &Entry<'_>, other: &Entry<'_>) -> bool {
    let rule = |entry: &Entry<'_>| {
        let rule = world.routes().get(entry.route)?.manifest.object.at(&format!("/spec/http/{}", entry.rule))?;
        let mut rule = rule.as_object()?.clone();
        rule.retain(|key, _| !matches!(key.as_str(), "match" | "name"));
        Some(rule)
    };
    one.last == other.last && overlaps(one.asks, other.asks) && rule(one) != rule(other) && {
        // What an earlier rule of its own VirtualService takes, it does not take.
        let both = simple(&together(one.asks, other.asks));
        !taken(world, one, &both) && !taken(world, other, &both)
    }
}

fn taken(world: &World<'_>, entry: &Entry<'_>, asks: &HttpMatch) -> bool {
    let rules = world.routes().get(entry.route).map(|view| view.route.http.as_slice()).unwrap_or_default();
    let before = rules.iter().take(entry.rule).flat_map(|rule| &rule.matches);
    let own = rules.get(entry.rule).into_iter().flat_map(|rule| rule.matches.iter().take(entry.number));
    before.chain(own).filter(|before| is_put_last(before) == entry.last).any(|before| covers(&simple(before), asks))
}

fn tell<'a>(world: &World<'a>, domain: &str, one: &Entry<'_>, other: &Entry<'_>, sink: &mut Sink<'a>) {
    let (Some(view), Some(with)) = (world.routes().get(one.route), world.routes().get(other.route)) else { return };
    let name = format!("{}/{}", namespace(with.manifest), with.manifest.id.name);
    let message = format!(
        "for {domain}, rule {} of {name} takes some of the same requests and does something else: whichever VirtualService is older wins",
        other.rule + 1
    );
    let report = Report::at(view.manifest, one.at.clone(), message);
    let report = report.related(with.manifest, &other.at, "the other rule");
    sink.push(report.hint("Put the rules into one VirtualService in the order that is meant"));
}
