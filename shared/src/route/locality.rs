//! How a gateway chooses among the clusters of a destination: as many requests as endpoints, unless a DestinationRule asks
//! for more. Of localities the files know the region of a cluster only, so zones are left out.

use super::front::Front;
use super::model::{Model, items, text, texts};
use super::outcome::Destination;
use super::rules_of::{Joined, Subset};
use crate::fleet::Target;
use serde_json::Value;

/// Shares of clusters, where a setting and the regions decide; empty otherwise.
pub(super) fn of(
    model: &Model<'_, '_>,
    front: &Front<'_>,
    destination: &Destination<'_>,
    rule: Option<&Joined<'_>>,
    subset: Option<&Subset<'_>>,
) -> Vec<(String, f64)> {
    let Some(rule) = rule.filter(|_| destination.endpoints.len() > 1) else { return Vec::new() };
    let policies = [subset.and_then(|it| it.policy), rule.policy];
    let setting = |field: &str| {
        policies.into_iter().flatten().find_map(|policy| {
            at_port(policy, destination.port).and_then(|policy| policy.get(field)).or_else(|| policy.get(field))
        })
    };
    let region = |target: &Target| {
        let clusters = model.state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        let cluster = clusters.into_iter().find(|it| it.name == target.name());
        cluster.and_then(|it| it.region.as_deref())
    };
    let Some(own) = front.clusters.first().and_then(region) else { return Vec::new() };
    let locality = setting("loadBalancer").and_then(|it| it.get("localityLbSetting"));
    if locality.and_then(|it| it.get("enabled")).and_then(Value::as_bool) == Some(false) {
        return Vec::new();
    }
    let weights: Vec<(String, f64)> = destination
        .endpoints
        .iter()
        .map(|it| {
            let weight = match locality.filter(|it| !items(it, "/distribute").is_empty()) {
                Some(setting) => {
                    distributed(setting, own, region(&it.cluster)) / peers(destination, &it.cluster, &region)
                }
                None => failover(locality, own, region(&it.cluster)),
            };
            (it.cluster.name().to_owned(), weight * f64::from(it.count))
        })
        .collect();
    let distributes = locality.is_some_and(|it| !items(it, "/distribute").is_empty());
    // Failing over needs outlier detection: without it Envoy never learns that endpoints are gone.
    if !distributes && setting("outlierDetection").is_none() {
        return Vec::new();
    }
    let best = weights.iter().map(|(_, weight)| *weight).sum::<f64>();
    if best <= 0.0 {
        return Vec::new();
    }
    weights.into_iter().map(|(cluster, weight)| (cluster, weight / best)).collect()
}

fn at_port(policy: &Value, port: u16) -> Option<&Value> {
    let all = items(policy, "/portLevelSettings").iter();
    let mut own = all.filter(|it| it.pointer("/port/number").and_then(Value::as_u64) == Some(u64::from(port)));
    own.next()
}

/// Endpoints in the region of a cluster.
fn peers<'r>(destination: &Destination<'_>, cluster: &Target, region: &dyn Fn(&Target) -> Option<&'r str>) -> f64 {
    let same = destination.endpoints.iter().filter(|it| region(&it.cluster) == region(cluster));
    f64::from(same.map(|it| it.count).sum::<u32>().max(1))
}

/// The part that a region gets by `distribute`.
fn distributed(setting: &Value, own: &str, region: Option<&str>) -> f64 {
    let is = |name: &str, region: &str| name == "*" || name.split('/').next() == Some(region);
    let all = items(setting, "/distribute").iter();
    let Some(rule) = all.into_iter().find(|it| is(text(it, "/from"), own)) else { return 1.0 };
    let to = rule.get("to").and_then(Value::as_object).into_iter().flatten();
    let mine = to.filter(|(name, _)| region.is_some_and(|region| is(name, region)));
    mine.filter_map(|(_, weight)| weight.as_f64()).sum()
}

/// 1 in the region that requests stay in, 0 elsewhere.
fn failover(setting: Option<&Value>, own: &str, region: Option<&str>) -> f64 {
    let by_labels = setting.is_some_and(|it| texts(it, "/failoverPriority").next().is_some());
    f64::from(u8::from(by_labels || region == Some(own)))
}
