//! # service-port-conflict
//!
//! ## What it finds
//!
//! Several Services in front of the pods of one workload in the mesh that disagree: the same port with two protocols,
//! or the same `targetPort` under different ports.
//!
//! ## Why it is bad
//!
//! The sidecar has one listener per port of its pods and takes the protocol of one of the Services: rules of the other
//! do not apply.
//!
//! ## How to mend it
//!
//! Give both Services the same ports, or the workload another container port.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Pod, Service, World, in_mesh};
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "service-port-conflict",
    severity: Severity::Warning,
    summary: "Services of one workload disagree about a port",
    istio: &["IST0116", "IST0137"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("service_port_conflict.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let meshed = in_mesh(world);
    for pod in world.pods().iter().filter(|pod| pod.spec.is_some() && meshed.has(pod)) {
        let fronts: Vec<&Service<'a>> = world.selecting(pod).collect();
        if fronts.len() > 1 {
            judge(pod, &fronts, sink);
        }
    }
}

fn judge<'a>(pod: &Pod<'a>, fronts: &[&Service<'a>], sink: &mut Sink<'a>) {
    let mut protocols: BTreeMap<u64, BTreeMap<&str, &Service<'a>>> = BTreeMap::new();
    let mut targets: BTreeMap<String, BTreeMap<u64, &Service<'a>>> = BTreeMap::new();
    for (service, port) in fronts.iter().flat_map(|service| service.ports.iter().map(move |port| (*service, port))) {
        protocols.entry(port.port).or_default().insert(port.protocol, service);
        let target =
            port.target_port.map_or_else(|| port.port.to_string(), |target| target.to_string().replace('"', ""));
        targets.entry(target).or_default().insert(port.port, service);
    }
    for (port, by) in protocols.into_iter().filter(|(_, by)| by.len() > 1) {
        let words: Vec<&str> = by.keys().copied().collect();
        let message = format!("Services in front of its pods say that port {port} is {}", words.join(" and "));
        let report = Report::at(pod.manifest, "", message).code("IST0116");
        sink.push(related(report, by.values()).hint("Give the Services the same ports"));
    }
    for (target, by) in targets.into_iter().filter(|(_, by)| by.len() > 1) {
        // One Service with two ports to one container port says the same to everybody.
        let names: BTreeSet<&str> = by.values().map(|service| &*service.name).collect();
        let ports: Vec<String> = by.keys().map(u64::to_string).collect();
        let message = format!("Services in front of its pods lead the ports {} to {target}", ports.join(" and "));
        let report = Report::at(pod.manifest, "", message).code("IST0137");
        if names.len() > 1 {
            sink.push(related(report, by.values()).hint("Give the Services the same ports"));
        }
    }
}

fn related<'s, 'a: 's>(report: Report<'a>, services: impl Iterator<Item = &'s &'s Service<'a>>) -> Report<'a> {
    services.fold(report, |report, service| {
        report.related(service.manifest, "/spec/ports", format!("the ports of {}", service.name))
    })
}
