//! IstioGateways: their load balancers are those of the Services that ASM makes of them.

use super::{Loss, Step, service};
use crate::asm::annotations::{Product, setting};
use crate::asm::{addresses, gateway};
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeSet;

fn annotations(gateway: &Value) -> Option<&Value> {
    gateway.at("/spec/serviceAnnotations")
}

fn class(gateway: &Value) -> Option<&str> {
    gateway.at("/spec/loadBalancerClass").and_then(Value::as_str)
}

fn all(live: &Value, consequence: String) -> Option<Loss> {
    Some(Loss { addresses: addresses::of_istio_gateway(live), consequence })
}

pub(super) fn deleted(step: &Step<'_>) -> Option<Loss> {
    let stays = service::stays(annotations(step.live)).map(|why| format!("; {why}")).unwrap_or_default();
    let what = "deletes the gateway with its Services, load balancers and addresses; it cannot be restored";
    all(step.live, format!("{what}{stays}"))
}

pub(super) fn switched(step: &Step<'_>) -> Option<Loss> {
    let serverless = gateway::is_serverless(step.wanted?);
    (serverless != gateway::is_serverless(step.live)).then_some(())?;
    let now = if serverless { "serverless" } else { "ordinary" };
    all(step.live, format!("turning it {now} makes another gateway with another address"))
}

pub(super) fn type_taken_away(step: &Step<'_>) -> Option<Loss> {
    let taken = gateway::wants_load_balancer(step.live) && !gateway::wants_load_balancer(step.wanted?);
    taken.then_some(())?;
    all(step.live, "taking serviceType LoadBalancer away deletes its load balancers".to_owned())
}

pub(super) fn class_changed(step: &Step<'_>) -> Option<Loss> {
    let changed = gateway::wants_load_balancer(step.live) && class(step.wanted?) != class(step.live);
    changed.then_some(())?;
    all(step.live, "another loadBalancerClass means another load balancer with another address".to_owned())
}

pub(super) fn cluster_taken_out(step: &Step<'_>) -> Option<Loss> {
    let kept = gateway::cluster_ids(step.wanted?);
    let left: Vec<&str> = gateway::cluster_ids(step.live).into_iter().filter(|id| !kept.contains(id)).collect();
    (!left.is_empty()).then_some(())?;
    let lost = left.iter().flat_map(|id| addresses::of_istio_gateway_in(step.live, id)).collect();
    let consequence = format!("takes the gateway out of {}, with its load balancer there", left.join(", "));
    Some(Loss { addresses: lost, consequence })
}

/// Annotations of the Service in a cluster: those of the gateway, with what the cluster has of its own.
fn lookup<'a>(gateway: &'a Value, cluster: Option<&str>, name: &str) -> Option<&'a str> {
    let own = cluster.and_then(|id| gateway.at("/spec/overrides")?.get(id)?.get("serviceAnnotations"));
    own.and_then(|own| setting(Some(own), name)).or_else(|| setting(annotations(gateway), name))
}

pub(super) fn fixed_setting(step: &Step<'_>) -> Option<Loss> {
    let wanted = step.wanted?;
    // A serverless gateway's load balancer is ASM's own affair; one without an address can still become anything.
    let has_one = gateway::wants_load_balancer(step.live) && !addresses::of_istio_gateway(step.live).is_empty();
    (has_one && !gateway::is_serverless(step.live)).then_some(())?;
    let product = Product::of_class(class(step.live));
    let stays = gateway::cluster_ids(wanted);
    let clusters = gateway::cluster_ids(step.live).into_iter().filter(|id| stays.contains(id));
    let changes: BTreeSet<String> = clusters
        .flat_map(|id| {
            service::fixed(product, |name| lookup(step.live, Some(id), name), |name| lookup(wanted, Some(id), name))
        })
        .collect();
    let changes: Vec<String> = changes.into_iter().collect();
    (!changes.is_empty()).then_some(())?;
    all(step.live, service::refused(&changes))
}

pub(super) fn takes_over(step: &Step<'_>) -> Option<Loss> {
    service::taken_over(annotations(step.live), annotations(step.wanted?))
}
