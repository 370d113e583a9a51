//! # subset-pods
//!
//! ## What it finds
//!
//! A subset of a DestinationRule whose labels no pod of the host's Service has, in any cluster that has the Service. For a host of a
//! ServiceEntry: whose labels neither one of its endpoints has, nor a pod or WorkloadEntry that it selects.
//!
//! ## Why it is bad
//!
//! A subset is served by the pods of all clusters together. Without any, every request to it answers 503. Pods in a cluster without the
//! Service do not count: nothing makes endpoints of them. While no VirtualService sends requests to the subset, that is for information.
//!
//! ## How to mend it
//!
//! Correct the labels of the subset, or the labels of the pod template (not those of the Deployment), or put the Service beside the
//! pods.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Pod, World, intersects, items, namespace};
use crate::fleet::Manifest;
use crate::istio::{VirtualService, full_host};
use crate::object::At as _;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "subset-pods",
    severity: Severity::Error,
    summary: "a subset chooses no pod in any cluster",
    istio: &["IST0173"],
    kiali: &["KIA0203"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("subset_pods.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let used = used(world);
    for rule in world.destination_rules() {
        let found = world.hosts().find(&rule.rule.host, namespace(rule.manifest));
        if found.is_empty() {
            continue;
        }
        for (index, subset) in rule.rule.subsets.iter().enumerate() {
            let labels = subset.of_pods();
            let served = || {
                !world.behind(&found.services, &labels).is_empty()
                    || found.entries.iter().any(|entry| serves(world, entry, &labels))
            };
            if labels.is_empty() || served() {
                continue;
            }
            let who = if found.entries.is_empty() { "pod" } else { "endpoint" };
            let message = format!("no {who} of {} has the labels of the subset {}", rule.rule.host, subset.name);
            let report = Report::at(rule.manifest, format!("/spec/subsets/{index}/labels"), message);
            // istioctl looks at pods only.
            let report = if found.services.is_empty() { report.beyond() } else { report };
            let host = full_host(&rule.rule.host, namespace(rule.manifest)).to_lowercase();
            let is_used = used.get(&subset.name).is_some_and(|hosts| hosts.iter().any(|to| intersects(&host, to)));
            let report = if is_used { report } else { report.severity(Severity::Info) };
            let present = present(world, &labels, &found.services);
            let report = report
                .hints(present.as_ref().map(|(key, values)| format!("Its pods have {key}: {}", values.join(", "))));
            let strays = elsewhere(world, &found.services, &labels);
            if let Some(first) = strays.first() {
                let mut names: Vec<&str> = strays.iter().filter_map(|pod| Some(pod.target.as_ref()?.name())).collect();
                names.dedup();
                let hint = format!("Such pods run in {}, which has no Service {}", names.join(", "), rule.rule.host);
                sink.push(report.hint(hint).related(first.manifest, "", "these pods"));
                continue;
            }
            let Some((key, values)) = present else {
                sink.push(report);
                continue;
            };
            // A value that another subset has already is not what this one is for.
            let free = values.iter().filter(|value| {
                !rule.rule.subsets.iter().any(|other| other.labels.get(&key).and_then(Value::as_str) == Some(*value))
            });
            let free: Vec<&&str> = free.collect();
            sink.push(match free.as_slice() {
                [only] if labels.len() == 1 => {
                    let at = format!("/spec/subsets/{index}/labels/{}", key.replace('~', "~0").replace('/', "~1"));
                    let edit = EditOp::Set(at, (**only).into());
                    report.fix(format!("choose {key}: {only}"), false, vec![(rule.manifest, edit)])
                }
                _ => report,
            });
        }
    }
}

/// The pods that have the labels and are left out because their cluster has no such Service, by cluster.
fn elsewhere<'w, 'a>(world: &'w World<'a>, services: &[usize], labels: &Map<String, Value>) -> Vec<&'w Pod<'a>> {
    let services: Vec<_> = services.iter().filter_map(|index| world.services().get(*index)).collect();
    let mut found: Vec<&Pod<'a>> = Vec::new();
    for service in &services {
        let Some(selector) = service.selector.as_ref().filter(|selector| !selector.is_empty()) else { continue };
        let mut both = Map::clone(selector);
        both.extend(labels.clone());
        let apart = selector.iter().any(|(key, value)| both.get(key) != Some(value));
        let pods = world.pods_with(&both);
        let strays = pods.filter(|pod| !apart && pod.namespace == service.namespace);
        let strays = strays.filter(|pod| services.iter().all(|it| pod.target.as_ref() != Some(&it.target)));
        found.extend(strays);
    }
    found.sort_by_key(|pod| pod.target.clone());
    found
}

/// Has an endpoint of a ServiceEntry these labels: one that is written there, a pod or a WorkloadEntry that it selects?
fn serves(world: &World<'_>, entry: &Manifest, labels: &Map<String, Value>) -> bool {
    let selector = entry.object.at("/spec/workloadSelector/labels").and_then(Value::as_object);
    let Some(selector) = selector else {
        return items(&entry.object, "/spec/endpoints")
            .filter_map(|(_, endpoint)| endpoint.get("labels"))
            .any(|own| labels.iter().all(|(key, value)| own.get(key) == Some(value)));
    };
    let mut both = selector.clone();
    both.extend(labels.clone());
    let mut pods = world.pods_with(&both);
    pods.any(|pod| pod.namespace == namespace(entry)) || world.has_machine(namespace(entry), &both)
}

/// The hosts of which a VirtualService names a subset, by the subset.
fn used(world: &World<'_>) -> HashMap<String, BTreeSet<String>> {
    let mut used: HashMap<String, BTreeSet<String>> = HashMap::new();
    for route in world.routes() {
        for (to, _) in VirtualService::destinations(&route.manifest.object) {
            let host = full_host(&to.host, namespace(route.manifest)).to_lowercase();
            if let Some(subset) = to.subset {
                used.entry(subset).or_default().insert(host);
            }
        }
    }
    used
}

/// What the pods have instead, for the first label of the subset.
fn present<'w>(
    world: &'w World<'_>,
    labels: &Map<String, Value>,
    services: &[usize],
) -> Option<(String, Vec<&'w str>)> {
    let key = labels.keys().next()?;
    let behind = world.behind(services, &Map::new());
    let mut values: Vec<&str> = behind.iter().filter_map(|pod| pod.labels.get(key)?.as_str()).collect();
    values.sort_unstable();
    values.dedup();
    (!values.is_empty()).then(|| (key.clone(), values))
}
