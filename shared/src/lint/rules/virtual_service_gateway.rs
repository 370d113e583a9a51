//! # virtual-service-gateway
//!
//! ## What it finds
//!
//! A VirtualService that names a Gateway the fleet does not have, in `spec.gateways` or in the `gateways` of a match.
//!
//! ## Why it is bad
//!
//! The routes are bound to nothing: requests answer 404, and nothing reports it. A name without a namespace means the
//! VirtualService's own namespace, which is the usual mistake when gateways live in `istio-system`.
//!
//! ```yaml
//! metadata:
//!   namespace: shop
//! spec:
//!   gateways: [ingress] # means shop/ingress
//! ```
//!
//! ## How to mend it
//!
//! Name an existing Gateway as `NAMESPACE/NAME`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Reference, RouteView, World, namespace, reference};
use crate::distance::distance;
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "virtual-service-gateway",
    severity: Severity::Error,
    summary: "a VirtualService names a Gateway that does not exist",
    istio: &["IST0101"],
    kiali: &["KIA1102"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("virtual_service_gateway.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    // VirtualServices may be bound to a Gateway of the Gateway API too.
    let others = world.of_kind("gateway.networking.k8s.io", "Gateway");
    let others: HashSet<(&str, &str)> = others.map(|gateway| (namespace(gateway), &*gateway.id.name)).collect();
    for route in world.routes() {
        for (pointer, name) in named(route) {
            let Reference::Gateway(space, gateway) = reference(name, namespace(route.manifest)) else { continue };
            let known = world.gateway(space, gateway).is_some() || others.contains(&(space, gateway));
            // What istiod makes is never in files; another rule speaks of it.
            if known || gateway.contains(super::generated_gateway::GENERATED) {
                continue;
            }
            let message =
                format!("there is no Gateway `{gateway}` in the namespace {space}: the routes are not bound to it");
            let report = Report::at(route.manifest, pointer.clone(), message);
            sink.push(match meant(world, space, gateway) {
                Some((space, gateway)) => {
                    let better = format!("{space}/{gateway}");
                    let edit = (route.manifest, EditOp::Set(pointer, Value::String(better.clone())));
                    let report = report.hint(format!("Did you mean `{better}`?"));
                    report.fix(format!("name the Gateway {better}"), false, vec![edit])
                }
                None => report.hint("See which there are with: kubectl asm gateway list"),
            });
        }
    }
}

/// Every name of a Gateway with its place.
fn named<'r>(route: &'r RouteView<'_>) -> Vec<(String, &'r str)> {
    let object = &route.manifest.object;
    let mut found = Vec::new();
    let mut take = |pointer: String| {
        let names = object.at(&pointer).and_then(Value::as_array).into_iter().flatten().enumerate();
        found.extend(names.filter_map(|(index, name)| Some((format!("{pointer}/{index}"), name.as_str()?))));
    };
    take("/spec/gateways".to_owned());
    for kind in ["http", "tls", "tcp"] {
        let rules = object.at(&format!("/spec/{kind}")).and_then(Value::as_array).into_iter().flatten();
        for (rule, value) in rules.enumerate() {
            let matches = value.get("match").and_then(Value::as_array).map_or(0, Vec::len);
            (0..matches).for_each(|entry| take(format!("/spec/{kind}/{rule}/match/{entry}/gateways")));
        }
    }
    found
}

/// The Gateway of that name elsewhere, or of almost that name here.
fn meant<'w>(world: &'w World<'_>, space: &str, name: &str) -> Option<(&'w str, &'w str)> {
    let keys = || world.gateways().iter().map(|gateway| gateway.key());
    let elsewhere = keys().find(|(_, other)| *other == name);
    let near = || keys().filter(|(other, near)| *other == space && distance(near, name) <= 2);
    elsewhere.or_else(|| near().min_by_key(|(_, near)| distance(near, name)))
}
