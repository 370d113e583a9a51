//! # gateway-api-parent
//!
//! ## What it finds
//!
//! A route of the Gateway API (HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, UDPRoute) that no listener takes: its `parentRefs` name a Gateway
//! that the fleet does not have, or a listener that the Gateway does not have; the listeners take routes of other namespaces only (of their
//! own, where `allowedRoutes` says nothing); none of its host names is theirs.
//!
//! ## Why it is bad
//!
//! The route is bound to nothing, and requests answer 404. Only `status.parents` of the route says so.
//!
//! ## How to mend it
//!
//! Name the Gateway with its namespace, and let its listeners take the route: `allowedRoutes: {namespaces: {from: All}}`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, intersects, items, namespace, referred_namespace, text};
use crate::distance::distance;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::GATEWAY_API;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-api-parent",
    severity: Severity::Error,
    summary: "no listener takes a route of the Gateway API",
    istio: &[],
    kiali: &["KIA1401"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("gateway_api_parent.rs"),
    check,
};

/// Kinds of routes.
pub(super) const ROUTES: [&str; 5] = ["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"];

/// Gateways by namespace and name.
type Gateways<'a> = BTreeMap<(&'a str, &'a str), &'a Manifest>;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let gateways = world.of_kind(GATEWAY_API, "Gateway");
    let gateways: Gateways<'a> = gateways.map(|it| ((namespace(it), &*it.id.name), it)).collect();
    for route in ROUTES.into_iter().flat_map(|kind| world.of_kind(GATEWAY_API, kind)) {
        for (index, parent) in items(&route.object, "/spec/parentRefs") {
            let is_gateway =
                matches!(text(parent, "/group"), "" | GATEWAY_API) && matches!(text(parent, "/kind"), "" | "Gateway");
            if is_gateway {
                judge(world, &gateways, route, (index, parent), sink);
            }
        }
    }
}

fn judge<'a>(
    world: &World<'a>,
    gateways: &Gateways<'a>,
    route: &'a Manifest,
    (index, parent): (usize, &Value),
    sink: &mut Sink<'a>,
) {
    let at = |field: &str| format!("/spec/parentRefs/{index}{field}");
    let (name, own) = (text(parent, "/name"), namespace(route));
    let space = referred_namespace(parent, own);
    let Some(gateway) = gateways.get(&(space, name)) else {
        let message = format!("there is no Gateway `{name}` of the Gateway API in the namespace {space}");
        let report = Report::at(route, at("/name"), format!("{message}: the route is bound to nothing"));
        let elsewhere = gateways.keys().find(|(_, other)| *other == name);
        let near = || gateways.keys().filter(|(other, near)| *other == space && distance(near, name) <= 2).min();
        sink.push(match elsewhere.or_else(near) {
            Some((space, name)) => {
                let edits = vec![
                    (route, EditOp::Set(at("/name"), (*name).into())),
                    (route, EditOp::Set(at("/namespace"), (*space).into())),
                ];
                let report = report.hint(format!("Did you mean {space}/{name}?"));
                report.fix(format!("name the Gateway {space}/{name}"), false, edits)
            }
            None => report,
        });
        return;
    };
    let section = text(parent, "/sectionName");
    let port = parent.get("port").and_then(Value::as_u64);
    let named = |listener: &Value| {
        (section.is_empty() || text(listener, "/name") == section)
            && port.is_none_or(|port| listener.get("port").and_then(Value::as_u64) == Some(port))
    };
    let listeners: Vec<&Value> =
        items(&gateway.object, "/spec/listeners").map(|(_, it)| it).filter(|it| named(it)).collect();
    if listeners.is_empty() {
        let field = if section.is_empty() { "/port" } else { "/sectionName" };
        let all: Vec<&str> = items(&gateway.object, "/spec/listeners").map(|(_, it)| text(it, "/name")).collect();
        let asked = port.filter(|_| section.is_empty()).map_or_else(|| section.to_owned(), |port| port.to_string());
        let report = Report::at(route, at(field), format!("the Gateway {space}/{name} has no listener {asked}"));
        let report = report.related(gateway, "/spec/listeners", "its listeners");
        sink.push(report.hint(format!("There are {}", all.join(", "))));
        return;
    }
    let admits: Vec<&Value> = listeners.into_iter().filter(|it| admits(world, it, space, own)).collect();
    let report = |field: &str, message: &str| {
        let report = Report::at(route, at(field), format!("{message} {space}/{name}: the route is bound to nothing"));
        report.related(gateway, "/spec/listeners", "its listeners")
    };
    if admits.is_empty() {
        let report = report("", &format!("routes of the namespace {own} are not taken by the listeners of"));
        sink.push(report.hint("Write allowedRoutes: {namespaces: {from: All}} there, or move the route"));
        return;
    }
    let hosts: Vec<&str> = items(&route.object, "/spec/hostnames").filter_map(|(_, host)| host.as_str()).collect();
    let is_taken = |host: &&str| {
        admits.iter().any(|it| matches!(text(it, "/hostname"), "") || intersects(text(it, "/hostname"), host))
    };
    if !hosts.is_empty() && !hosts.iter().any(is_taken) {
        let message = format!("no host name of the route ({}) is one of a listener of", hosts.join(", "));
        sink.push(report("", &message).severity(Severity::Warning).hint("Correct hostnames, or the listener"));
    }
}

/// Does a listener take routes of a namespace? Labels of namespaces that the files do not hold are not known.
fn admits(world: &World<'_>, listener: &Value, home: &str, own: &str) -> bool {
    match text(listener, "/allowedRoutes/namespaces/from") {
        "All" => true,
        "Selector" => {
            let labels = listener.at("/allowedRoutes/namespaces/selector/matchLabels").and_then(Value::as_object);
            let space = world.of_kind("", "Namespace").find(|it| *it.id.name == *own);
            let has = |space: &Manifest| {
                let own = space.object.at("/metadata/labels");
                labels.into_iter().flatten().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
            };
            space.is_none_or(has)
        }
        "None" => false,
        _ => home == own,
    }
}
