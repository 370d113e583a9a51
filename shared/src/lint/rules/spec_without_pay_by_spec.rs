//! # spec-without-pay-by-spec
//!
//! ## What it finds
//!
//! `loadbalancer-spec` on a CLB that is not paid by specification: `loadbalancer-instance-charge-type` is `PayByCLCU`, or absent
//! where the cloud controller is 2.12.4 or later. Where `fleet.yaml` does not say which version the cluster has, it is
//! information only.
//!
//! ## Why it is bad
//!
//! From that version on the controller makes CLBs PayByCLCU and does not compare their specification: the value neither sizes
//! the CLB nor changes it.
//!
//! ## How to mend it
//!
//! Set `loadbalancer-instance-charge-type: PayBySpec` as well (a change back from PayByCLCU is refused by the cloud), or take the specification away.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::asm::annotations::{CLCU_SINCE, Product, at_least, key};
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "spec-without-pay-by-spec",
    severity: Severity::Warning,
    summary: "the specification of a CLB has no effect",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("spec_without_pay_by_spec.rs"),
    check,
};

const SPEC: &str = "loadbalancer-spec";
const CHARGE: &str = "loadbalancer-instance-charge-type";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let clbs = world.fronts().iter().filter(|front| front.is_load_balancer() && front.product() == Product::Clb);
    for front in clbs {
        let Some(spec) = front.setting(SPEC) else { continue };
        if let Some(charge) = front.setting(CHARGE) {
            if charge.value.as_str().is_some_and(|word| word.eq_ignore_ascii_case("PayByCLCU")) {
                let message = "a CLB that is paid by PayByCLCU has no specification: it has no effect";
                let report = Report::at(front.manifest, &*spec.pointer, message).targets([front.target.clone()]);
                let report = report.related(front.manifest, &charge.pointer, "how it is paid");
                let edit = (front.manifest, removal(front.manifest, &spec.pointer));
                sink.push(report.fix("take the specification away", true, vec![edit]));
            }
            continue;
        }
        let new = front.controller().and_then(|version| at_least(version, CLCU_SINCE));
        if new == Some(false) {
            continue;
        }
        let message = format!(
            "the specification has no effect with cloud controller {CLCU_SINCE} and later unless {CHARGE} is PayBySpec"
        );
        let report = Report::at(front.manifest, &*spec.pointer, message).targets([front.target.clone()]);
        let report = if new.is_some() { report } else { report.severity(Severity::Info) };
        let base = spec.pointer.rsplit_once('/').map_or("", |(base, _)| base);
        let edit = EditOp::Set(format!("{base}/{}", escape(&key(CHARGE))), Value::from("PayBySpec"));
        sink.push(report.fix("pay by specification", false, vec![(front.manifest, edit)]));
    }
}
