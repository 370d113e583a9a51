//! # service-pods
//!
//! ## What it finds
//!
//! A Service with a selector that chooses no pod in any of the clusters that have it. A mesh joins the endpoints of all clusters, so a
//! Service without pods in one of them is nothing bad while another one has some.
//!
//! Where the files hold no workload of its namespace, its applications stand elsewhere and nothing is said.
//!
//! ## Why it is bad
//!
//! Requests that are routed to it answer 503 (`no healthy upstream`). No API server says so: a selector is just labels.
//!
//! ## How to mend it
//!
//! Correct the label, in the selector or in the pod template of the workload.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Pod, Service, World, escape};
use super::load_balancer_selector::meant;
use crate::distance::distance;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "service-pods",
    severity: Severity::Warning,
    summary: "a Service chooses no pod in any cluster",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("service_pods.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut by_name: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, service) in world.services().iter().enumerate() {
        if !service.generated && service.kind != "ExternalName" && selector_of(service).is_some() {
            by_name.entry((service.namespace, &*service.name)).or_default().push(index);
        }
    }
    let known: HashSet<&str> = world.pods().iter().map(|pod| pod.namespace).collect();
    for ((space, _), services) in by_name {
        let speaks = world.is_complete() || known.contains(space);
        if !speaks || !world.behind(&services, &Map::new()).is_empty() {
            continue;
        }
        for service in services.iter().filter_map(|index| world.services().get(*index)) {
            let Some(selector) = selector_of(service) else { continue };
            // A load balancer of a gateway is another rule's.
            let of_gateway = service.kind == "LoadBalancer" && meant(selector).is_some();
            if !of_gateway && !world.has_machine(space, selector) {
                sink.push(report(world, service, selector));
            }
        }
    }
}

fn selector_of<'s>(service: &'s Service<'_>) -> Option<&'s Map<String, Value>> {
    service.selector.as_deref().filter(|selector| !selector.is_empty())
}

fn report<'a>(world: &World<'a>, service: &Service<'a>, selector: &Map<String, Value>) -> Report<'a> {
    let message = "no pod in any cluster that has this Service has these labels: requests to it answer 503";
    let report = Report::at(service.manifest, "/spec/selector", message);
    let strays: Vec<&Pod<'a>> = world.pods_with(selector).collect();
    if let Some(stray) = strays.iter().find(|pod| pod.namespace == service.namespace) {
        let cluster = stray.target.as_ref().map_or("another cluster", |target| target.name());
        let hint = format!("Such pods run in {cluster}, which has no Service {}", service.name);
        return report.hint(hint).related(stray.manifest, "", "these pods");
    }
    if let Some(stray) = strays.first() {
        let hint = format!("Such pods run in the namespace {}: a Service chooses those of its own", stray.namespace);
        return report.hint(hint).related(stray.manifest, "", "these pods");
    }
    match near(world, service, selector) {
        Some((key, value, pod)) => {
            let edit = EditOp::Set(format!("/spec/selector/{}", escape(key)), value.into());
            let report = report.hint(format!("Did you mean {key}: {value}?")).related(pod.manifest, "", "such pods");
            report.fix(format!("choose {key}: {value}"), false, vec![(service.manifest, edit)])
        }
        None => report.hint("Correct the label, here or in the pod template of the workload"),
    }
}

/// The pods beside it that lack one of the labels only, and have almost that one.
fn near<'w, 'a>(
    world: &'w World<'a>,
    service: &Service<'a>,
    selector: &'w Map<String, Value>,
) -> Option<(&'w str, &'w str, &'w Pod<'a>)> {
    let here = |pod: &&Pod<'a>| pod.namespace == service.namespace && pod.target.as_ref() == Some(&service.target);
    let candidates = world.pods().iter().filter(here).filter_map(|pod| {
        let mut missing = selector.iter().filter(|(key, value)| pod.labels.get(*key) != Some(value));
        let ((key, asked), None) = (missing.next()?, missing.next()) else { return None };
        let (asked, own) = (asked.as_str()?, pod.labels.get(key)?.as_str()?);
        let far = distance(asked, own);
        (far <= 1 + asked.len() / 4).then_some((far, &**key, own, pod))
    });
    candidates.min_by_key(|(far, key, own, _)| (*far, *key, *own)).map(|(_, key, own, pod)| (key, own, pod))
}
