//! # load-balancer-class
//!
//! ## What it finds
//!
//! `loadBalancerClass` on a Service, or in an IstioGateway, whose type is not LoadBalancer; and a class that is not
//! `alibabacloud.com/nlb`, which makes the cloud controller leave the Service alone (a warning).
//!
//! ## Why it is bad
//!
//! The API server refuses a class without the type. With another class nobody makes a load balancer unless some other
//! controller in the cluster has that class.
//!
//! ## How to mend it
//!
//! Take the class away, or write `alibabacloud.com/nlb` for an NLB. A CLB has none.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::asm::annotations::NLB_CLASS;
use crate::distance::distance;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "load-balancer-class",
    severity: Severity::Error,
    summary: "a loadBalancerClass does not fit the Service",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("load_balancer_class.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts() {
        let Some((class, at)) = &front.class else { continue };
        if !front.is_load_balancer() {
            let message = format!("a Service of type {} has no load balancer, so no loadBalancerClass", front.kind);
            let report = Report::at(front.manifest, &**at, message).targets([front.target.clone()]);
            sink.push(report.fix("take the class away", true, vec![(front.manifest, EditOp::Remove(at.clone()))]));
        } else if *class != NLB_CLASS {
            let message = format!(
                "the loadBalancerClass {class} is not {NLB_CLASS}: the cloud controller leaves the Service alone"
            );
            let report = Report::at(front.manifest, &**at, message).targets([front.target.clone()]);
            let report = report.severity(Severity::Warning);
            let near = class.ends_with("/nlb") || distance(class, NLB_CLASS) <= 3;
            sink.push(if near {
                let edit = (front.manifest, EditOp::Set(at.clone(), Value::from(NLB_CLASS)));
                report.hint(format!("Did you mean {NLB_CLASS}?")).fix(format!("write {NLB_CLASS}"), false, vec![edit])
            } else {
                report
            });
        }
    }
}
