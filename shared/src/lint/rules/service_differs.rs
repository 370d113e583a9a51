//! # service-differs
//!
//! ## What it finds
//!
//! A Service of one namespace and name that is not the same in every cluster that has it: its ports (number, name,
//! `targetPort`, protocol, `appProtocol`), its type, whom it is exported to (the annotation `networking.istio.io/exportTo`), or
//! headless in one and not in another. What the API server assigns (`nodePort`, `clusterIP`, `healthCheckNodePort`) does not
//! count.
//!
//! ## Why it is bad
//!
//! The mesh takes Services of the same name for one. Requests that leave one cluster for the other then meet a port
//! that is not there, or another protocol.
//!
//! ## How to mend it
//!
//! Make them the same; one manifest in `groups/` does it for good.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Service, World, scope};
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "service-differs",
    severity: Severity::Warning,
    summary: "a Service differs between clusters",
    istio: &["IST0170"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("service_differs.rs"),
    check,
};

/// Where a Service says who sees it.
const EXPORT: &str = "/metadata/annotations/networking.istio.io~1exportTo";

type Ports<'s> = BTreeMap<&'s str, (u64, String, &'s str, Option<&'s str>)>;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut by_name: BTreeMap<(&str, &str), Vec<&Service<'a>>> = BTreeMap::new();
    for service in world.services().iter().filter(|service| !service.generated) {
        by_name.entry((service.namespace, &*service.name)).or_default().push(service);
    }
    for services in by_name.into_values().filter(|services| services.len() > 1) {
        let mut alike: Vec<(Vec<&Service<'a>>, usize)> = Vec::new();
        for (order, service) in services.iter().enumerate() {
            match alike
                .iter_mut()
                .find(|(known, _)| known.first().is_some_and(|first| differences(first, service).is_empty()))
            {
                Some((known, _)) => known.push(service),
                None => alike.push((vec![service], order)),
            }
        }
        // What most clusters have is taken to be meant; among equals, what the first cluster has.
        alike.sort_by_key(|(group, order)| (std::cmp::Reverse(group.len()), *order));
        let mut groups = alike.into_iter().map(|(group, _)| group);
        let Some(usual) = groups.next().and_then(|group| group.first().copied()) else { continue };
        let others: Vec<&Service<'a>> = groups.flatten().collect();
        report(usual, &others, &services, sink);
    }
}

/// One finding for all clusters, with an edit for each that differs.
fn report<'a>(usual: &Service<'a>, others: &[&Service<'a>], all: &[&Service<'a>], sink: &mut Sink<'a>) {
    let Some(first) = others.first() else { return };
    let mut what: Vec<&str> = others.iter().flat_map(|other| differences(usual, other)).map(|(what, _)| what).collect();
    what.sort_unstable();
    what.dedup();
    let pointer = differences(usual, first).first().map_or("/spec", |(_, pointer)| pointer);
    let names: Vec<&str> = others.iter().map(|other| other.target.name()).collect();
    let message = format!("its {} in {} not what {} has", what.join(" and "), verb(&names, &what), usual.target.name());
    let report = Report::at(first.manifest, pointer, message).targets(all.iter().map(|service| service.target.clone()));
    let report = report.related(usual.manifest, pointer, format!("what {} has", usual.target.name()));
    let mut edits = Vec::new();
    for other in others.iter().filter(|other| other.manifest.document.value != usual.manifest.document.value) {
        for (what, pointer) in differences(usual, other) {
            match usual.manifest.object.at(pointer) {
                Some(value) if what != "clusterIP" => {
                    edits.push((other.manifest, EditOp::Set(pointer.to_owned(), value.clone())));
                }
                _ => return sink.push(report.hint("Make them the same")),
            }
        }
    }
    sink.push(report.hint("Make them the same").fix(format!("make it as in {}", usual.target.name()), false, edits));
}

fn verb(clusters: &[&str], what: &[&str]) -> String {
    format!("{} {}", clusters.join(", "), if what.len() > 1 || *what == ["ports"] { "are" } else { "is" })
}

/// In what two Services differ, with the place.
fn differences(a: &Service<'_>, b: &Service<'_>) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let headless =
        |service: &Service<'_>| service.manifest.object.at("/spec/clusterIP").and_then(Value::as_str) == Some("None");
    if headless(a) != headless(b) {
        found.push(("clusterIP", "/spec/clusterIP"));
    }
    if a.kind != b.kind {
        found.push(("type", "/spec/type"));
    }
    if scope(a.manifest) != scope(b.manifest) {
        found.push(("exportTo", EXPORT));
    }
    if a.ports.len() != b.ports.len() || ports(a) != ports(b) {
        found.push(("ports", "/spec/ports"));
    }
    found
}

fn ports<'s>(service: &'s Service<'_>) -> Ports<'s> {
    let target = |port: u64, target: Option<&Value>| match target {
        Some(Value::String(name)) => name.clone(),
        Some(number) => number.to_string(),
        None => port.to_string(),
    };
    let ports = service.ports.iter();
    ports
        .map(|port| {
            let name = port.name.unwrap_or_default();
            (name, (port.port, target(port.port, port.target_port), port.protocol, port.app_protocol))
        })
        .collect()
}
