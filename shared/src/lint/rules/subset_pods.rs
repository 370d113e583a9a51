//! # subset-pods
//!
//! ## What it finds
//!
//! A subset of a DestinationRule whose labels no pod of the host's Service has, in any cluster of the mesh.
//!
//! ## Why it is bad
//!
//! A subset is served by the pods of all clusters together. Without any, every request to it answers 503. While no
//! VirtualService sends requests to it, that is for information.
//!
//! ## How to mend it
//!
//! Correct the labels of the subset, or the labels of the pod template (not those of the Deployment).

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, intersects, namespace};
use crate::istio::{VirtualService, full_host};
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
    for rule in &world.destination_rules {
        let found = world.hosts.find(&rule.rule.host, namespace(rule.manifest));
        // Endpoints of a ServiceEntry have labels of their own.
        if found.services.is_empty() || !found.entries.is_empty() {
            continue;
        }
        for (index, subset) in rule.rule.subsets.iter().enumerate() {
            let labels = subset.of_pods();
            if labels.is_empty() || !world.behind(&found.services, &labels).is_empty() {
                continue;
            }
            let message = format!("no pod of {} has the labels of the subset {}", rule.rule.host, subset.name);
            let report = Report::at(rule.manifest, format!("/spec/subsets/{index}/labels"), message);
            let host = full_host(&rule.rule.host, namespace(rule.manifest)).to_lowercase();
            let is_used = used.get(&subset.name).is_some_and(|hosts| hosts.iter().any(|to| intersects(&host, to)));
            let report = if is_used { report } else { report.severity(Severity::Info) };
            let present = present(world, &labels, &found.services);
            let report = report
                .hints(present.as_ref().map(|(key, values)| format!("Its pods have {key}: {}", values.join(", "))));
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

/// The hosts of which a VirtualService names a subset, by the subset.
fn used(world: &World<'_>) -> HashMap<String, BTreeSet<String>> {
    let mut used: HashMap<String, BTreeSet<String>> = HashMap::new();
    for route in &world.routes {
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
