//! # subset-in-one-cluster
//!
//! ## What it finds
//!
//! A weighted destination whose subset has pods in one cluster only, while its Service is in several.
//!
//! ## Why it is bad
//!
//! Endpoints are those of all clusters: the share of every cluster crosses to the one that has the pods, and when that
//! cluster is lost, so is the subset. In a canary that may be meant.
//!
//! ## How to mend it
//!
//! Place the version in the other clusters too (`kubectl asm app place`), or know that it is so.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, namespace};
use crate::fleet::Target;
use crate::istio::{VirtualService, full_host};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "subset-in-one-cluster",
    severity: Severity::Info,
    summary: "a weighted subset runs in one of several clusters",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("subset_in_one_cluster.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut subsets: HashMap<(String, &str), &Map<String, Value>> = HashMap::new();
    for rule in world.destination_rules() {
        let host = full_host(&rule.rule.host, namespace(rule.manifest)).to_lowercase();
        subsets.extend(rule.rule.subsets.iter().map(|subset| ((host.clone(), subset.name.as_str()), &subset.labels)));
    }
    for route in world.routes() {
        for (to, pointer) in VirtualService::destinations(&route.manifest.object) {
            let weighted = to.weight.is_some_and(|weight| weight > 0 && weight < 100);
            let (Some(subset), true) = (to.subset.as_deref(), weighted) else { continue };
            let host = full_host(&to.host, namespace(route.manifest)).to_lowercase();
            let Some(labels) = subsets.get(&(host, subset)) else { continue };
            let services = world.hosts().find(&to.host, namespace(route.manifest)).services;
            let of = |index: &usize| world.services().get(*index).map(|service| &service.target);
            let all: BTreeSet<&Target> = services.iter().filter_map(of).collect();
            let behind = world.behind(&services, labels);
            let has: BTreeSet<&Target> = behind.iter().filter_map(|pod| pod.target.as_ref()).collect();
            if let (Some(only), true) = (has.first().filter(|_| has.len() == 1), all.len() > 1) {
                let share = to.weight.unwrap_or_default();
                let message = format!(
                    "{share} % of the requests, from every cluster, goes to {only}: only there {} has pods of {subset}",
                    to.host
                );
                sink.push(Report::at(route.manifest, pointer, message));
            }
        }
    }
}
