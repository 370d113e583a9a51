//! # gateway-api-address
//!
//! ## What it finds
//!
//! Two Gateways of the Gateway API that ask for the same address in `spec.addresses`, each for a Service of its own.
//!
//! Gateways that name a Service by its host name (`type: Hostname`) share what runs already, which is what that is for.
//!
//! ## Why it is bad
//!
//! Istio makes a Service of type LoadBalancer for each. An address belongs to one load balancer: one of the Services stays without.
//!
//! ## How to mend it
//!
//! Put the listeners into one Gateway, or leave `addresses` out of the other one.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, items, namespace, text};
use crate::fleet::Manifest;
use crate::object::kinds::GATEWAY_API;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-api-address",
    severity: Severity::Warning,
    summary: "two Gateways of the Gateway API ask for one address",
    istio: &[],
    kiali: &["KIA1502"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("gateway_api_address.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut first: BTreeMap<&str, &'a Manifest> = BTreeMap::new();
    for gateway in world.of_kind(GATEWAY_API, "Gateway") {
        for (index, address) in items(&gateway.object, "/spec/addresses") {
            // Without a type it is an IP address.
            let value = text(address, "/value");
            if !matches!(text(address, "/type"), "" | "IPAddress") || value.is_empty() {
                continue;
            }
            let other = *first.entry(value).or_insert(gateway);
            if other.id != gateway.id {
                let (space, name) = (namespace(other), &other.id.name);
                let message =
                    format!("the Gateway {space}/{name} asks for the address {value}, too: one of them stays without");
                let report = Report::at(gateway, format!("/spec/addresses/{index}"), message);
                let report = report.related(other, "/spec/addresses", "the other one");
                sink.push(report.hint("Put the listeners into one Gateway, or leave addresses out"));
            }
        }
    }
}
