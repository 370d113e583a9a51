//! # subset-pods
//!
//! ## What it finds
//!
//! A subset of a DestinationRule whose labels no pod of the host's Service has, in any cluster of the mesh.
//!
//! ## Why it is bad
//!
//! A subset is served by the pods of all clusters together. Without any, every request to it answers 503.
//!
//! ## How to mend it
//!
//! Correct the labels of the subset, or the labels of the pod template (not those of the Deployment).

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{DestinationRuleView, World, namespace};
use serde_json::{Map, Value};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "subset-pods",
    severity: Severity::Error,
    summary: "a subset chooses no pod in any cluster",
    istio: &["IST0173"],
    kiali: &["KIA0203"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("subset_pods.rs"),
    check,
};

/// Labels that the control plane adds to endpoints by where they are.
const OF_PLACES: &[&str] = &["topology.", "region", "zone", "failure-domain."];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for rule in &world.destination_rules {
        let found = world.hosts.find(&rule.rule.host, namespace(rule.manifest));
        // Endpoints of a ServiceEntry have labels of their own.
        if found.services.is_empty() || !found.entries.is_empty() {
            continue;
        }
        for (index, subset) in rule.rule.subsets.iter().enumerate() {
            let mut labels = subset.labels.clone();
            labels.retain(|key, _| !OF_PLACES.iter().any(|place| key.starts_with(place)));
            if labels.is_empty() || has_pods(world, &found.services, &labels) {
                continue;
            }
            let message = format!("no pod of {} has the labels of the subset {}", rule.rule.host, subset.name);
            let report = Report::at(rule.manifest, format!("/spec/subsets/{index}/labels"), message);
            sink.push(report.hints(present(world, rule, &found.services)));
        }
    }
}

/// Has any pod behind these Services the labels?
fn has_pods(world: &World<'_>, services: &[usize], labels: &Map<String, Value>) -> bool {
    // A Service of one cluster stands for the pods of all clusters: endpoints are the union.
    services.iter().filter_map(|index| world.services.get(*index)).any(|service| {
        let Some(selector) = service.selector.as_ref().filter(|selector| !selector.is_empty()) else { return false };
        if selector.iter().any(|(key, value)| labels.get(key).is_some_and(|label| label != value)) {
            return false;
        }
        // Selector and labels at once: all applications of a fleet may have a `version: v1`, few pods have both.
        let wanted: Map<String, Value> = selector.iter().chain(labels).map(|(k, v)| (k.clone(), v.clone())).collect();
        let pods = world.pod_index.with(&world.pods, &wanted);
        pods.iter().filter_map(|index| world.pods.get(*index)).any(|pod| pod.namespace == service.namespace)
    })
}

/// What the pods have instead, for the first label of the subset.
fn present(world: &World<'_>, rule: &DestinationRuleView<'_>, services: &[usize]) -> Option<String> {
    let key = rule.rule.subsets.iter().find_map(|subset| subset.labels.keys().next())?;
    let behind = services.iter().filter_map(|index| world.services.get(*index)).flat_map(|service| {
        let pods = service.selector.as_ref().map(|selector| world.pod_index.with(&world.pods, selector));
        let pods = pods.into_iter().flatten().filter_map(|index| world.pods.get(index));
        pods.filter(|pod| service.selects(pod)).collect::<Vec<_>>()
    });
    let mut values: Vec<&str> = behind.filter_map(|pod| pod.labels.get(key)?.as_str()).collect();
    values.sort_unstable();
    values.dedup();
    (!values.is_empty()).then(|| format!("Its pods have {key}: {}", values.join(", ")))
}
