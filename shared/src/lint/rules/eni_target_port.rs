//! # eni-target-port
//!
//! ## What it finds
//!
//! `service.beta.kubernetes.io/backend-type: eni` on a LoadBalancer Service or a gateway with a port whose `targetPort` is a
//! name.
//!
//! ## Why it is bad
//!
//! With ENI back ends the load balancer goes to the pods directly, and the controller does not look the name up: it fails with
//! `The specified Port must be between 1 and 65535`.
//!
//! ## How to mend it
//!
//! Write the number of the container port.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World};
use crate::asm::annotations::BACKEND_TYPE;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "eni-target-port",
    severity: Severity::Error,
    summary: "back ends of type eni need a number as targetPort",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("eni_target_port.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let eni = world.fronts().iter().filter(|front| front.is_load_balancer() && front.text(BACKEND_TYPE) == Some("eni"));
    for front in eni {
        for port in &front.ports {
            let Some(name) = port.target.and_then(Value::as_str) else { continue };
            let pointer = format!("{}/targetPort", port.pointer);
            let message = format!("back ends of type eni need a number, and targetPort is the name {name}");
            let report = Report::at(front.manifest, &*pointer, message).targets([front.target.clone()]);
            let report = match front.setting(BACKEND_TYPE) {
                Some(setting) => report.related(front.manifest, &setting.pointer, "the back ends"),
                None => report,
            };
            sink.push(match number(world, front, name) {
                Some(number) => {
                    let edit = (front.manifest, EditOp::Set(pointer, number.into()));
                    report.fix(format!("write {number}"), true, vec![edit])
                }
                None => report.hint("Write the number of the container port"),
            });
        }
    }
}

/// What the name is in the pods: a number in quotes, or a container port that all of them have alike.
fn number(world: &World<'_>, front: &Front<'_>, name: &str) -> Option<u64> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let selector = front.manifest.object.at("/spec/selector").and_then(Value::as_object)?;
    let pods = world.pods_with(selector).filter(|pod| {
        pod.target.as_ref() == Some(&front.target) && pod.namespace == super::super::world::namespace(front.manifest)
    });
    let containers = pods.filter_map(|pod| pod.spec?.get("containers")?.as_array()).flatten();
    let ports = containers.filter_map(|container| container.get("ports")?.as_array()).flatten();
    let mut numbers: Vec<u64> = ports
        .filter(|port| port.get("name").and_then(Value::as_str) == Some(name))
        .filter_map(|port| port.get("containerPort")?.as_u64())
        .collect();
    numbers.dedup();
    match numbers.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}
