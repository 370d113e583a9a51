//! # shared-label-missing
//!
//! ## What it finds
//!
//! An ingress IstioGateway that no Gateway selects, while a Gateway selects others by a label of their `spec.podLabels`. A
//! warning when the gateway is of the same family (`edge-1` and `edge-2`) or has the label with another value; otherwise it may
//! be meant to have a Gateway of its own, and it is information.
//!
//! ## Why it is bad
//!
//! Several gateways share one Gateway by a label that each of them has in `podLabels`. One that lacks it has no listener:
//! its load balancer answers nothing.
//!
//! ## How to mend it
//!
//! Add the label (`kubectl asm gateway share --label KEY=VALUE GATEWAY…`); the pods restart one after the other. If the
//! gateway is meant to have a Gateway of its own, add that.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{GatewayView, World, escape};
use crate::asm::gateway::{self, RESERVED_LABELS};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "shared-label-missing",
    severity: Severity::Warning,
    summary: "a gateway lacks the label by which a Gateway selects the others",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("shared_label_missing.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let chosen = world.gateways().iter().flat_map(|gateway| &gateway.pods).filter_map(|index| world.pods().get(*index));
    let chosen: HashSet<&str> = chosen.filter(|pod| pod.is_istio_gateway()).map(|pod| &*pod.manifest.id.name).collect();
    let shared: Vec<&GatewayView<'a>> = world.gateways().iter().filter(|gateway| is_shared(world, gateway)).collect();
    let Some(first) = shared.first() else { return };
    for manifest in world.of_kind(ASM, "IstioGateway").filter(|manifest| !chosen.contains(&*manifest.id.name)) {
        if manifest.object.at("/spec/gatewayType").and_then(Value::as_str) == Some("egress") {
            continue;
        }
        // The label that it has almost: the same key with another value.
        let own = manifest.object.at("/spec/podLabels").and_then(Value::as_object);
        let almost = |gateway: &&&GatewayView<'a>| {
            gateway.gateway.selector.keys().any(|key| own.is_some_and(|own| own.contains_key(key)))
        };
        let gateway = shared.iter().find(almost).unwrap_or(first);
        let missing: Vec<(&String, &Value)> =
            lacking(&gateway.gateway.selector, &gateway::pod_labels(&manifest.id.name, &manifest.object));
        // A selector with the name of another gateway is not meant for this one.
        if missing.iter().any(|(key, _)| RESERVED_LABELS.contains(&key.as_str())) {
            continue;
        }
        let words: Vec<String> =
            missing.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        let words = words.join(",");
        let message = format!(
            "no Gateway selects the pods of this gateway, and {words} is missing, by which others are selected"
        );
        let mut wanted = own.cloned().unwrap_or_default();
        wanted.extend(missing.iter().map(|(key, value)| ((*key).clone(), (*value).clone())));
        let edits = match own {
            Some(_) => missing
                .iter()
                .map(|(key, value)| {
                    (manifest, EditOp::Set(format!("/spec/podLabels/{}", escape(key)), (*value).clone()))
                })
                .collect(),
            None => vec![(manifest, EditOp::Set("/spec/podLabels".to_owned(), Value::Object(wanted)))],
        };
        let almost = missing.iter().any(|(key, _)| own.is_some_and(|own| own.contains_key(*key)));
        let kin = gateway
            .pods
            .iter()
            .filter_map(|index| world.pods().get(*index))
            .any(|pod| family(&pod.manifest.id.name) == family(&manifest.id.name));
        let severity = if almost || kin { Severity::Warning } else { Severity::Info };
        let report = Report::at(manifest, "/spec/podLabels", message).severity(severity).related(
            gateway.manifest,
            "/spec/selector",
            "this Gateway selects by it",
        );
        let report = report.hint("Add it with kubectl asm gateway share, or give the gateway a Gateway of its own");
        sink.push(report.fix(format!("add the label {words}"), false, edits));
    }
}

/// The name without the number at its end.
fn family(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-')
}

/// Does it select gateways by labels that ASM does not set itself?
fn is_shared(world: &World<'_>, gateway: &GatewayView<'_>) -> bool {
    let selector = &gateway.gateway.selector;
    let mut pods = gateway.pods.iter().filter_map(|index| world.pods().get(*index));
    selector.keys().any(|key| !RESERVED_LABELS.contains(&key.as_str())) && pods.any(|pod| pod.is_istio_gateway())
}

fn lacking<'s>(selector: &'s Map<String, Value>, labels: &Map<String, Value>) -> Vec<(&'s String, &'s Value)> {
    selector.iter().filter(|(key, value)| labels.get(*key) != Some(value)).collect()
}
