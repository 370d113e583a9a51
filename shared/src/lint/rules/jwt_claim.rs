//! # jwt-claim
//!
//! ## What it finds
//!
//! A VirtualService that routes by a claim of a token (`@request.auth.claims…`) at a gateway whose pods have no
//! RequestAuthentication, neither one of their namespace nor one of `istio-system`; and one that does so for sidecars only.
//!
//! ## Why it is bad
//!
//! Nothing reads the token: the claim is never there, the rule never matches, and `withoutHeaders` always does. At sidecars Istio does
//! not route by claims at all, and its webhook refuses the VirtualService.
//!
//! ## How to mend it
//!
//! Add a RequestAuthentication for the gateway's pods; name a Gateway in `gateways`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Reference, World, namespace};
use crate::object::At as _;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "jwt-claim",
    severity: Severity::Error,
    summary: "a route by claims without a RequestAuthentication",
    istio: &["IST0106", "IST0149"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("jwt_claim.rs"),
    check,
};

const CLAIM: &str = "@request.auth.claims";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    // By namespace: selectors of labels; `None` chooses all pods.
    let mut readers: BTreeMap<&str, Vec<Option<&Map<String, Value>>>> = BTreeMap::new();
    for manifest in world.of_kind("security.istio.io", "RequestAuthentication") {
        let labels = manifest.object.at("/spec/selector/matchLabels").and_then(Value::as_object);
        readers.entry(namespace(manifest)).or_default().push(labels);
    }
    for route in world.routes() {
        let Some(pointer) = claim(&route.manifest.object) else { continue };
        if !route.route.hosts.is_empty() && route.gateways.iter().all(|named| *named == Reference::Mesh) {
            let message = "only gateways route by claims, and this VirtualService is for sidecars";
            let report = Report::at(route.manifest, pointer, message).code("IST0106");
            sink.push(report.hint("Name the Gateway in gateways, or match a header that the token does not make"));
            continue;
        }
        for (_, gateway) in world.gateways_of(route) {
            for pod in gateway.pods.iter().filter_map(|index| world.pods().get(*index)) {
                let mut near =
                    ["istio-system", pod.namespace].into_iter().filter_map(|space| readers.get(space)).flatten();
                if near.any(|labels| labels.is_none_or(|labels| pod.has(labels))) {
                    continue;
                }
                let (space, name) = gateway.key();
                let pods = &pod.manifest.id.name;
                let message =
                    format!("no RequestAuthentication reads tokens at {pods}, the pods of the Gateway {space}/{name}");
                let report = Report::at(route.manifest, pointer.clone(), message);
                let report = report.related(pod.manifest, "", "these pods");
                let report = report.code("IST0149");
                sink.push(report.hint("Add a RequestAuthentication for the gateway's pods"));
            }
        }
    }
}

/// The first match that asks for a claim.
fn claim(object: &Value) -> Option<String> {
    let rules = object.at("/spec/http").and_then(Value::as_array)?;
    rules.iter().enumerate().find_map(|(index, rule)| {
        let entries = rule.get("match").and_then(Value::as_array)?;
        entries.iter().enumerate().find_map(|(entry, asks)| {
            ["headers", "withoutHeaders"].into_iter().find_map(|field| {
                let mut names = asks.get(field)?.as_object()?.keys();
                names.any(|name| name.starts_with(CLAIM)).then(|| format!("/spec/http/{index}/match/{entry}/{field}"))
            })
        })
    })
}
