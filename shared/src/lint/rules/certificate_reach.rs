//! # certificate-reach
//!
//! ## What it finds
//!
//! A `credentialName` of a Gateway for which there is no Secret in the namespace of the gateway's pods in one of the
//! clusters that run them. A Secret counts, and what makes one: ExternalSecret, SealedSecret, cert-manager's
//! Certificate, ASMCredential.
//!
//! Where the fleet holds no certificate for the namespace at all, they are kept elsewhere and nothing is said.
//!
//! ## Why it is bad
//!
//! The listener starts without a certificate and refuses connections, in that cluster only. The Secret has to be where
//! the pods are (`istio-system`), not where the Gateway is.
//!
//! ## How to mend it
//!
//! Declare the Secret in that cluster as well, in the namespace of the pods: a file in `groups/` does it for all.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Credentials, Pod, World, secret_of};
use crate::distance::distance;
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "certificate-reach",
    severity: Severity::Error,
    summary: "a certificate is missing where the gateway runs",
    istio: &["IST0101"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("certificate_reach.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let credentials = Credentials::of(world);
    for view in world.gateways() {
        let pods: Vec<&Pod<'a>> = view.pods.iter().filter_map(|index| world.pods().get(*index)).collect();
        for (pointer, name) in named(view.manifest) {
            let Some(secret) = secret_of(name) else { continue };
            let mut places: BTreeSet<(&str, &Target)> = BTreeSet::new();
            // The pods of a serverless gateway are ASM's, and so are its Secrets.
            let own = pods.iter().filter_map(|pod| Some((pod.namespace, pod.target.as_ref()?)));
            places.extend(own.filter(|(_, target)| **target != Target::Mesh));
            let place = Place { manifest: view.manifest, pointer, name: secret };
            judge(world, &credentials, &place, &places, sink);
        }
    }
}

/// Where a certificate is named.
struct Place<'a> {
    manifest: &'a Manifest,
    pointer: String,
    name: &'a str,
}

fn judge<'a>(
    world: &World<'a>,
    credentials: &Credentials<'a>,
    at: &Place<'a>,
    places: &BTreeSet<(&str, &Target)>,
    sink: &mut Sink<'a>,
) {
    let spaces: BTreeSet<&str> = places.iter().map(|(space, _)| *space).collect();
    for space in spaces.into_iter().filter(|space| !credentials.is_everywhere(space, at.name)) {
        let here = places.iter().filter(|(own, _)| *own == space).map(|(_, target)| *target);
        let (found, missing): (Vec<&Target>, Vec<&Target>) =
            here.partition(|target| credentials.find(space, target, at.name).is_some());
        let known = credentials.names(space);
        if missing.is_empty() || known.is_empty() && !world.is_complete() {
            continue;
        }
        let message = match found.first() {
            Some(first) => {
                format!("there is no Secret {space}/{} in these clusters, only in {first}: TLS fails there", at.name)
            }
            None => format!("there is no Secret {space}/{} in any cluster that runs the gateway: TLS fails", at.name),
        };
        let report = Report::at(at.manifest, at.pointer.clone(), message)
            .targets(missing.iter().map(|target| (*target).clone()));
        let has = found.first().and_then(|target| credentials.find(space, target, at.name));
        let report = has.into_iter().fold(report, |report, secret| report.related(secret, "", "the one there is"));
        let near = known
            .into_iter()
            .map(|name| (distance(name, at.name), name))
            .filter(|(far, _)| (1..=2).contains(far))
            .min();
        sink.push(match near.filter(|_| found.is_empty()) {
            Some((_, name)) => {
                let edit = EditOp::Set(at.pointer.clone(), name.into());
                report.hint(format!("Did you mean {name}?")).fix(
                    format!("use {name}"),
                    false,
                    vec![(at.manifest, edit)],
                )
            }
            None => report.hint(format!("Declare it in the namespace {space} of each of these clusters")),
        });
    }
}

/// Every name of a certificate with its place.
fn named(gateway: &Manifest) -> Vec<(String, &str)> {
    let servers = gateway.object.at("/spec/servers").and_then(Value::as_array).into_iter().flatten();
    let mut found = Vec::new();
    for (index, server) in servers.enumerate() {
        let one = server.at("/tls/credentialName").and_then(Value::as_str);
        found.extend(one.map(|name| (format!("/spec/servers/{index}/tls/credentialName"), name)));
        let many = server.at("/tls/credentialNames").and_then(Value::as_array).into_iter().flatten().enumerate();
        found.extend(many.filter_map(|(at, name)| {
            Some((format!("/spec/servers/{index}/tls/credentialNames/{at}"), name.as_str()?))
        }));
    }
    found
}
