//! # dead-door
//!
//! ## What it finds
//!
//! A port of a load balancer in front of a gateway's pods for which no Gateway that selects these pods has a server: neither by
//! the port itself nor by its `targetPort`. Also a gateway that no Gateway selects at all.
//!
//! ## Why it is bad
//!
//! The load balancer has a listener, and the pods answer nothing there: its health check fails, and who scans the address sees
//! an open port without a service.
//!
//! ## How to mend it
//!
//! Add a server to a Gateway, or take the port away. A gateway whose routes are still to come needs nothing.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, namespace};
use crate::object::At as _;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "dead-door",
    severity: Severity::Info,
    summary: "a load balancer's port leads to no server of a Gateway",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("dead_door.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut servers: HashMap<&str, BTreeSet<u64>> = HashMap::new();
    for gateway in world.gateways() {
        let numbers = || gateway.gateway.servers.iter().filter_map(|server| server.port).map(u64::from);
        for pod in gateway.pods.iter().filter_map(|index| world.pods().get(*index)).filter(|pod| pod.is_istio_gateway())
        {
            servers.entry(&pod.manifest.id.name).or_default().extend(numbers());
        }
    }
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        let name = if front.generated {
            Some(&*front.manifest.id.name)
        } else {
            let selector = front.manifest.object.at("/spec/selector").and_then(Value::as_object);
            let mut pods = selector.into_iter().flat_map(|selector| world.pods_with(selector));
            let own = namespace(front.manifest);
            pods.find(|pod| {
                pod.is_istio_gateway() && pod.target.as_ref() == Some(&front.target) && pod.namespace == own
            })
            .map(|pod| &*pod.manifest.id.name)
        };
        let Some(name) = name else { continue };
        let Some(open) = servers.get(name) else {
            if front.generated {
                let report =
                    Report::at(front.manifest, "", "no Gateway selects its pods: its load balancer answers nothing");
                sink.push(
                    report
                        .targets([front.target.clone()])
                        .hint("Add a Gateway: kubectl asm route add … --create-gateway"),
                );
            }
            continue;
        };
        for port in &front.ports {
            // The port of the gateway's own health; ASM's examples have it.
            let dead = port.port != 15020
                && !open.contains(&port.port)
                && port.target_number().is_some_and(|target| !open.contains(&target));
            if dead {
                let message = format!("no server of a Gateway is behind port {}", port.port);
                sink.push(Report::at(front.manifest, &*port.pointer, message).targets([front.target.clone()]));
            }
        }
    }
}
