//! # duplicate-certificate
//!
//! ## What it finds
//!
//! Servers of two Gateways on the same pods that show the same certificate.
//!
//! ## Why it is bad
//!
//! A browser uses one HTTP/2 connection for all names that a certificate has. A request for the second Gateway's host
//! then comes over the first one's connection, where no route is for it: 404, now and then.
//!
//! ## How to mend it
//!
//! One Gateway with all hosts of the certificate, or a certificate for each.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{GatewayView, World, namespace};
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "duplicate-certificate",
    severity: Severity::Warning,
    summary: "two Gateways on the same pods show the same certificate",
    istio: &["IST0138"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("duplicate_certificate.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut shown: BTreeMap<(&str, &str), Vec<(&GatewayView<'a>, usize)>> = BTreeMap::new();
    for view in world.gateways() {
        let servers = view.manifest.object.at("/spec/servers").and_then(Value::as_array);
        for (number, server) in servers.into_iter().flatten().enumerate() {
            let field = |name: &str| server.at(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let certificate =
                match (field("/tls/credentialName"), field("/tls/serverCertificate"), field("/tls/privateKey")) {
                    (Some(name), ..) => (name, ""),
                    (None, Some(certificate), Some(key)) => (certificate, key),
                    _ => continue,
                };
            shown.entry(certificate).or_default().push((view, number));
        }
    }
    for ((certificate, _), servers) in shown.into_iter().filter(|(_, servers)| servers.len() > 1) {
        for (view, number) in &servers {
            let others = servers.iter().filter(|(other, _)| !std::ptr::eq(*other, *view));
            let near: Vec<_> = others.filter(|(other, _)| share_pods(view, other)).take(5).collect();
            if near.is_empty() {
                continue;
            }
            let names: Vec<String> = near
                .iter()
                .map(|(other, _)| format!("{}/{}", namespace(other.manifest), other.manifest.id.name))
                .collect();
            let message = format!("{} shows the certificate {certificate} on the same pods too", names.join(", "));
            let report = Report::at(view.manifest, format!("/spec/servers/{number}/tls"), message);
            let report = near.iter().fold(report, |report, (other, at)| {
                report.related(other.manifest, &format!("/spec/servers/{at}/tls"), "the same certificate")
            });
            // istioctl compares selectors, not pods.
            let known = near.iter().any(|(other, _)| is_part(view, other));
            let report = report.hint("Use one Gateway for all hosts of the certificate, or a certificate for each");
            sink.push(if known { report } else { report.beyond() });
        }
    }
}

/// Does the first one's selector ask for nothing that the other's does not ask for?
fn is_part(one: &GatewayView<'_>, other: &GatewayView<'_>) -> bool {
    one.gateway.selector.iter().all(|(key, value)| other.gateway.selector.get(key) == Some(value))
}

fn share_pods(one: &GatewayView<'_>, other: &GatewayView<'_>) -> bool {
    // Pods are in order in both.
    let mut theirs = other.pods.iter().peekable();
    let shared = one.pods.iter().any(|pod| {
        while theirs.next_if(|their| *their < pod).is_some() {}
        theirs.peek() == Some(&pod)
    });
    shared || one.pods.is_empty() && is_part(one, other)
}
