//! The IstioGateway: its Services, load balancers and pods in every member cluster.

use super::{Consequence, Pair, annotations, named, service, text};
use crate::asm::annotations::Product;
use crate::asm::{addresses, gateway};
use crate::object::At as _;
use crate::object::kinds;
use serde_json::Value;

/// Fields of `spec` that ASM puts into the pod template.
const POD_FIELDS: &[&str] = &[
    "podLabels",
    "podAnnotations",
    "resources",
    "env",
    "nodeSelector",
    "affinity",
    "tolerations",
    "secretVolumes",
    "configVolumes",
    "sds",
    "runAsRoot",
    "hostNetwork",
    "dnsPolicy",
    "lifecycle",
    "readinessProbe",
    "kernel",
];

const DRAIN_TIMEOUT: &str = "asm.alibabacloud.com/gateway-drain-timeout-seconds";

fn is_gateway(pair: &Pair<'_>) -> bool {
    pair.is(kinds::ASM, "IstioGateway")
}

fn both<'a>(pair: &Pair<'a>) -> Option<(&'a Value, &'a Value)> {
    pair.both().filter(|_| is_gateway(pair))
}

fn class(gateway: &Value) -> Option<&str> {
    text(gateway, "/spec/loadBalancerClass")
}

pub(super) fn destroyed(pair: &Pair<'_>) -> Vec<Consequence> {
    let Some(gateway) = pair.destroyed().filter(|_| is_gateway(pair)) else { return Vec::new() };
    let text = if gateway::wants_load_balancer(gateway) {
        format!(
            "its Services, pods and {}s are removed in every cluster and its address{} is lost for good",
            Product::of_class(class(gateway)).word(),
            named(&addresses::of_istio_gateway(gateway))
        )
    } else {
        "its Services and pods are removed in every cluster".to_owned()
    };
    vec![Consequence::note(text)]
}

pub(super) fn serverless_toggled(pair: &Pair<'_>) -> Vec<Consequence> {
    let changed = both(pair).filter(|(before, after)| gateway::is_serverless(before) != gateway::is_serverless(after));
    let Some((before, after)) = changed else { return Vec::new() };
    let now = if gateway::is_serverless(after) { "ASM" } else { "the member clusters" };
    vec![Consequence::replacement(format!(
        "{} moves the gateway's pods to {now}: that is another gateway, and its address{} is lost",
        gateway::MANAGED_BY_ASM,
        named(&addresses::of_istio_gateway(before))
    ))]
}

pub(super) fn clusters_left(pair: &Pair<'_>) -> Vec<Consequence> {
    let Some((before, after)) = both(pair) else { return Vec::new() };
    let kept = gateway::cluster_ids(after);
    let left = gateway::cluster_ids(before).into_iter().filter(|id| !kept.contains(id));
    left.map(|id| {
        let address = named(&addresses::of_istio_gateway_in(before, id));
        Consequence::note(format!(
            "cluster {id} loses the gateway with its load balancer and its address{address} there"
        ))
    })
    .collect()
}

pub(super) fn type_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let changed = both(pair)
        .filter(|(before, after)| gateway::wants_load_balancer(before) && !gateway::wants_load_balancer(after));
    let text = |before: &Value| {
        let address = named(&addresses::of_istio_gateway(before));
        format!("its {}s and its address{address} are lost for good", Product::of_class(class(before)).word())
    };
    changed.map(|(before, _)| Consequence::note(text(before))).into_iter().collect()
}

pub(super) fn class_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let changed = both(pair).filter(|(before, after)| {
        class(before) != class(after) && gateway::wants_load_balancer(before) && gateway::wants_load_balancer(after)
    });
    let text = |before: &Value| {
        let address = named(&addresses::of_istio_gateway(before));
        format!(
            "CLB and NLB do not turn into each other: it takes another gateway with another address, and this \
             address{address} is lost"
        )
    };
    changed.map(|(before, _)| Consequence::replacement(text(before))).into_iter().collect()
}

pub(super) fn annotations_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let kept = both(pair)
        .filter(|(before, after)| gateway::wants_load_balancer(before) && gateway::wants_load_balancer(after));
    let Some((before, after)) = kept else { return Vec::new() };
    let of = |gateway: &Value| gateway.at("/spec/serviceAnnotations").cloned();
    let product = Product::of_class(class(before));
    annotations::changed(of(before).as_ref(), of(after).as_ref(), product, &addresses::of_istio_gateway(before))
}

pub(super) fn traffic_policy_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let Some((before, after)) = both(pair) else { return Vec::new() };
    let policy = |gateway| text(gateway, "/spec/externalTrafficPolicy");
    let backend = after.at("/spec/serviceAnnotations").and_then(service::backend_type);
    service::policy(policy(before), policy(after), backend == Some("eni"))
}

pub(super) fn ports_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let Some((before, after)) = both(pair) else { return Vec::new() };
    service::ports(before, after, gateway::wants_load_balancer(before) && gateway::wants_load_balancer(after))
}

pub(super) fn pods_restart(pair: &Pair<'_>) -> Vec<Consequence> {
    if both(pair).is_none() {
        return Vec::new();
    }
    let mut fields: Vec<&str> = POD_FIELDS.iter().copied().filter(|field| pair.touches(&["spec", field])).collect();
    if pair.touches(&["metadata", "annotations", DRAIN_TIMEOUT]) {
        fields.push("the drain timeout");
    }
    if pair.touches(&["spec", "overrides"]) {
        fields.push("overrides");
    }
    if fields.is_empty() {
        return Vec::new();
    }
    vec![Consequence::note(format!("rolling restart of the gateway's pods ({})", fields.join(", ")))]
}
