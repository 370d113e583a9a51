//! # subset-name
//! ## What it finds
//!
//! Subsets of one DestinationRule with the same name, a name that is no DNS label, here or where a route names a subset, a subset
//! without labels, and labels that no pod can have.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the first two and the last. A subset without labels has all pods of the host: it is no version of it.
//!
//! ## How to mend it
//!
//! Give each a name of its own, of letters, digits and dashes (`v1-1`, not `v1.1`), and the labels of its pods.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, has, is_label, items, rules_of, text};
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "subset-name",
    severity: Severity::Error,
    summary: "a subset cannot be told from others",
    istio: &["IST0106"],
    kiali: &["KIA0209"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("subset_name.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for view in world.destination_rules() {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (index, subset) in items(&view.manifest.object, "/spec/subsets") {
            let (name, at) = (text(subset, "/name"), format!("/spec/subsets/{index}"));
            if let Some(first) = seen.get(name) {
                let report = Report::at(view.manifest, format!("{at}/name"), format!("there are two subsets {name}"));
                let same = view.manifest.object.at(&format!("/spec/subsets/{first}")) == Some(subset);
                let report = report.related(view.manifest, &format!("/spec/subsets/{first}/name"), "the other one");
                let edit = (view.manifest, EditOp::Remove(at.clone()));
                sink.push(if same { report.fix("take the second one away", true, vec![edit]) } else { report });
            } else {
                seen.insert(name, index);
                sink.extend(fault(name).map(|fault| Report::at(view.manifest, format!("{at}/name"), fault)));
            }
            labels_of(view.manifest, subset, &at, sink);
            // Where a policy is all that it is for, such a subset is in use.
            let labels = subset.get("labels").and_then(Value::as_object).is_some_and(|labels| !labels.is_empty());
            if !labels && !has(subset, "trafficPolicy") {
                let report =
                    Report::at(view.manifest, at, format!("the subset {name} has no labels: all pods are in it"));
                sink.push(report.severity(Severity::Warning).beyond().hint("Write the labels that its pods have"));
            }
        }
    }
    for route in world.routes() {
        for (at, rule) in ["http", "tls", "tcp"].into_iter().flat_map(|kind| rules_of(route.manifest, kind)) {
            for (index, entry) in items(rule, "/route") {
                let named = entry.at("/destination/subset").and_then(Value::as_str).filter(|name| !name.is_empty());
                let place = format!("{at}/route/{index}/destination/subset");
                sink.extend(named.and_then(fault).map(|fault| Report::at(route.manifest, place, fault)));
            }
        }
    }
}

fn fault(name: &str) -> Option<String> {
    (!is_label(name)).then(|| format!("a subset cannot be named `{name}`: letters, digits and dashes"))
}

/// Labels as Kubernetes has them.
fn labels_of<'a>(manifest: &'a Manifest, subset: &'a Value, at: &str, sink: &mut Sink<'a>) {
    for (key, value) in subset.get("labels").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let fault = if !is_label_key(key) {
            format!("no label can be named `{key}`")
        } else if !value.is_empty() && !is_label_value(value) {
            format!("no label can have the value `{value}`: letters, digits, dashes, dots, underscores, at most 63")
        } else {
            continue;
        };
        sink.push(Report::at(manifest, format!("{at}/labels/{}", escape(key)), fault));
    }
}

/// `NAME` or `DOMAIN/NAME`.
fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => domain.len() <= 253 && domain.split('.').all(is_label) && is_label_value(name),
        None => is_label_value(key),
    }
}

fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(inner) && ends(text.chars().next()) && ends(text.chars().next_back())
}
