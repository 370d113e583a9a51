//! # weights
//!
//! ## What it finds
//!
//! Weights that do not do what they seem to: on a single destination; the same destination twice in one rule; weights
//! that are all zero; a destination with weight 0 or without a weight beside others; a sum that is not 100.
//!
//! ## Why it is bad
//!
//! Weights are relative. A single destination gets everything whatever its weight is, 0 means never, and 30 and 30 is
//! one half each.
//!
//! ## How to mend it
//!
//! Take the weight of a single destination away, join what is there twice, and write weights that add up to 100
//! (`kubectl asm route weight`).

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, namespace};
use crate::fleet::Manifest;
use crate::istio::{RouteDestination, full_host};
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "weights",
    severity: Severity::Warning,
    summary: "weights that do not do what they seem to",
    istio: &[],
    kiali: &["KIA1104", "KIA1105"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("weights.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for kind in ["http", "tls", "tcp"] {
            let rules = route.manifest.object.at(&format!("/spec/{kind}")).and_then(Value::as_array);
            for (index, rule) in rules.into_iter().flatten().enumerate() {
                let entries = rule.get("route").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let pointer = format!("/spec/{kind}/{index}/route");
                match entries {
                    [] => {}
                    [only] => single(route.manifest, &pointer, only, sink),
                    several => many(route.manifest, &pointer, several, sink),
                }
            }
        }
    }
}

fn weight(entry: &Value) -> Option<u64> {
    entry.get("weight").and_then(Value::as_u64)
}

fn single<'a>(manifest: &'a Manifest, pointer: &str, entry: &Value, sink: &mut Sink<'a>) {
    let Some(weight) = weight(entry).filter(|weight| *weight != 100) else { return };
    let at = format!("{pointer}/0/weight");
    let report = Report::at(manifest, at.clone(), format!("a single destination gets everything, not {weight} %"));
    let report = report.hint("Take the weight away, or add the other destination");
    sink.push(report.fix("take the weight away", true, vec![(manifest, EditOp::Remove(at))]));
}

fn many<'a>(manifest: &'a Manifest, pointer: &str, entries: &[Value], sink: &mut Sink<'a>) {
    let sum: u64 = entries.iter().filter_map(weight).sum();
    let own = namespace(manifest);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let Some(to) = entry.get("destination").and_then(RouteDestination::read) else { continue };
        let key = RouteDestination { host: full_host(&to.host, own).to_lowercase(), ..to.clone() }.to_string();
        let Some(first) = seen.get(&key) else {
            seen.insert(key, index);
            continue;
        };
        let report =
            Report::at(manifest, format!("{pointer}/{index}/destination"), format!("{to} is in this rule twice"));
        let report = report.related(manifest, &format!("{pointer}/{first}/destination"), "the first time");
        let both = [*first, index].map(|at| entries.get(at).and_then(weight).unwrap_or_default()).iter().sum::<u64>();
        // Other fields (headers) may make a difference.
        let plain = [*first, index].iter().all(|at| {
            let fields = entries.get(*at).and_then(Value::as_object);
            fields.is_some_and(|fields| fields.keys().all(|key| matches!(key.as_str(), "destination" | "weight")))
        });
        let edits = vec![
            (manifest, EditOp::Set(format!("{pointer}/{first}/weight"), both.into())),
            (manifest, EditOp::Remove(format!("{pointer}/{index}"))),
        ];
        let report = report.hint("Join them");
        sink.push(if plain { report.fix(format!("join them with weight {both}"), true, edits) } else { report });
    }
    if sum == 0 {
        let message = "all weights are 0: Istio refuses the rule";
        return sink.push(
            Report::at(manifest, pointer, message).severity(Severity::Warning).hint("Write weights that add up to 100"),
        );
    }
    let zero = entries.iter().enumerate().filter(|(_, entry)| weight(entry).unwrap_or_default() == 0);
    for (index, entry) in zero {
        let what = if weight(entry).is_some() { "weight 0" } else { "no weight beside others that have one" };
        let message = format!("{what}: no request comes here");
        sink.push(Report::at(manifest, format!("{pointer}/{index}"), message).severity(Severity::Info));
    }
    if sum != 100 {
        let shares = entries.iter().map(|entry| {
            let host =
                entry.get("destination").and_then(RouteDestination::read).map(|to| to.to_string()).unwrap_or_default();
            let tenths = weight(entry).unwrap_or_default() * 1000 / sum;
            format!("{host} {}.{} %", tenths / 10, tenths % 10)
        });
        let shares: Vec<String> = shares.collect();
        let message = format!("the weights add up to {sum}, so that the shares are {}", shares.join(", "));
        sink.push(
            Report::at(manifest, pointer, message).severity(Severity::Info).hint("Write weights that add up to 100"),
        );
    }
}
