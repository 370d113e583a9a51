//! # istio-gateway-namespace
//!
//! ## What it finds
//!
//! An IstioGateway in another namespace than `istio-system`, or in none (which means `default`).
//!
//! ## Why it is bad
//!
//! A gateway elsewhere cannot read its configuration and does not start (since Istio 1.6).
//!
//! ## How to mend it
//!
//! Put it into `istio-system`. Gateways and VirtualServices may stay where they are: a selector finds pods in any namespace.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, namespace};
use crate::asm::gateway;
use crate::object::kinds::ASM;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "istio-gateway-namespace",
    severity: Severity::Error,
    summary: "an IstioGateway stands outside of istio-system",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("istio_gateway_namespace.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for manifest in world.of_kind(ASM, "IstioGateway").filter(|manifest| namespace(manifest) != gateway::NAMESPACE) {
        let message = format!("a gateway in the namespace {} does not start", namespace(manifest));
        let edit = (manifest, EditOp::Set("/metadata/namespace".to_owned(), Value::from(gateway::NAMESPACE)));
        let report = Report::at(manifest, "/metadata/namespace", message);
        let report = report.hint(format!("Put it into {}", gateway::NAMESPACE));
        sink.push(report.fix(format!("put it into {}", gateway::NAMESPACE), false, vec![edit]));
    }
}
