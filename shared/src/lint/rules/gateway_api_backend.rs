//! # gateway-api-backend
//!
//! ## What it finds
//!
//! A back end of a route of the Gateway API that does not exist: a Service that no cluster has, a port that it does not have, a `Hostname`
//! of no ServiceEntry; and a Service of another namespace without a ReferenceGrant there.
//!
//! Where the files hold nothing of the back end's namespace, its applications stand elsewhere and nothing is said of them.
//!
//! ## Why it is bad
//!
//! Requests that the rule takes answer 500. Only `status.parents` of the route says so.
//!
//! ## How to mend it
//!
//! Correct the name, the namespace or the port; for another namespace add a ReferenceGrant to it.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, host_namespace, items, namespace, referred_namespace, text};
use super::gateway_api_parent::ROUTES;
use crate::distance::distance;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::{GATEWAY_API, ISTIO_NETWORKING};
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-api-backend",
    severity: Severity::Error,
    summary: "a route of the Gateway API leads to what does not exist",
    istio: &[],
    kiali: &["KIA1402"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("gateway_api_backend.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in ROUTES.into_iter().flat_map(|kind| world.of_kind(GATEWAY_API, kind)) {
        for (number, rule) in items(&route.object, "/spec/rules") {
            let at = format!("/spec/rules/{number}");
            for (index, to) in items(rule, "/backendRefs") {
                judge(world, route, to, &format!("{at}/backendRefs/{index}"), sink);
            }
            for (index, filter) in items(rule, "/filters") {
                if let Some(to) = filter.at("/requestMirror/backendRef") {
                    judge(world, route, to, &format!("{at}/filters/{index}/requestMirror/backendRef"), sink);
                }
            }
        }
    }
}

fn judge<'a>(world: &World<'a>, route: &'a Manifest, to: &Value, at: &str, sink: &mut Sink<'a>) {
    let (name, own) = (text(to, "/name"), namespace(route));
    let space = referred_namespace(to, own);
    let report = |field: &str, message: String| Report::at(route, format!("{at}{field}"), message);
    match (text(to, "/group"), text(to, "/kind")) {
        ("" | "core", "" | "Service") => {}
        (ISTIO_NETWORKING, "Hostname") => {
            let missing = world.hosts().find(name, own).is_empty();
            if missing && world.knows_namespace(host_namespace(name, own)) {
                sink.push(report(
                    "/name",
                    format!("there is no Service and no ServiceEntry {name}: requests answer 500"),
                ));
            }
            return;
        }
        _ => return,
    }
    if space != own && !is_granted(world, route, space, name) {
        let message = format!("no ReferenceGrant in {space} lets routes of {own} lead to the Service {name}");
        sink.push(report("", message).hint(format!("Add a ReferenceGrant to the namespace {space}")));
    }
    let found = world.hosts().find(&format!("{name}.{space}.svc.cluster.local"), own).services;
    let services = || found.iter().filter_map(|index| world.services().get(*index));
    if found.is_empty() {
        if world.knows_namespace(space) {
            let report = report("/name", format!("no cluster has a Service {space}/{name}: requests answer 500"));
            let near = world.services().iter().filter(|it| it.namespace == space && distance(&it.name, name) <= 2);
            let near = near.map(|it| &*it.name).min_by_key(|near| (distance(near, name), near.len()));
            sink.push(match near {
                Some(near) => {
                    let edit = (route, EditOp::Set(format!("{at}/name"), near.into()));
                    report.hint(format!("Did you mean {near}?")).fix(format!("name {near}"), false, vec![edit])
                }
                None => report,
            });
        }
        return;
    }
    let mut ports: Vec<u64> = services().flat_map(|service| service.ports.iter().map(|port| port.port)).collect();
    ports.sort_unstable();
    ports.dedup();
    let asked = to.get("port").and_then(Value::as_u64);
    if let Some(asked) = asked.filter(|asked| !ports.contains(asked)) {
        let ports: Vec<String> = ports.iter().map(u64::to_string).collect();
        let message = format!("the Service {space}/{name} has no port {asked}, only {}", ports.join(", "));
        sink.push(report("/port", message).hint("Name a port that the Service has"));
    }
}

/// Does a ReferenceGrant of the namespace let the route in?
fn is_granted(world: &World<'_>, route: &Manifest, space: &str, name: &str) -> bool {
    let kind = &*route.group_kind().kind;
    let mut grants = world.of_kind(GATEWAY_API, "ReferenceGrant").filter(|grant| namespace(grant) == space);
    grants.any(|grant| {
        let from = items(&grant.object, "/spec/from").any(|(_, from)| {
            text(from, "/group") == GATEWAY_API
                && text(from, "/kind") == kind
                && text(from, "/namespace") == namespace(route)
        });
        from && items(&grant.object, "/spec/to").any(|(_, to)| {
            text(to, "/group").is_empty()
                && text(to, "/kind") == "Service"
                && matches!(text(to, "/name"), it if it.is_empty() || it == name)
        })
    })
}
