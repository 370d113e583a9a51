//! # immutable-change
//!
//! ## What it finds
//!
//! Compared with the base revision (`lint --base REV`): a change of an annotation that the cloud controller does not change any
//! more (`loadbalancer-address-type`, `-id`, zones, IP version, address, network type, resource group of a CLB; IP version and
//! resource group of an NLB), and of `loadBalancerClass`, on a Service or IstioGateway that has a load balancer before and
//! after.
//!
//! ## Why it is bad
//!
//! The controller refuses with `can not change … once created`, again and again, and makes no other change of that Service
//! either. The API server refuses another `loadBalancerClass`.
//!
//! ## How to mend it
//!
//! Put the old value back. For another one make a second Service (`kubectl asm clb add`), move DNS, then remove the first:
//! `kubectl asm clb replace` does it in two commits.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World, addition, removal, service_name};
use crate::asm::annotations::{fixed_changes, key};
use crate::fleet::Target;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "immutable-change",
    severity: Severity::Error,
    summary: "a setting changes that is fixed once the load balancer exists",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("immutable_change.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let Some(base) = world.base() else { return };
    let before = World::fronts_of(base);
    let before = before.iter().filter(|front| front.is_load_balancer() && !front.serverless);
    let before: HashMap<(Target, (String, String)), &Front<'_>> =
        before.map(|front| ((front.target.clone(), service_name(front)), front)).collect();
    for front in world.fronts().iter().filter(|front| front.is_load_balancer() && !front.serverless) {
        let Some(old) = before.get(&(front.target.clone(), service_name(front))) else { continue };
        class(front, old, sink);
        let product = old.product();
        for (row, was, now) in fixed_changes(product, |name| old.text(name), |name| front.text(name)) {
            // Taking a setting away resets nothing: the load balancer keeps what it has. Without its ID it is not found.
            let Some(now) = now.or((row.name == "loadbalancer-id").then_some("none")) else { continue };
            let was = was.or(row.default).unwrap_or("none");
            let message = format!("{} is fixed once the load balancer exists: {was} → {now} is refused", row.name);
            let setting = front.setting(row.name);
            let at = setting.map_or_else(|| front.annotations_at.clone(), |setting| setting.pointer.clone());
            let report = Report::at(front.manifest, at, message).targets([front.target.clone()]);
            let report = report
                .hint("For another one: kubectl asm clb replace, which keeps the old address until DNS has moved");
            let op = match (setting, old.setting(row.name)) {
                (Some(setting), Some(_)) => EditOp::Set(setting.pointer.clone(), Value::from(was)),
                (Some(setting), None) => removal(front.manifest, &setting.pointer),
                (None, _) => addition(front.manifest, &front.annotations_at, &key(row.name), Value::from(was)),
            };
            sink.push(report.fix("put the old value back", false, vec![(front.manifest, op)]));
        }
    }
}

fn class<'a>(front: &Front<'a>, old: &Front<'_>, sink: &mut Sink<'a>) {
    let of = |front: &Front<'_>| front.class.as_ref().map(|(class, _)| (*class).to_owned());
    let (was, now) = (of(old), of(front));
    if was == now {
        return;
    }
    let told = |class: &Option<String>| class.clone().unwrap_or_else(|| "none".to_owned());
    let message = format!(
        "loadBalancerClass is immutable: {} → {} takes another load balancer with another address",
        told(&was),
        told(&now)
    );
    let at = front.class.as_ref().map_or_else(|| "/spec/loadBalancerClass".to_owned(), |(_, at)| at.clone());
    let report = Report::at(front.manifest, &*at, message).targets([front.target.clone()]);
    let op = match was {
        Some(was) => EditOp::Set(at, Value::from(was)),
        None => EditOp::Remove(at),
    };
    sink.push(report.fix("put the old class back", false, vec![(front.manifest, op)]));
}
