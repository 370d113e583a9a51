//! How a gateway chooses among the clusters of a destination (`GetEffectiveLbSetting`, `ApplyLocalityLoadBalancer`): as many
//! requests as endpoints, unless a DestinationRule or the Service asks for more. Of localities the files know the region of
//! a cluster only, so zones, hosts and networks are taken as the same.

use super::endpoints::replicas;
use super::model::{Model, items, text, texts};
use super::outcome::{ClusterEndpoints, Destination};
use super::rules_of::{Joined, Subset};
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// Which clusters get how much.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    /// As many requests as endpoints: nothing decides, or the files do not know the regions that would.
    ByEndpoints,
    /// Parts of the clusters that have endpoints, from 0 to 1.
    Shares(Vec<(String, f64)>),
    /// `distribute` names none of their regions: Envoy gets no endpoint.
    Nowhere,
}

/// Where the pods of a gateway run.
#[derive(Clone, Copy)]
pub(super) struct Home<'a> {
    pub(super) cluster: &'a Target,
    /// Labels of the pods.
    pub(super) labels: &'a BTreeMap<String, String>,
}

/// What decides for the pods of a gateway in one cluster.
pub(super) fn of(
    model: &Model<'_, '_>,
    home: Option<Home<'_>>,
    destination: &Destination<'_>,
    rule: Option<&Joined<'_>>,
    subset: Option<&Subset<'_>>,
) -> Choice {
    let policy = Policy { whole: rule.and_then(|it| it.policy), subset: subset.and_then(|it| it.policy) };
    let (Some(home), false) = (home, destination.endpoints.is_empty()) else { return Choice::ByEndpoints };
    let balancer = policy.get("loadBalancer", destination.port);
    if balancer.and_then(|it| present(it, "zoneAwareLbSetting")).is_some() {
        return Choice::ByEndpoints;
    }
    let setting = balancer.and_then(|it| present(it, "localityLbSetting"));
    if setting.is_some_and(|it| it.get("enabled").and_then(Value::as_bool) == Some(false)) {
        return Choice::ByEndpoints;
    }
    let here = Here { model, home, region: region(model, home.cluster) };
    if let Some(setting) = setting.filter(|it| present(it, "distribute").is_some()) {
        return here.distributed(setting, &destination.endpoints);
    }
    // Failing over needs outlier detection: without it Envoy never learns that endpoints are gone.
    let near = setting.is_none() && destination.services.iter().any(|service| stays_near(service));
    if !near && policy.get("outlierDetection", destination.port).is_none() {
        return Choice::ByEndpoints;
    }
    here.nearest(setting, near, &destination.endpoints)
}

/// Does anything in these policies make the region of a gateway matter?
pub(super) fn matters(policy: &Value) -> bool {
    let here = |policy: &Value| {
        present(policy, "outlierDetection").is_some()
            || policy.get("loadBalancer").is_some_and(|it| present(it, "localityLbSetting").is_some())
    };
    here(policy) || items(policy, "/portLevelSettings").iter().any(here)
}

/// Does its name matter too?
pub(super) fn names_clusters(policy: &Value) -> bool {
    let here = |policy: &Value| {
        texts(policy, "/loadBalancer/localityLbSetting/failoverPriority").any(|it| it.starts_with(CLUSTER))
    };
    here(policy) || items(policy, "/portLevelSettings").iter().any(here)
}

/// Does a Service ask that its requests stay near (`trafficDistribution`)?
pub(super) fn stays_near(service: &Manifest) -> bool {
    let annotations = service.object.at("/metadata/annotations");
    let annotation = annotations.and_then(|it| it.get("networking.istio.io/traffic-distribution"));
    let said = annotation.and_then(Value::as_str).unwrap_or_else(|| text(&service.object, "/spec/trafficDistribution"));
    matches!(said, "PreferClose" | "PreferSameZone" | "PreferSameNode")
}

const CLUSTER: &str = "topology.istio.io/cluster";
const REGION: &str = "topology.kubernetes.io/region";

fn present<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    value.get(field).filter(|it| !it.is_null())
}

/// The region of a cluster, if the fleet knows it.
pub(super) fn region<'m>(model: &'m Model<'_, '_>, cluster: &Target) -> Option<&'m str> {
    let clusters = model.state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
    clusters.into_iter().find(|it| it.name == cluster.name()).and_then(|it| it.region.as_deref())
}

/// Policies of a DestinationRule and of one of its subsets (`MergeSubsetTrafficPolicy`).
struct Policy<'s> {
    whole: Option<&'s Value>,
    subset: Option<&'s Value>,
}

impl<'s> Policy<'s> {
    /// A field, for a port. What is said for a port takes nothing over from what is said for all.
    fn get(&self, field: &str, port: u16) -> Option<&'s Value> {
        let of_port = |policy: &'s Value| {
            let mut all = items(policy, "/portLevelSettings").iter();
            all.find(|it| it.at("/port/number").and_then(Value::as_u64) == Some(u64::from(port)))
        };
        for policy in [self.subset, self.whole].into_iter().flatten() {
            if let Some(own) = of_port(policy) {
                return present(own, field);
            }
            if let Some(value) = present(policy, field) {
                return Some(value);
            }
        }
        None
    }
}

/// A gateway's pods in one cluster.
struct Here<'a, 's, 'o> {
    model: &'a Model<'s, 'o>,
    home: Home<'a>,
    region: Option<&'a str>,
}

impl Here<'_, '_, '_> {
    /// `distribute`: the first item from our region says which regions get how much; others get nothing.
    fn distributed(&self, setting: &Value, endpoints: &[ClusterEndpoints<'_>]) -> Choice {
        let Some(own) = self.region else { return Choice::ByEndpoints };
        let mut all = items(setting, "/distribute").iter();
        let Some(item) = all.find(|it| is_in(text(it, "/from"), own)) else { return Choice::ByEndpoints };
        let mut to: Vec<(&str, f64)> = item.get("to").and_then(Value::as_object).map_or_else(Vec::new, |to| {
            to.iter().filter_map(|(name, weight)| Some((name.as_str(), weight.as_f64()?))).collect()
        });
        // What is named goes before what is meant by the star.
        to.sort_by_key(|(name, _)| name.starts_with('*'));
        let mut weights = vec![0.0; endpoints.len()];
        let mut left: Vec<usize> = (0..endpoints.len()).collect();
        // Several zones of one region add up.
        for (number, (name, _)) in to.iter().enumerate() {
            let first = name.split('/').next();
            if to[..number].iter().any(|(before, _)| before.split('/').next() == first) {
                continue;
            }
            let weight: f64 = to.iter().filter(|(it, _)| it.split('/').next() == first).map(|(_, weight)| weight).sum();
            let is_meant = |at: &usize| {
                endpoints.get(*at).and_then(|it| region(self.model, &it.cluster)).is_some_and(|it| is_in(name, it))
            };
            let (meant, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(is_meant);
            left = rest;
            let count = |at: &usize| endpoints.get(*at).map_or(0.0, |it| f64::from(it.count));
            let total: f64 = meant.iter().map(count).sum();
            for at in meant {
                if let Some(own) = weights.get_mut(at) {
                    *own = weight * count(&at) / total;
                }
            }
        }
        shares(endpoints, &weights).map_or(Choice::Nowhere, Choice::Shares)
    }

    /// Requests stay with the endpoints that are nearest; the others are for when these fail.
    fn nearest(&self, setting: Option<&Value>, near: bool, endpoints: &[ClusterEndpoints<'_>]) -> Choice {
        let mut wanted: Vec<&str> = setting.map(|it| texts(it, "/failoverPriority").collect()).unwrap_or_default();
        if near {
            wanted = vec![REGION];
        }
        let failover = setting.map(|it| items(it, "/failover")).unwrap_or_default();
        let by_region = wanted.is_empty() || !failover.is_empty();
        let needs_region = by_region || wanted.contains(&REGION);
        if needs_region && (self.region.is_none() || endpoints.iter().any(|it| self.is_unknown(&it.cluster))) {
            return Choice::ByEndpoints;
        }
        let mut ranked: Vec<(usize, (usize, u8), f64)> = Vec::new();
        for (at, part) in endpoints.iter().enumerate() {
            let far = if by_region { self.distance(&part.cluster, failover) } else { 0 };
            for (workload, count) in counted(part) {
                ranked.push((at, (self.unlike(&wanted, &part.cluster, workload), far), count));
            }
        }
        let Some(best) = ranked.iter().map(|(_, rank, _)| *rank).min() else { return Choice::ByEndpoints };
        let mut weights = vec![0.0; endpoints.len()];
        for (at, _, count) in ranked.into_iter().filter(|(_, rank, _)| *rank == best) {
            if let Some(own) = weights.get_mut(at) {
                *own += count;
            }
        }
        shares(endpoints, &weights).map_or(Choice::ByEndpoints, Choice::Shares)
    }

    /// A member cluster whose region no file says.
    fn is_unknown(&self, cluster: &Target) -> bool {
        *cluster != Target::Mesh && region(self.model, cluster).is_none()
    }

    /// How far a cluster is: our region, the one that `failover` names for ours, any other.
    fn distance(&self, cluster: &Target, failover: &[Value]) -> u8 {
        let other = region(self.model, cluster);
        if other == self.region {
            return 0;
        }
        let mut all = failover.iter();
        match all.find(|it| Some(text(it, "/from")) == self.region) {
            Some(item) if other != Some(text(item, "/to")) => 2,
            _ => 1,
        }
    }

    /// How many of the labels of `failoverPriority` are left from the first one that differs on.
    fn unlike(&self, wanted: &[&str], cluster: &Target, workload: Option<&Manifest>) -> usize {
        let differs = |wanted: &&str| {
            let (key, fixed) = wanted.split_once('=').map_or((*wanted, None), |(key, value)| (key, Some(value)));
            let theirs = self.label(key, cluster, workload);
            match (fixed, key) {
                (Some(fixed), _) => theirs != Some(fixed),
                (None, CLUSTER) => theirs != Some(self.home.cluster.name()),
                (None, REGION) => theirs != self.region,
                // Not in the files: taken as the same.
                (None, _) if is_topology(key) => false,
                (None, _) => theirs != self.home.labels.get(key).map(String::as_str),
            }
        };
        wanted.iter().position(differs).map_or(0, |at| wanted.len() - at)
    }

    /// A label of an endpoint, as istiod has it.
    fn label<'a>(&'a self, key: &str, cluster: &'a Target, workload: Option<&'a Manifest>) -> Option<&'a str> {
        match key {
            CLUSTER => Some(cluster.name()),
            REGION => region(self.model, cluster),
            _ => {
                let object = &workload?.object;
                let template = object.at("/spec/template/metadata/labels");
                let own = || object.at("/metadata/labels").and_then(|it| it.get(key));
                template.and_then(|it| it.get(key)).or_else(own)?.as_str()
            }
        }
    }
}

/// Labels that say where something is; istiod sets them.
fn is_topology(key: &str) -> bool {
    matches!(
        key,
        "topology.istio.io/network"
            | "topology.istio.io/subzone"
            | "topology.kubernetes.io/zone"
            | "kubernetes.io/hostname"
    )
}

/// Is this region meant by `REGION/ZONE/SUBZONE`?
fn is_in(name: &str, region: &str) -> bool {
    let first = name.split('/').next();
    first == Some("*") || first == Some(region)
}

/// What makes the endpoints of a cluster, and how many each.
fn counted<'s>(part: &ClusterEndpoints<'s>) -> Vec<(Option<&'s Manifest>, f64)> {
    match part.workloads.as_slice() {
        [] => vec![(None, f64::from(part.count))],
        [only] => vec![(Some(*only), f64::from(part.count))],
        several => several.iter().map(|it| (Some(*it), f64::from(replicas(it)))).collect(),
    }
}

/// `None` when no endpoint has a weight.
fn shares(endpoints: &[ClusterEndpoints<'_>], weights: &[f64]) -> Option<Vec<(String, f64)>> {
    let total: f64 = weights.iter().sum();
    let named = endpoints.iter().zip(weights);
    (total > 0.0).then(|| named.map(|(it, weight)| (it.cluster.name().to_owned(), weight / total)).collect())
}

#[cfg(test)]
mod tests;
