//! # annotation-no-effect
//!
//! ## What it finds
//!
//! Settings of a CLB that count only together with another one: `loadbalancer-bandwidth` without
//! `loadbalancer-charge-type: paybybandwidth`, `loadbalancer-vswitch-id` without `loadbalancer-address-type: intranet`,
//! `loadbalancer-charge-type` on an internal CLB, `loadbalancer-acl-id` or `loadbalancer-acl-type` without
//! `loadbalancer-acl-status: "on"`, `loadbalancer-connection-drain-timeout` without `loadbalancer-connection-drain: "on"`.
//!
//! ## Why it is bad
//!
//! The controller does not compare or send the setting: the CLB has the cloud's default instead.
//!
//! ## How to mend it
//!
//! Add the other setting, or take this one away.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World, escape, removal};
use crate::asm::annotations::{Product, key};
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-no-effect",
    severity: Severity::Warning,
    summary: "an annotation needs another one to have an effect",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("annotation_no_effect.rs"),
    check,
};

/// Setting, the one it needs, the value that one must have, what it has when it is absent.
const NEEDS: &[(&str, &str, &str, &str)] = &[
    ("loadbalancer-bandwidth", "loadbalancer-charge-type", "paybybandwidth", "paybytraffic"),
    ("loadbalancer-vswitch-id", "loadbalancer-address-type", "intranet", "internet"),
    ("loadbalancer-charge-type", "loadbalancer-address-type", "internet", "internet"),
    ("loadbalancer-acl-id", "loadbalancer-acl-status", "on", "off"),
    ("loadbalancer-acl-type", "loadbalancer-acl-status", "on", "off"),
    ("loadbalancer-connection-drain-timeout", "loadbalancer-connection-drain", "on", "off"),
];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let clbs = world.fronts().iter().filter(|front| front.is_load_balancer() && front.product() == Product::Clb);
    for front in clbs {
        // The CLB is somebody else's: which type it has does not follow from the annotations.
        if front.text("loadbalancer-id").is_some() {
            continue;
        }
        for (name, other, wanted, absent) in NEEDS {
            sink.extend(judge(front, name, other, wanted, absent));
        }
    }
}

fn judge<'a>(front: &Front<'a>, name: &str, other: &str, wanted: &str, absent: &str) -> Option<Report<'a>> {
    let setting = front.setting(name)?;
    let found = front.text(other).unwrap_or(absent);
    if found == wanted {
        return None;
    }
    let message = format!("{name} has no effect unless {other} is {wanted}; it is {found}");
    let report = Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
    let remove = vec![(front.manifest, removal(front.manifest, &setting.pointer))];
    Some(match front.setting(other) {
        Some(given) => {
            report.related(front.manifest, &given.pointer, "what it is").fix(format!("take {name} away"), true, remove)
        }
        None if wanted == "internet" => report.fix(format!("take {name} away"), true, remove),
        // Here the other setting was forgotten.
        None => {
            let base = setting.pointer.rsplit_once('/').map_or("", |(base, _)| base);
            let edit = EditOp::Set(format!("{base}/{}", escape(&key(other))), Value::from(wanted));
            report.fix(format!("set {other} to {wanted}"), false, vec![(front.manifest, edit)])
        }
    })
}
