//! # export-to
//!
//! ## What it finds
//!
//! A VirtualService of a gateway that is not exported to the namespace of the gateway's pods (`exportTo: ["."]`
//! mostly). What counts is where the pods are (`istio-system`), not where the Gateway is.
//!
//! ## Why it is bad
//!
//! The gateway does not see the VirtualService: its hosts answer 404, and nothing reports it.
//!
//! ## How to mend it
//!
//! Export it to that namespace too, or take `exportTo` away.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, scope};
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "export-to",
    severity: Severity::Error,
    summary: "a gateway does not see a VirtualService that is bound to it",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("export_to.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        let scope = scope(route.manifest);
        for (_, gateway) in world.gateways_of(route) {
            let pods = gateway.pods.iter().filter_map(|index| world.pods().get(*index));
            let spaces: BTreeSet<&str> = pods.map(|pod| pod.namespace).collect();
            for space in spaces.into_iter().filter(|space| !scope.has(space)) {
                let (home, name) = gateway.key();
                let message = format!("the pods of the Gateway {home}/{name} are in {space} and do not see this: 404");
                let report = Report::at(route.manifest, "/spec/exportTo", message);
                let report = report.related(gateway.manifest, "/spec/selector", "chooses these pods");
                let edit = (route.manifest, EditOp::Append("/spec/exportTo".to_owned(), space.into()));
                sink.push(report.hint(format!("Export it to {space} too")).fix(
                    format!("export it to {space} too"),
                    false,
                    vec![edit],
                ));
            }
        }
    }
}
