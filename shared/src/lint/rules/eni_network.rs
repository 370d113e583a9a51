//! # eni-network
//!
//! ## What it finds
//!
//! A load balancer with `backend-type: eni` in a cluster whose files run Flannel (a DaemonSet `kube-flannel…`).
//!
//! ## Why it is bad
//!
//! With Flannel pods have no network interface of their own (ENI) that a load balancer could send to: the cloud controller ends with
//! `can not find eniid for ip`, and the load balancer has no back end.
//!
//! ## How to mend it
//!
//! `service.beta.kubernetes.io/backend-type: ecs`, or leave the annotation out.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::asm::annotations::BACKEND_TYPE;
use crate::fleet::{Manifest, Target};
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "eni-network",
    severity: Severity::Error,
    summary: "back ends of type eni where pods have no ENI",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("eni_network.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let flannel = world.of_kind("apps", "DaemonSet").filter(|set| set.id.name.starts_with("kube-flannel"));
    let flannel: BTreeMap<&Target, &'a Manifest> = flannel.map(|set| (&set.target, set)).collect();
    if flannel.is_empty() {
        return;
    }
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        let Some(setting) = front.setting(BACKEND_TYPE).filter(|setting| setting.value == "eni") else { continue };
        let Some(set) = flannel.get(&front.target) else { continue };
        let message = "back ends of type eni need Terway: with Flannel pods have no ENI, and there is no back end";
        let report = Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
        let edit = (front.manifest, EditOp::Set(setting.pointer.clone(), "ecs".into()));
        let report = report.related(set, "/metadata/name", "its network").hint("backend-type: ecs goes by the nodes");
        sink.push(report.fix("write ecs", false, vec![edit]));
    }
}
