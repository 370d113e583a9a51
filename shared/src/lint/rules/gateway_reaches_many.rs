//! # gateway-reaches-many
//!
//! ## What it finds
//!
//! A Gateway whose selector chooses the pods of more than one IstioGateway, or that has no selector. It is information
//! when all of them are of one type, and a warning when ingress and egress gateways are among them.
//!
//! ## Why it is bad
//!
//! Its servers, and the routes bound to it, are opened on each of these gateways: a host that is meant for an internal
//! gateway may so be reachable from outside.
//!
//! ## How to mend it
//!
//! If that is meant, nothing. Otherwise select by `istio: NAME`, or by a label that only the gateways that are meant have in
//! `podLabels`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-reaches-many",
    severity: Severity::Warning,
    summary: "a Gateway's selector reaches several gateways",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("gateway_reaches_many.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for gateway in world.gateways() {
        let pods = gateway.pods.iter().filter_map(|index| world.pods().get(*index));
        let mut reached: BTreeMap<&str, &'a Manifest> = BTreeMap::new();
        for pod in pods.filter(|pod| pod.is_istio_gateway()) {
            reached.insert(&pod.manifest.id.name, pod.manifest);
        }
        if reached.len() < 2 {
            continue;
        }
        let is_egress =
            |gateway: &&&Manifest| gateway.object.at("/spec/gatewayType").and_then(Value::as_str) == Some("egress");
        let egress = reached.values().filter(is_egress).count();
        let mixed = egress > 0 && egress < reached.len();
        let mut names: Vec<&str> = reached.keys().copied().take(5).collect();
        let more = format!("{} more", reached.len() - names.len());
        if reached.len() > names.len() {
            names.push(&more);
        }
        let what = if mixed { "ingress and egress gateways" } else { "gateways" };
        let message = format!("its servers are opened on {} {what}: {}", reached.len(), names.join(", "));
        let report = Report::at(gateway.manifest, "/spec/selector", message);
        let report = report.severity(if mixed { Severity::Warning } else { Severity::Info });
        sink.push(
            reached
                .values()
                .take(5)
                .fold(report, |report, gateway| report.related(gateway, "/metadata/name", "one of them")),
        );
    }
}
