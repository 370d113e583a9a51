//! # drain-timeout
//!
//! ## What it finds
//!
//! The annotation `asm.alibabacloud.com/gateway-drain-timeout-seconds` with something else than a number of seconds; behind a
//! load balancer from 10 to 890.
//!
//! ## Why it is bad
//!
//! ASM does not take it: the gateway's pods stop without draining their connections.
//!
//! ## How to mend it
//!
//! Write a number in range, in quotes.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape};
use crate::asm::features::{DRAIN_SECONDS, drain_timeout_fault};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "drain-timeout",
    severity: Severity::Error,
    summary: "the drain timeout of a gateway is out of range",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("drain_timeout.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for manifest in world.of_kind(ASM, "IstioGateway") {
        let Some(allowed) = drain_timeout_fault(&manifest.object) else { continue };
        let pointer = format!("/metadata/annotations/{}", escape(DRAIN_SECONDS));
        let text = manifest.object.at(&pointer).and_then(Value::as_str).unwrap_or_default();
        let report = Report::at(manifest, &*pointer, format!("the drain timeout is `{text}`, it has to be {allowed}"));
        let number: Option<i64> = text.trim().trim_end_matches('s').parse().ok();
        sink.push(match number.map(|number| number.clamp(10, 890).to_string()) {
            Some(near) => {
                // Only the unit is too much: the number is what was meant.
                let safe = text.trim().trim_end_matches('s') == near;
                report.fix(format!("write {near}"), safe, vec![(manifest, EditOp::Set(pointer, Value::from(near)))])
            }
            None => report,
        });
    }
}
