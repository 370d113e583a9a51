//! # deprecated-field
//!
//! ## What it finds
//!
//! Fields and kinds that Istio has replaced: `fault.delay.percent` and `mirrorPercent` (whole numbers; `percentage` and
//! `mirrorPercentage` take their place), `consecutiveErrors` and `minimumRingSize` of a DestinationRule (`consecutive5xxErrors`,
//! `ringHash.minimumRingSize`), `outboundTrafficPolicy.egressProxy` of a Sidecar, kinds of `rbac.istio.io`.
//!
//! ## Why it is bad
//!
//! They are dropped in some later version, or ignored already: faults and mirrors then apply to all requests or to
//! none.
//!
//! ## How to mend it
//!
//! Write the field that took its place; the fix does.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, items};
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::{Value, json};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "deprecated-field",
    severity: Severity::Warning,
    summary: "a field or kind that Istio has replaced",
    istio: &["IST0002"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("deprecated_field.rs"),
    check,
};

/// Deprecated number in a rule; what takes its place; does istioctl see it?
const REPLACED: &[(&str, &str, bool)] = &[
    ("/fault/delay/percent", "/fault/delay/percentage", true),
    ("/fault/abort/percent", "/fault/abort/percentage", false),
    ("/mirrorPercent", "/mirrorPercentage", false),
    ("/mirror_percent", "/mirrorPercentage", false),
];

/// A group of kinds that Istio has no more.
const GONE: &str = "rbac.istio.io";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        let rules = route.manifest.object.at("/spec/http").and_then(Value::as_array).into_iter().flatten();
        for (index, rule) in rules.enumerate() {
            for field in REPLACED {
                replaced(route.manifest, &format!("/spec/http/{index}"), rule, *field, sink);
            }
        }
    }
    for rule in world.destination_rules() {
        of_policies(rule.manifest, sink);
    }
    for sidecar in world.of_kind(ISTIO_NETWORKING, "Sidecar") {
        let pointer = "/spec/outboundTrafficPolicy/egressProxy";
        if sidecar.object.at(pointer).is_some() {
            let edit = (sidecar, EditOp::Remove(pointer.to_owned()));
            let report = Report::at(sidecar, pointer, "egressProxy is ignored").hint("Take it away");
            sink.push(report.fix("take it away", true, vec![edit]));
        }
    }
    let definitions = world.of_kind("apiextensions.k8s.io", "CustomResourceDefinition");
    let definitions =
        definitions.filter(|manifest| manifest.object.at("/spec/group").and_then(Value::as_str) == Some(GONE));
    for manifest in definitions.chain(world.of_group(GONE)) {
        let message = "the kinds of rbac.istio.io are gone from Istio: this has no effect";
        sink.push(Report::at(manifest, "/kind", message).hint("Write an AuthorizationPolicy"));
    }
}

/// Fields of the traffic policies of a DestinationRule.
fn of_policies<'a>(manifest: &'a Manifest, sink: &mut Sink<'a>) {
    let subsets = items(&manifest.object, "/spec/subsets");
    let mut policies = vec!["/spec/trafficPolicy".to_owned()];
    policies.extend(subsets.map(|(index, _)| format!("/spec/subsets/{index}/trafficPolicy")));
    for at in policies.clone() {
        let ports = items(&manifest.object, &format!("{at}/portLevelSettings")).map(|(index, _)| index);
        policies.extend(ports.map(|index| format!("{at}/portLevelSettings/{index}")));
    }
    for at in policies {
        let number = |field: &str| {
            let value = manifest.object.at(&format!("{at}{field}"))?;
            value.as_u64().filter(|count| *count > 0)
        };
        if let Some(count) = number("/outlierDetection/consecutiveErrors") {
            let pointer = format!("{at}/outlierDetection/consecutiveErrors");
            let message =
                "consecutiveErrors is replaced by consecutive5xxErrors and consecutiveGatewayErrors, and ignored";
            let report = Report::at(manifest, pointer.clone(), message).beyond();
            let report = report.hint(format!("Write consecutive5xxErrors: {count}"));
            // It has an effect then.
            let edit = (manifest, EditOp::Rename(pointer, "consecutive5xxErrors".to_owned()));
            let taken = number("/outlierDetection/consecutive5xxErrors").is_some();
            sink.push(if taken { report } else { report.fix("write consecutive5xxErrors", false, vec![edit]) });
        }
        let hash = "/loadBalancer/consistentHash";
        if let Some(size) = number(&format!("{hash}/minimumRingSize")) {
            let pointer = format!("{at}{hash}/minimumRingSize");
            let message = "minimumRingSize is replaced by ringHash.minimumRingSize";
            let report = Report::at(manifest, pointer.clone(), message).beyond();
            let report = report.hint(format!("Write ringHash: {{minimumRingSize: {size}}}"));
            let there = |field: &str| manifest.object.at(&format!("{at}{hash}/{field}")).is_some();
            let edits = vec![
                (manifest, EditOp::Set(format!("{at}{hash}/ringHash"), json!({"minimumRingSize": size}))),
                (manifest, EditOp::Remove(pointer)),
            ];
            let taken = there("ringHash") || there("maglev");
            sink.push(if taken { report } else { report.fix("write ringHash", true, edits) });
        }
    }
}

fn replaced<'a>(
    manifest: &'a Manifest,
    at: &str,
    rule: &Value,
    (old, new, known): (&str, &str, bool),
    sink: &mut Sink<'a>,
) {
    let percent = rule.at(old).filter(|percent| percent.as_f64().is_some_and(|percent| percent > 0.0));
    let Some(percent) = percent else { return };
    let name = |pointer: &str| pointer.trim_start_matches('/').replace('/', ".");
    let pointer = format!("{at}{old}");
    let report = Report::at(manifest, pointer.clone(), format!("{} is replaced by {}", name(old), name(new)));
    let report = if known { report } else { report.beyond() };
    let report = report.hint(format!("Write {}: {{value: {percent}}}", name(new)));
    let mut edits = vec![(manifest, EditOp::Remove(pointer))];
    // Where both are there, the new one counts already.
    if rule.at(new).is_none() {
        edits.insert(0, (manifest, EditOp::Set(format!("{at}{new}"), json!({"value": percent}))));
    }
    sink.push(report.fix(format!("write {}", name(new)), true, edits));
}
