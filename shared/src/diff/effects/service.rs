//! Services and their load balancers.

use super::{Consequence, Pair, annotations, named, text};
use crate::asm::addresses;
use crate::asm::annotations::{BACKEND_TYPE, Product, setting};
use crate::object::At as _;
use serde_json::Value;

fn is_load_balancer(service: &Value) -> bool {
    text(service, "/spec/type") == Some("LoadBalancer")
}

fn class(service: &Value) -> Option<&str> {
    text(service, "/spec/loadBalancerClass")
}

fn annotations_of(service: &Value) -> Option<&Value> {
    service.at("/metadata/annotations")
}

/// What the cloud controller does when the load balancer is no longer wanted.
fn release(service: &Value) -> Consequence {
    let (kind, address) = (Product::of_class(class(service)).word(), named(&addresses::of_service(service)));
    let setting = |name| setting(annotations_of(service), name).filter(|value| !value.is_empty());
    if let Some(id) = setting("loadbalancer-id") {
        return Consequence::note(format!("{kind} {id} is reused and stays; its listeners are removed"));
    }
    if setting("loadbalancer-preserve-lb-on-delete").is_some() {
        return Consequence::note(format!(
            "the {kind} stays (preserve-lb-on-delete), and so does its address{address}"
        ));
    }
    let protected = if setting("loadbalancer-delete-protection") == Some("on") {
        "; delete-protection does not stop this"
    } else {
        ""
    };
    Consequence::note(format!("its {kind} and its address{address} are lost for good{protected}"))
}

pub(super) fn destroyed(pair: &Pair<'_>) -> Vec<Consequence> {
    let service = pair.destroyed().filter(|service| pair.is("", "Service") && is_load_balancer(service));
    service.map(release).into_iter().collect()
}

/// Both sides of a Service that has a load balancer before.
fn with_load_balancer<'a>(pair: &Pair<'a>) -> Option<(&'a Value, &'a Value)> {
    pair.both().filter(|(before, _)| pair.is("", "Service") && is_load_balancer(before))
}

pub(super) fn type_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let changed = with_load_balancer(pair).filter(|(_, after)| !is_load_balancer(after));
    changed.map(|(before, _)| release(before)).into_iter().collect()
}

pub(super) fn class_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let changed =
        with_load_balancer(pair).filter(|(before, after)| is_load_balancer(after) && class(before) != class(after));
    let text = |before: &Value| {
        format!(
            "loadBalancerClass is immutable while the type is LoadBalancer: it takes a new Service with a new address{}",
            named(&addresses::of_service(before)).replacen(' ', ", and loses ", 1)
        )
    };
    changed.map(|(before, _)| Consequence::replacement(text(before))).into_iter().collect()
}

pub(super) fn annotations_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let kept = with_load_balancer(pair).filter(|(_, after)| is_load_balancer(after));
    let Some((before, after)) = kept else { return Vec::new() };
    annotations::changed(
        annotations_of(before),
        annotations_of(after),
        Product::of_class(class(before)),
        &addresses::of_service(before),
    )
}

pub(super) fn traffic_policy_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let Some((before, after)) = pair.both().filter(|_| pair.is("", "Service")) else { return Vec::new() };
    let annotation = |service: &Value| annotations_of(service).and_then(backend_type).map(str::to_owned);
    policy(
        text(before, "/spec/externalTrafficPolicy"),
        text(after, "/spec/externalTrafficPolicy"),
        annotation(after).as_deref() == Some("eni"),
    )
}

/// How the load balancer reaches the pods.
pub(super) fn backend_type(annotations: &Value) -> Option<&str> {
    annotations.get(BACKEND_TYPE).and_then(Value::as_str)
}

/// `externalTrafficPolicy`, of Services and gateways. Absent means Cluster.
pub(super) fn policy(before: Option<&str>, after: Option<&str>, eni: bool) -> Vec<Consequence> {
    let is_local = |policy: Option<&str>| policy == Some("Local");
    let text = match (is_local(before), is_local(after)) {
        (true, false) if eni => return Vec::new(),
        (true, false) => "client source IP is lost (SNAT); with Terway, backend-type: eni keeps it",
        (false, true) => {
            "only nodes that run a gateway pod answer; pods elsewhere may not reach the address from inside \
                          (see kubectl asm doctor clb-access)"
        }
        _ => return Vec::new(),
    };
    vec![Consequence::note(text)]
}

pub(super) fn ports_changed(pair: &Pair<'_>) -> Vec<Consequence> {
    let both = pair.both().filter(|_| pair.is("", "Service"));
    let Some((before, after)) = both else { return Vec::new() };
    ports(before, after, is_load_balancer(before) && is_load_balancer(after))
}

/// Ports that go away or get another name, of Services and gateways.
pub(super) fn ports(before: &Value, after: &Value, load_balancer: bool) -> Vec<Consequence> {
    let list = |object: &Value| -> Vec<(u64, String, Option<String>)> {
        let ports = object.at("/spec/ports").and_then(Value::as_array);
        ports
            .into_iter()
            .flatten()
            .filter_map(|port| {
                let number = port.get("port").and_then(Value::as_u64)?;
                let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
                Some((number, protocol.to_owned(), port.get("name").and_then(Value::as_str).map(str::to_owned)))
            })
            .collect()
    };
    let (old, new) = (list(before), list(after));
    let mut found = Vec::new();
    for (number, protocol, name) in &old {
        match new.iter().find(|(n, p, _)| n == number && p == protocol) {
            None => found.push(Consequence::note(format!("port {number} is closed: its clients are cut off"))),
            Some((_, _, new_name)) if load_balancer && new_name != name => found.push(Consequence::note(format!(
                "renaming port {number} gives it another node port unless one is set: a short loss on the load balancer"
            ))),
            Some(_) => {}
        }
    }
    found
}
