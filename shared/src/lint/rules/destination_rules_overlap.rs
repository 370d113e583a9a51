//! # destination-rules-overlap
//! ## What it finds
//!
//! Two DestinationRules of one namespace for the same host that define a subset of the same name differently, or have different policies
//! for the host. Those with a `workloadSelector` do not count.
//!
//! ## Why it is bad
//!
//! istiod joins DestinationRules of a host: of a subset that both define, and of the policy for the host, it keeps the one of the older
//! object. Which one that is Git does not say.
//!
//! ## How to mend it
//!
//! Write one DestinationRule for the host.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{DestinationRuleView, Scope, World, has, items, namespace, scope, text};
use crate::istio::full_host;
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "destination-rules-overlap",
    severity: Severity::Warning,
    summary: "two DestinationRules are for the same host",
    istio: &[],
    kiali: &["KIA0201"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("destination_rules_overlap.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut by_host: BTreeMap<String, Vec<&DestinationRuleView<'a>>> = BTreeMap::new();
    for view in world.destination_rules() {
        let host = text(&view.manifest.object, "/spec/host");
        // One for chosen workloads is for them, beside the one for all.
        let chosen = view.manifest.object.get("spec").is_some_and(|spec| has(spec, "workloadSelector"));
        if !host.is_empty() && !chosen {
            let host = full_host(host, namespace(view.manifest)).to_lowercase();
            by_host.entry(host).or_default().push(view);
        }
    }
    for (host, views) in by_host.into_iter().filter(|(_, views)| views.len() > 1) {
        for (index, view) in views.iter().enumerate() {
            let earlier = views.iter().take(index).filter(|other| meet(view, other));
            // One finding for each, about the first that it meets.
            let told = earlier.filter_map(|other| Some((*other, contradiction(view, other)?))).next();
            let Some((other, (at, what))) = told else { continue };
            let (space, name) = (namespace(other.manifest), &other.manifest.id.name);
            let message = format!("{space}/{name} is for {host} too, and {what}: only the older one counts");
            let report = Report::at(view.manifest, at, message).related(other.manifest, "/spec/host", "the other one");
            sink.push(report.hint("Write one DestinationRule for the host"));
        }
    }
}

/// Does anybody see both? Callers take rules of their own namespace, then of the host's, then of the root namespace.
fn meet(a: &DestinationRuleView<'_>, b: &DestinationRuleView<'_>) -> bool {
    let same = namespace(a.manifest) == namespace(b.manifest);
    same && match (scope(a.manifest), scope(b.manifest)) {
        (Scope::Some(a), Scope::Some(b)) => a.intersection(&b).next().is_some(),
        _ => true,
    }
}

/// What they say differently, with its place in the first.
fn contradiction(a: &DestinationRuleView<'_>, b: &DestinationRuleView<'_>) -> Option<(String, String)> {
    let (a, b) = (&a.manifest.object, &b.manifest.object);
    let theirs: BTreeMap<&str, &Value> = items(b, "/spec/subsets").map(|(_, it)| (text(it, "/name"), it)).collect();
    let differs = |subset: &Value| theirs.get(text(subset, "/name")).is_some_and(|other| *other != subset);
    if let Some((index, subset)) = items(a, "/spec/subsets").find(|(_, subset)| differs(subset)) {
        return Some((
            format!("/spec/subsets/{index}"),
            format!("defines the subset {} otherwise", text(subset, "/name")),
        ));
    }
    let policy = |object: &Value| object.at("/spec/trafficPolicy").filter(|policy| !policy.is_null()).cloned();
    let both = policy(a).zip(policy(b)).is_some_and(|(a, b)| a != b);
    both.then(|| ("/spec/trafficPolicy".to_owned(), "has another policy for the host".to_owned()))
}
