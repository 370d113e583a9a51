//! # load-balancer-port
//!
//! ## What it finds
//!
//! A port of a Service of type LoadBalancer in front of a gateway's pods whose `targetPort` the pods do not open: it is
//! neither a target of the gateway's own ports nor the number of a server of a Gateway that selects them.
//!
//! ## Why it is bad
//!
//! The load balancer's health check fails, and connections to that port are refused.
//!
//! ## How to mend it
//!
//! Write the `targetPort` that the gateway has for that port, or add the port to the gateway.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World, namespace};
use crate::fleet::Target;
use crate::object::At as _;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "load-balancer-port",
    severity: Severity::Error,
    summary: "a further load balancer of a gateway goes to a port that its pods do not open",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("load_balancer_port.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let own: HashMap<(&str, &Target), &Front<'a>> = world
        .fronts()
        .iter()
        .filter(|front| front.generated)
        .map(|front| ((&*front.manifest.id.name, &front.target), front))
        .collect();
    let servers = servers(world);
    for front in world.fronts().iter().filter(|front| front.is_load_balancer() && !front.generated) {
        let Some(selector) = front.manifest.object.at("/spec/selector").and_then(Value::as_object) else {
            continue;
        };
        let pod = world.pods_with(selector).find(|pod| {
            pod.is_istio_gateway()
                && pod.target.as_ref() == Some(&front.target)
                && pod.namespace == namespace(front.manifest)
        });
        let Some(gateway) = pod.and_then(|pod| own.get(&(&*pod.manifest.id.name, &front.target))) else { continue };
        let mut open: BTreeSet<u64> = gateway.ports.iter().filter_map(|port| port.target_number()).collect();
        open.extend(servers.get(&*gateway.manifest.id.name).into_iter().flatten());
        // A name of a container port says nothing here.
        let named = gateway.ports.iter().any(|port| port.target_number().is_none());
        for port in front.ports.iter().filter(|_| !named) {
            let Some(target) = port.target_number().filter(|target| !open.contains(target)) else { continue };
            let name = &gateway.manifest.id.name;
            let message = format!(
                "the pods of the gateway {name} do not open port {target}: connections to port {} are refused",
                port.port
            );
            let numbers: Vec<String> = open.iter().map(u64::to_string).collect();
            let report = Report::at(front.manifest, &*port.pointer, message).related(
                gateway.manifest,
                "/spec/ports",
                "the ports of the gateway",
            );
            let report = report.hint(format!("They open {}", numbers.join(", ")));
            let same = gateway.ports.iter().find(|own| own.port == port.port).and_then(|own| own.target_number());
            sink.push(match same {
                Some(number) => {
                    let edit = (front.manifest, EditOp::Set(format!("{}/targetPort", port.pointer), number.into()));
                    report.fix(format!("go to port {number}, as the gateway does"), false, vec![edit])
                }
                None => report,
            });
        }
    }
}

/// The numbers of the servers on each gateway.
fn servers<'a>(world: &World<'a>) -> HashMap<&'a str, BTreeSet<u64>> {
    let mut servers: HashMap<&'a str, BTreeSet<u64>> = HashMap::new();
    for gateway in world.gateways() {
        let numbers: BTreeSet<u64> =
            gateway.gateway.servers.iter().filter_map(|server| server.port).map(u64::from).collect();
        for pod in gateway.pods.iter().filter_map(|index| world.pods().get(*index)).filter(|pod| pod.is_istio_gateway())
        {
            servers.entry(&pod.manifest.id.name).or_default().extend(&numbers);
        }
    }
    servers
}
