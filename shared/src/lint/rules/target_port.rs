//! # target-port
//! ## What it finds
//!
//! A `targetPort` by name that no container of the pods behind the Service has, in one cluster. A number that no container names while they
//! do name others is an information: containers may listen on what they do not name.
//!
//! ## Why it is bad
//!
//! Kubernetes leaves pods without a port of the name out of the Service's endpoints: requests to the Service find nobody.
//!
//! ## How to mend it
//!
//! Give a port of the container the name, or write its number.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Pod, Service, ServicePort, World, items, text};
use crate::distance::distance;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "target-port",
    severity: Severity::Warning,
    summary: "a Service leads to a port that its pods do not have",
    istio: &[],
    kiali: &["KIA0701"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("target_port.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for service in world.services().iter().filter(|service| !service.generated) {
        let Some(selector) = service.selector.as_ref().filter(|selector| !selector.is_empty()) else { continue };
        let near = world.pods_with(selector);
        let pods: Vec<&Pod<'a>> = near.filter(|pod| service.selects(pod)).collect();
        // The pods of a gateway are ASM's, and a rule of its own judges their ports.
        if pods.is_empty() || pods.iter().any(|pod| pod.is_istio_gateway()) {
            continue;
        }
        let declared: Vec<&Value> = pods.iter().filter_map(|pod| pod.spec).flat_map(ports).collect();
        for (index, port) in service.ports.iter().enumerate() {
            sink.extend(judge(service, index, port, &pods, &declared));
        }
    }
}

/// What the containers of a pod name.
fn ports(spec: &Value) -> Vec<&Value> {
    let containers = ["/containers", "/initContainers"].into_iter().flat_map(|list| items(spec, list));
    containers.flat_map(|(_, container)| items(container, "/ports")).map(|(_, port)| port).collect()
}

fn judge<'a>(
    service: &Service<'a>,
    index: usize,
    port: &ServicePort<'a>,
    pods: &[&Pod<'a>],
    declared: &[&Value],
) -> Option<Report<'a>> {
    let at = format!("/spec/ports/{index}/targetPort");
    let first = pods.first()?;
    let related = |report: Report<'a>| report.related(first.manifest, "", "makes the pods");
    if let Some(name) = port.target_port.and_then(Value::as_str) {
        if declared.iter().any(|port| text(port, "/name") == name) {
            return None;
        }
        let report =
            related(Report::at(service.manifest, at.clone(), format!("no container of its pods has a port {name}")));
        let names = declared.iter().map(|port| text(port, "/name")).filter(|known| !known.is_empty());
        let near = names.map(|known| (distance(known, name), known)).min().filter(|(far, _)| *far <= 2);
        return Some(match near {
            Some((_, meant)) => {
                let edit = (service.manifest, EditOp::Set(at, meant.into()));
                report.hint(format!("Did you mean {meant}?")).fix(format!("write {meant}"), false, vec![edit])
            }
            None => report.hint("Name a port of the container so, or write its number"),
        });
    }
    let number = port.target_port.and_then(Value::as_u64).unwrap_or(port.port);
    let has = |port: &&Value| port.get("containerPort").and_then(Value::as_u64) == Some(number);
    // Whoever names none says nothing of any.
    if declared.is_empty() || declared.iter().any(has) {
        return None;
    }
    let message = format!("no container of its pods names the port {number}, and they name others");
    let at = if port.target_port.is_some() { at } else { format!("/spec/ports/{index}/port") };
    Some(related(Report::at(service.manifest, at, message)).severity(Severity::Info))
}
