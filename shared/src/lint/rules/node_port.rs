//! # node-port
//!
//! ## What it finds
//!
//! A `nodePort` outside of 30000–32767, and the same `nodePort` twice in one cluster: by Services in Git, by the ports of
//! IstioGateways that run there, and by `healthCheckNodePort`.
//!
//! ## Why it is bad
//!
//! The API server refuses the Service: `provided port is already allocated`, `provided port is not in the valid range`. With
//! it the whole Service, its other changes included, stays as it was.
//!
//! ## How to mend it
//!
//! Leave the `nodePort` out: the API server gives it a free one.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World, removal};
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "node-port",
    severity: Severity::Error,
    summary: "a node port is out of range, or taken in the same cluster",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("node_port.rs"),
    check,
};

/// The range that a cluster has unless its API server was told otherwise.
const RANGE: std::ops::RangeInclusive<u64> = 30000..=32767;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut taken: HashMap<(&str, u64, &str), (&Front<'a>, String)> = HashMap::new();
    for front in world.fronts() {
        for (number, protocol, pointer) in numbers(front) {
            if !RANGE.contains(&number) {
                let message = format!("the nodePort {number} is out of the range 30000–32767");
                sink.push(mended(front, Report::at(front.manifest, &*pointer, message), pointer));
                continue;
            }
            // A serverless gateway has no nodes that anybody shares.
            if front.cluster.is_none() {
                continue;
            }
            let key = (front.target.name(), number, protocol);
            match taken.get(&key) {
                Some((other, at)) => {
                    let message = format!("the nodePort {number} is taken by {}", other.manifest.id);
                    let report =
                        Report::at(front.manifest, &*pointer, message).related(other.manifest, at, "taken here");
                    sink.push(mended(front, report, pointer));
                }
                None => _ = taken.insert(key, (front, pointer)),
            }
        }
    }
}

fn numbers(front: &Front<'_>) -> Vec<(u64, &'static str, String)> {
    let ports = front.ports.iter();
    let ports = ports.filter_map(|port| Some((port.node_port?, port.protocol, format!("{}/nodePort", port.pointer))));
    let health =
        front.manifest.object.at("/spec/healthCheckNodePort").and_then(Value::as_u64).filter(|number| *number > 0);
    ports.chain(health.map(|number| (number, "TCP", "/spec/healthCheckNodePort".to_owned()))).collect()
}

fn mended<'a>(front: &Front<'a>, report: Report<'a>, pointer: String) -> Report<'a> {
    let report = report.targets([front.target.clone()]).hint("Leave it out: the API server then chooses a free one");
    report.fix("leave the nodePort to the API server", false, vec![(front.manifest, removal(front.manifest, &pointer))])
}
