//! # controller-owned-field
//!
//! ## What it finds
//!
//! Labels and finalizers that the cloud controller writes, on a Service or in `spec.serviceLabels` of an IstioGateway:
//! `service.beta.kubernetes.io/hash`, `service.k8s.alibaba/loadbalancer-id`, `service.k8s.alibaba/security-group-id`, and the
//! finalizers `service.k8s.alibaba/resources` and `service.k8s.alibaba/nlb`. They get there by copying a live object.
//!
//! Objects that ASM generates (`istio-GATEWAY` in `istio-system`) are refused when the fleet is read, without a rule.
//!
//! ## Why it is bad
//!
//! The controller compares the hash with the Service to see whether there is work, and finds the load balancer by its ID. A
//! copied value makes it skip a change, look after somebody else's load balancer, or sync for ever.
//!
//! ## How to mend it
//!
//! Take them away. On the live object they stay: they are the controller's.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "controller-owned-field",
    severity: Severity::Error,
    summary: "a label or finalizer of the cloud controller stands in Git",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("controller_owned_field.rs"),
    check,
};

const LABELS: [&str; 3] =
    ["service.beta.kubernetes.io/hash", "service.k8s.alibaba/loadbalancer-id", "service.k8s.alibaba/security-group-id"];
const FINALIZERS: [&str; 2] = ["service.k8s.alibaba/resources", "service.k8s.alibaba/nlb"];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let services = world.of_kind("", "Service").map(|manifest| (manifest, "/metadata/labels"));
    let gateways = world.of_kind(ASM, "IstioGateway").map(|manifest| (manifest, "/spec/serviceLabels"));
    for (manifest, base) in services.chain(gateways) {
        let labels = manifest.object.at(base).and_then(Value::as_object);
        for label in LABELS.iter().filter(|label| labels.is_some_and(|labels| labels.contains_key(**label))) {
            let pointer = format!("{base}/{}", escape(label));
            let report =
                Report::at(manifest, &*pointer, format!("the cloud controller writes the label {label} itself"));
            sink.push(report.fix("take the label away", true, vec![(manifest, removal(manifest, &pointer))]));
        }
        let finalizers = manifest.object.at("/metadata/finalizers").and_then(Value::as_array);
        for (index, name) in
            finalizers.into_iter().flatten().enumerate().filter_map(|(at, name)| Some((at, name.as_str()?)))
        {
            if FINALIZERS.contains(&name) {
                let alone = finalizers.is_some_and(|all| all.len() == 1);
                let pointer = format!("/metadata/finalizers/{index}");
                let at = if alone { "/metadata/finalizers".to_owned() } else { pointer.clone() };
                let report =
                    Report::at(manifest, pointer, format!("the cloud controller sets the finalizer {name} itself"));
                sink.push(report.fix("take the finalizer away", true, vec![(manifest, EditOp::Remove(at))]));
            }
        }
    }
}
