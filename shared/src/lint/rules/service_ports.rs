//! # service-ports
//!
//! ## What it finds
//!
//! Two ports of a LoadBalancer Service, or of an IstioGateway, with the same number and protocol or with the same name, and a
//! port without a name where there are several. ASM's words for protocols (`HTTP2`, `HTTPS`) are TCP.
//!
//! ## Why it is bad
//!
//! The API server refuses the Service. For a gateway that is the generated one: the gateway keeps the ports that it had, and only
//! its status says why.
//!
//! ## How to mend it
//!
//! Take one of them out, or give it a name and number of its own. The name also tells Istio the protocol.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, FrontPort, World};
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "service-ports",
    severity: Severity::Error,
    summary: "ports of a Service have the same number or name",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("service_ports.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts().iter().filter(|front| front.generated || front.is_load_balancer()) {
        let mut numbers: HashMap<(u64, &str), &FrontPort<'a>> = HashMap::new();
        let mut names: HashMap<&str, &FrontPort<'a>> = HashMap::new();
        for port in &front.ports {
            let name = front.manifest.object.at(&format!("{}/name", port.pointer)).and_then(Value::as_str);
            let number = (port.port, port.protocol);
            let report =
                |message: String| Report::at(front.manifest, &*port.pointer, message).targets([front.target.clone()]);
            if let Some(other) = numbers.get(&number) {
                let message = format!("port {} ({}) is there twice", port.port, port.protocol);
                let equal = front.manifest.object.at(&other.pointer) == front.manifest.object.at(&port.pointer);
                let edit = (front.manifest, EditOp::Remove(port.pointer.clone()));
                let report = report(message).related(front.manifest, &other.pointer, "the first one");
                sink.push(report.fix("take the second one out", equal, vec![edit]));
                continue;
            }
            numbers.insert(number, port);
            match name {
                Some(name) => match names.get(name) {
                    Some(other) => {
                        let message = format!("the name {name} is there twice");
                        sink.push(renamed(
                            front,
                            port,
                            report(message).related(front.manifest, &other.pointer, "the first one"),
                            name,
                        ));
                    }
                    None => _ = names.insert(name, port),
                },
                None if front.ports.len() > 1 => {
                    let message = format!("port {} needs a name: there are several ports", port.port);
                    sink.push(renamed(front, port, report(message), &port.protocol.to_lowercase()));
                }
                None => {}
            }
        }
    }
}

fn renamed<'a>(front: &Front<'a>, port: &FrontPort<'a>, report: Report<'a>, word: &str) -> Report<'a> {
    // What stands before the dash is the protocol for Istio.
    let name = format!("{}-{}", word.split('-').next().unwrap_or(word), port.port);
    let edit = (front.manifest, EditOp::Set(format!("{}/name", port.pointer), Value::from(name.as_str())));
    report.fix(format!("name it {name}"), false, vec![edit])
}
