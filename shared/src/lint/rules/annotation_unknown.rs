//! # annotation-unknown
//!
//! ## What it finds
//!
//! An annotation with one of the cloud controller's prefixes (`service.beta.kubernetes.io/alibaba-cloud-`, `…/alicloud-`) that
//! is not among its 84 keys, and a key of its own behind a prefix that is almost one of these. On Services and in
//! `spec.serviceAnnotations` of IstioGateways, overrides included.
//!
//! ## Why it is bad
//!
//! The controller ignores it without an event: the load balancer is made as if it were not there.
//!
//! ## How to mend it
//!
//! Correct the key; the vendor's pages on annotations of CLB and NLB Services list them.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::asm::annotations::{ANNOTATIONS, LEGACY_PREFIX, PREFIX, Prefix, behind_prefix, find};
use crate::distance::distance;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-unknown",
    severity: Severity::Warning,
    summary: "the cloud controller does not know an annotation",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("annotation_unknown.rs"),
    check,
};

const DOMAIN: &str = "service.beta.kubernetes.io/";
/// Keys that documents print and the controller does not read. Of this one its releases say: read until 1.9.3, declared and not
/// read from 2.1.0 to 2.11.2, replaced in 2.12.4.
const ALIASES: &[(&str, &str)] = &[("loadbalancer-slb-network-type", "loadbalancer-network-type")];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    // A fleet has few different keys, and looking for what may be meant takes long.
    let mut known: HashMap<&str, Option<Option<String>>> = HashMap::new();
    for manifest in world.of_kind("", "Service").chain(world.of_kind(ASM, "IstioGateway")) {
        for base in bases(&manifest.object) {
            for (key, value) in manifest.object.at(&base).and_then(Value::as_object).into_iter().flatten() {
                let judged = known.entry(key.as_str()).or_insert_with(|| judge(key));
                let Some(wrong) = judged.clone() else { continue };
                let pointer = format!("{base}/{}", escape(key));
                let message = format!("the cloud controller knows no annotation {key} and ignores it");
                let report = Report::at(manifest, &*pointer, message);
                sink.push(match wrong {
                    Some(meant) => {
                        let target = format!("{base}/{}", escape(&meant));
                        let edits = if manifest.object.at(&target).is_some() {
                            vec![
                                (manifest, removal(manifest, &pointer)),
                                (manifest, EditOp::Set(target, value.clone())),
                            ]
                        } else {
                            vec![(manifest, EditOp::Rename(pointer.clone(), meant.clone()))]
                        };
                        let report = report.hint(format!("Did you mean {meant}?"));
                        report.fix(format!("name it {meant}"), false, edits)
                    }
                    None => report.hint("Correct the key, or take it away"),
                });
            }
        }
    }
}

/// Where annotations of Services stand in a Service or an IstioGateway.
fn bases(object: &Value) -> Vec<String> {
    if object.at("/kind").and_then(Value::as_str) == Some("Service") {
        return vec!["/metadata/annotations".to_owned()];
    }
    let overrides = object.at("/spec/overrides").and_then(Value::as_object).into_iter().flatten();
    let overrides = overrides.map(|(id, _)| format!("/spec/overrides/{}/serviceAnnotations", escape(id)));
    std::iter::once("/spec/serviceAnnotations".to_owned()).chain(overrides).collect()
}

/// Is the key one that the controller does not know? Then what may be meant.
fn judge(key: &str) -> Option<Option<String>> {
    if find(key).is_some() {
        return None;
    }
    if let Some(name) = behind_prefix(key) {
        let prefix = if key.starts_with(LEGACY_PREFIX) { LEGACY_PREFIX } else { PREFIX };
        return Some(near(name).map(|meant| format!("{prefix}{meant}")));
    }
    // A known name behind a prefix that is almost right, `alibabacloud-` for example.
    let at = key.find("loadbalancer-")?;
    let (prefix, name) = (key.get(..at)?, key.get(at..)?);
    let known = ANNOTATIONS.iter().any(|row| row.name == name && row.prefix == Prefix::Either);
    let close = distance(prefix, PREFIX).min(distance(prefix, LEGACY_PREFIX)) <= 4;
    let meant = || format!("{PREFIX}{name}");
    (known && (close || prefix == DOMAIN)).then(|| Some(meant()))
}

fn near(name: &str) -> Option<&'static str> {
    if let Some((_, meant)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Some(meant);
    }
    let rows = ANNOTATIONS.iter().filter(|row| row.prefix == Prefix::Either).map(|row| row.name);
    // `spec` for `loadbalancer-spec`: the part that all of them have is easily forgotten.
    let rows: Vec<&'static str> = rows.collect();
    if let Some(meant) = rows.iter().find(|row| row.strip_prefix("loadbalancer-") == Some(name)) {
        return Some(meant);
    }
    let close = rows.into_iter().map(|row| (distance(row, name), row)).filter(|(far, _)| *far <= 3);
    close.min().map(|(_, row)| row)
}
