//! # host-hidden
//!
//! ## What it finds
//!
//! A VirtualService for a host at a gateway where another VirtualService answers to a wildcard that has the host (`a.x`
//! and `*.x`, or `*`).
//!
//! It is a warning where the first one has no rule for everything, and an information otherwise.
//!
//! ## Why it is bad
//!
//! Envoy chooses the narrowest host and never falls back: a request for `a.x` that no rule of the first VirtualService
//! takes answers 404, although the other one has a rule for it.
//!
//! ## How to mend it
//!
//! Give the narrower host a rule for everything, or the rules of the wider one.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, doors, is_put_last, namespace};
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "host-hidden",
    severity: Severity::Warning,
    summary: "a VirtualService hides another one of a wider host",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("host_hidden.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for door in doors(world) {
        for (domain, bound) in door.domains.iter().filter(|(domain, _)| *domain != "*") {
            let own: BTreeSet<usize> = bound.iter().map(|bound| bound.route).collect();
            let hidden: Vec<_> = wider(domain)
                .filter_map(|wide| door.domains.get_key_value(&wide))
                .flat_map(|(wide, bound)| bound.iter().map(move |bound| (wide, bound)))
                .filter(|(_, bound)| !own.contains(&bound.route))
                .take(5)
                .collect();
            let takes_all = own
                .iter()
                .filter_map(|index| world.routes().get(*index))
                .any(|route| route.route.http.iter().flat_map(|rule| &rule.matches).any(is_put_last));
            let first = bound.first().and_then(|bound| Some((bound, world.routes().get(bound.route)?)));
            let (Some((at, route)), false) = (first, hidden.is_empty()) else { continue };
            let names: Vec<String> = hidden
                .iter()
                .filter_map(|(wide, bound)| Some((wide, world.routes().get(bound.route)?.manifest)))
                .map(|(wide, other)| format!("{}/{} for {wide}", namespace(other), other.id.name))
                .collect();
            let message = if takes_all {
                format!("requests to {domain} come here and never to {}", names.join(", "))
            } else {
                format!("what no rule here takes answers 404: requests to {domain} never come to {}", names.join(", "))
            };
            let report = Report::at(route.manifest, format!("/spec/hosts/{}", at.host), message);
            let report = hidden.iter().fold(report, |report, (_, bound)| match world.routes().get(bound.route) {
                Some(other) => report.related(other.manifest, &format!("/spec/hosts/{}", bound.host), "the wider host"),
                None => report,
            });
            sink.push(if takes_all {
                report.severity(Severity::Info)
            } else {
                report.hint("Give it a rule for everything, or the rules of the wider host")
            });
        }
    }
}

/// The wildcards that have a host, the narrowest first.
fn wider(host: &str) -> impl Iterator<Item = String> {
    let tail = host.strip_prefix('*').unwrap_or(host);
    let skip = usize::from(host.starts_with('*'));
    let dots = tail.match_indices('.').map(|(at, _)| at).skip(skip);
    dots.map(|at| format!("*{}", tail.get(at..).unwrap_or_default())).chain(["*".to_owned()])
}
