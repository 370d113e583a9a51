//! # delegate-contradiction
//!
//! ## What it finds
//!
//! A rule of a VirtualService that others delegate to, with a condition that contradicts every rule which leaves requests to it: a path
//! outside its prefix, another method, another value of a header, a regular expression on both sides, `ignoreUriCase` on one side only, a
//! `sourceNamespace` above that is not repeated below.
//!
//! ## Why it is bad
//!
//! istiod joins the conditions of both, and drops the whole rule of the delegate for one entry that goes with none above. Its requests fall
//! through to later rules, or answer 404. Nothing reports it.
//!
//! ```yaml
//! spec: # the root
//!   hosts: [shop.example.com]
//!   http: [{match: [{uri: {prefix: /api}}], delegate: {name: api}}]
//! ---
//! metadata: {name: api}
//! spec: # the delegate
//!   http: [{match: [{uri: {prefix: /v2}}], route: [{destination: {host: api}}]}] # dropped: write /api/v2
//! ```
//!
//! ## How to mend it
//!
//! Write the condition within that of the root: a longer prefix, the same namespace. An entry that cannot go with any is better removed.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, items, namespace, referred_namespace, scope, text};
use crate::fleet::Manifest;
use crate::istio::left_out;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "delegate-contradiction",
    severity: Severity::Warning,
    summary: "a rule of a delegate contradicts those that leave requests to it",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("delegate_contradiction.rs"),
    check,
};

/// A rule that leaves requests to somebody.
struct Above<'a> {
    manifest: &'a Manifest,
    index: usize,
    rule: &'a Value,
}

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut above: BTreeMap<(&str, &str), Vec<Above<'a>>> = BTreeMap::new();
    for route in world.routes().iter().filter(|route| !route.route.hosts.is_empty()) {
        let manifest = route.manifest;
        for (index, rule) in items(&manifest.object, "/spec/http") {
            let Some(delegate) = rule.get("delegate").filter(|delegate| !delegate.is_null()) else { continue };
            let key = (referred_namespace(delegate, namespace(manifest)), text(delegate, "/name"));
            above.entry(key).or_default().push(Above { manifest, index, rule });
        }
    }
    if above.is_empty() {
        return;
    }
    for route in world.routes().iter().filter(|route| route.route.hosts.is_empty()) {
        let child = route.manifest;
        let Some(roots) = above.get(&(namespace(child), &*child.id.name)) else { continue };
        let seen_by = scope(child);
        let roots = roots.iter().filter(|root| seen_by.has(namespace(root.manifest)));
        for (at, rule) in items(&child.object, "/spec/http") {
            let out: Vec<_> = roots.clone().map(|root| (root, left_out(root.rule, rule))).collect();
            // For another root it may be what is wanted.
            if out.iter().any(|(_, out)| out.is_none()) {
                continue;
            }
            let Some((root, (entry, field))) = out.into_iter().find_map(|(root, out)| Some((root, out?))) else {
                continue;
            };
            let name = format!("{}/{}", namespace(root.manifest), root.manifest.id.name);
            let message =
                format!("istiod drops this rule: its {field} contradicts that of {name}, which delegates to it");
            let report = Report::at(child, format!("/spec/http/{at}/match/{entry}"), message);
            let report =
                report.related(root.manifest, &format!("/spec/http/{}", root.index), "what leaves requests to it");
            sink.push(report.hint("Write the condition within that of the rule above, or remove it"));
        }
    }
}
