//! # gateway-api-class
//!
//! ## What it finds
//!
//! A Gateway of the Gateway API whose `gatewayClassName` is none that Istio has (`istio`, `istio-remote`, `istio-waypoint`,
//! `istio-east-west`) and of which the fleet has no GatewayClass. A warning when it is almost one of those; otherwise it is information,
//! because another controller may have brought its class along.
//!
//! ## Why it is bad
//!
//! No controller takes the Gateway: there is no Deployment, no Service and no address. Its status says `Unknown`, and nothing else does.
//!
//! ## How to mend it
//!
//! Correct the name, or add the GatewayClass.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, text};
use crate::distance::nearest;
use crate::object::kinds::GATEWAY_API;
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-api-class",
    severity: Severity::Warning,
    summary: "a Gateway of the Gateway API has a class that nobody serves",
    istio: &[],
    kiali: &["KIA1504"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("gateway_api_class.rs"),
    check,
};

/// What istiod makes by itself (`pkg/config/constants`).
const OF_ISTIO: [&str; 4] = ["istio", "istio-remote", "istio-waypoint", "istio-east-west"];
const POINTER: &str = "/spec/gatewayClassName";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut known: BTreeSet<&str> = OF_ISTIO.into();
    known.extend(world.of_kind(GATEWAY_API, "GatewayClass").map(|class| &*class.id.name));
    for gateway in world.of_kind(GATEWAY_API, "Gateway") {
        let class = text(&gateway.object, POINTER);
        // That it is missing is what the schema says.
        if class.is_empty() || known.contains(class) {
            continue;
        }
        let near = nearest(known.iter().copied(), class);
        let message = format!("nobody is known to serve the class {class}: this Gateway gets no proxy and no address");
        let report = Report::at(gateway, POINTER, message);
        sink.push(match near {
            Some(meant) => {
                let edits = vec![(gateway, EditOp::Set(POINTER.to_owned(), meant.into()))];
                let report = report.hint(format!("Did you mean {meant}?"));
                report.fix(format!("make it of the class {meant}"), false, edits)
            }
            None => {
                let severity = if world.is_complete() { Severity::Warning } else { Severity::Info };
                report.severity(severity).hint("Write istio, or add the GatewayClass to the fleet")
            }
        });
    }
}
