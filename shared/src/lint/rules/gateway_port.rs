//! # gateway-port
//!
//! ## What it finds
//!
//! A port of a Gateway's server that a Service in front of the gateway's pods does not have, neither as `port` nor as
//! `targetPort`. Each cluster and each Service is judged by itself: with several load balancers on one gateway, the one
//! that lacks the port is named.
//!
//! ## Why it is bad
//!
//! The pods listen, but no request arrives: the load balancer has no listener for the port. `istioctl analyze` is
//! content as soon as any Service has it.
//!
//! ## How to mend it
//!
//! Add the port to the IstioGateway (`spec.ports`) or to the Service of the load balancer (`kubectl asm clb add`), or
//! take the server away.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{GatewayView, Pod, Service, World};
use crate::fleet::Manifest;
use serde_json::{Value, json};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-port",
    severity: Severity::Warning,
    summary: "a port of a Gateway is missing from a Service in front of its pods",
    istio: &["IST0162"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("gateway_port.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for gateway in world.gateways() {
        for pod in gateway.pods.iter().filter_map(|index| world.pods().get(*index)) {
            // Of clusters that the fleet does not declare, nobody knows the Services.
            if pod.target.is_none() {
                continue;
            }
            let fronts: Vec<&Service<'a>> = world.selecting(pod).filter(|service| !service.ports.is_empty()).collect();
            for (index, server) in gateway.gateway.servers.iter().enumerate() {
                if let Some(port) = server.port.map(u64::from) {
                    judge(gateway, pod, &fronts, (index, port), sink);
                }
            }
        }
    }
}

fn judge<'a>(
    gateway: &GatewayView<'a>,
    pod: &Pod<'a>,
    fronts: &[&Service<'a>],
    (index, port): (usize, u64),
    sink: &mut Sink<'a>,
) {
    let (open, closed): (Vec<&Service<'a>>, Vec<&Service<'a>>) =
        fronts.iter().copied().partition(|service| opens(service, pod, port));
    let at = |message: String| {
        let report = Report::at(gateway.manifest, format!("/spec/servers/{index}/port/number"), message);
        report.targets(pod.target.clone())
    };
    if open.is_empty() {
        let names: Vec<String> = closed.iter().map(|service| service.name.to_string()).collect();
        let message = match names.as_slice() {
            [] => format!("no Service is in front of the pods of this Gateway: nothing reaches port {port}"),
            _ => format!("no Service in front of its pods ({}) has the port {port}", names.join(", ")),
        };
        let report = closed
            .iter()
            .fold(at(message), |report, service| report.related(service.manifest, "/spec/ports", "its ports"));
        let best = closed.iter().find(|service| service.kind == "LoadBalancer").or(closed.first());
        sink.push(best.into_iter().fold(report, |report, service| mend(report, service.manifest, &service.name, port)));
        return;
    }
    for service in closed.iter().filter(|service| service.kind == "LoadBalancer") {
        let others: Vec<&str> = open.iter().map(|service| &*service.name).collect();
        let message = format!(
            "the load balancer of {} does not open the port {port}, that of {} does",
            service.name,
            others.join(", ")
        );
        let report = at(message).beyond().related(service.manifest, "/spec/ports", "the ports it has");
        sink.push(mend(report, service.manifest, &service.name, port));
    }
}

fn mend<'a>(report: Report<'a>, service: &'a Manifest, name: &str, port: u64) -> Report<'a> {
    let ports = json!({"name": format!("tcp-{port}"), "port": port, "targetPort": port});
    let edit = (service, EditOp::Append("/spec/ports".to_owned(), ports));
    report.hint("Add the port to the Service, or take the server away").fix(
        format!("open the port {port} on {name}"),
        false,
        vec![edit],
    )
}

/// Does a request to the Service reach what listens for this port?
fn opens(service: &Service<'_>, pod: &Pod<'_>, port: u64) -> bool {
    let tcp = service.ports.iter().filter(|own| own.protocol != "UDP");
    let mut own = tcp.map(|own| (own.port, own.target_port));
    own.any(|(number, target)| number == port || target.and_then(|target| number_of(target, pod)) == Some(port))
}

/// The number of a `targetPort`; names are looked up among the pod's containers.
fn number_of(target: &Value, pod: &Pod<'_>) -> Option<u64> {
    let Some(name) = target.as_str() else { return target.as_u64() };
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let containers = pod.spec?.get("containers")?.as_array()?;
    let mut ports = containers.iter().filter_map(|container| container.get("ports")?.as_array()).flatten();
    let named = ports.find(|port| port.get("name").and_then(Value::as_str) == Some(name))?;
    named.get("containerPort")?.as_u64()
}
