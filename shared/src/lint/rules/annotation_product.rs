//! # annotation-product
//!
//! ## What it finds
//!
//! A key that the controller reads for CLBs only on an NLB (`spec.loadBalancerClass: alibabacloud.com/nlb`), for example
//! `loadbalancer-spec` or `loadbalancer-bandwidth`, and a key of NLBs on a CLB, for example `loadbalancer-zone-maps`.
//!
//! ## Why it is bad
//!
//! The controller does not read it. A CLB with zone maps is often an NLB whose class is missing.
//!
//! ## How to mend it
//!
//! Take the key away, or set `loadBalancerClass` (before the Service exists: it cannot be changed later).

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, removal};
use crate::asm::annotations::{Change, Product};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-product",
    severity: Severity::Warning,
    summary: "an annotation is for the other kind of load balancer",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("annotation_product.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        let product = front.product();
        for setting in &front.settings {
            let Some(row) = setting.row.filter(|row| row.change(product) == Change::Unknown) else { continue };
            let (own, other) = match product {
                Product::Clb => ("a CLB", "NLBs"),
                Product::Nlb => ("an NLB", "CLBs"),
            };
            let message = format!("{} is for {other}: the cloud controller does not read it for {own}", row.name);
            let report = Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
            let report = match &front.class {
                Some((_, at)) => report.related(front.manifest, at, "this makes it an NLB"),
                None => report.hint("An NLB has loadBalancerClass: alibabacloud.com/nlb"),
            };
            let edit = (front.manifest, removal(front.manifest, &setting.pointer));
            // A CLB with settings of an NLB may be meant to be one.
            sink.push(report.fix(format!("take {} away", row.name), product == Product::Nlb, vec![edit]));
        }
    }
}
