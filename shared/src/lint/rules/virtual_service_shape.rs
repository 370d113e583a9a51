//! # virtual-service-shape
//! ## What it finds
//!
//! A VirtualService without any rule; one without hosts, to which others delegate, that has `gateways`, `tls` or `tcp`; a rule of `tls`
//! or `tcp` without a route; an item of `gateways` that is no name (`NAME` or `NAMESPACE/NAME`), or a name in the old form
//! `NAME.NAMESPACE.svc.cluster.local`.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the VirtualService. The old form of a name is still read, and no other tool understands it.
//!
//! ## How to mend it
//!
//! Write `NAMESPACE/NAME`. A VirtualService that is delegated to takes hosts and gateways from the one that delegates.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{RouteView, World, is_label, items, rules_of};
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "virtual-service-shape",
    severity: Severity::Error,
    summary: "a VirtualService is not put together as Istio needs it",
    istio: &["IST0106"],
    kiali: &["KIA1108"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("virtual_service_shape.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        let object = &route.manifest.object;
        let count = |list: &str| items(object, &format!("/spec/{list}")).count();
        if ["http", "tls", "tcp"].iter().all(|list| count(list) == 0) {
            let report = Report::at(route.manifest, "/spec", "it has no rule: neither http nor tls nor tcp");
            sink.push(report.hint("Write rules, or remove it"));
        }
        if count("hosts") == 0 {
            delegate(route, &count, sink);
        }
        for (at, rule) in ["tls", "tcp"].into_iter().flat_map(|kind| rules_of(route.manifest, kind)) {
            if items(rule, "/route").count() == 0 {
                sink.push(
                    Report::at(route.manifest, at, "this rule has no route").hint("Write where the connections go"),
                );
            }
        }
        names(route, sink);
    }
}

fn delegate<'a>(route: &RouteView<'a>, count: &dyn Fn(&str) -> usize, sink: &mut Sink<'a>) {
    for field in ["gateways", "tls", "tcp"].into_iter().filter(|field| count(field) > 0) {
        let at = format!("/spec/{field}");
        let message = format!("without hosts it is for others to delegate to, and cannot have {field}");
        let edit = (route.manifest, EditOp::Remove(at.clone()));
        let report = Report::at(route.manifest, at, message).hint("Give it hosts, or take this away");
        sink.push(report.fix(format!("take {field} away"), false, vec![edit]));
    }
}

fn names<'a>(route: &RouteView<'a>, sink: &mut Sink<'a>) {
    let mut named: Vec<(String, &Value)> = of_list(&route.manifest.object, "/spec/gateways", "/spec/gateways");
    for (at, rule) in ["http", "tls", "tcp"].into_iter().flat_map(|kind| rules_of(route.manifest, kind)) {
        for (index, entry) in items(rule, "/match") {
            named.extend(of_list(entry, "/gateways", &format!("{at}/match/{index}/gateways")));
        }
    }
    for (at, name) in named.into_iter().filter_map(|(at, name)| Some((at, name.as_str()?))) {
        let report = |message: String| Report::at(route.manifest, at.clone(), message);
        match name.split_once('/') {
            // `./NAME` istiod's webhook refuses, although it understands it.
            Some((space, gateway)) if !is_label(space) || !is_label(gateway) => {
                sink.push(report(format!("`{name}` names no Gateway")).hint("NAMESPACE/NAME"));
            }
            None if name.contains('.') => {
                let mut parts = name.split('.');
                let (gateway, space) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let meant = format!("{space}/{gateway}");
                let edit = (route.manifest, EditOp::Set(at.clone(), meant.clone().into()));
                let report =
                    report(format!("`{name}` is the old form of a Gateway's name")).severity(Severity::Warning);
                sink.push(report.hint(format!("Write {meant}")).fix(format!("write {meant}"), true, vec![edit]));
            }
            None if !is_label(name) => {
                sink.push(report(format!("`{name}` names no Gateway")).hint("NAME or NAMESPACE/NAME"))
            }
            _ => {}
        }
    }
}

fn of_list<'v>(value: &'v Value, pointer: &str, at: &str) -> Vec<(String, &'v Value)> {
    items(value, pointer).map(|(index, name)| (format!("{at}/{index}"), name)).collect()
}
