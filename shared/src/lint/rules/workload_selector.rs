//! # workload-selector
//!
//! ## What it finds
//!
//! A Deployment, StatefulSet, DaemonSet or ReplicaSet whose `selector.matchLabels` are not the labels of its pod template.
//!
//! ## Why it is bad
//!
//! The API server refuses it (``selector` does not match template `labels``), so nothing of a change to it arrives. A schema does not say
//! so: it is a rule over two fields.
//!
//! ## How to mend it
//!
//! Give the template the labels of the selector. The selector itself cannot be changed once the workload exists.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape};
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "workload-selector",
    severity: Severity::Error,
    summary: "a workload does not select its own pods",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("workload_selector.rs"),
    check,
};

const KINDS: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for workload in KINDS.into_iter().flat_map(|kind| world.of_kind("apps", kind)) {
        let object = &workload.object;
        // Without a template it is a patch that went wrong, of which the schema speaks.
        let (Some(asked), Some(template)) =
            (object.at("/spec/selector/matchLabels").and_then(Value::as_object), object.at("/spec/template"))
        else {
            continue;
        };
        let labels = template.at("/metadata/labels");
        for (key, value) in asked.iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
            let own = labels.and_then(|labels| labels.get(key));
            if own.and_then(Value::as_str) == Some(value) {
                continue;
            }
            let has = own.and_then(Value::as_str).map_or("no such label".to_owned(), |own| format!("{key}: {own}"));
            let message = format!("it selects {key}: {value}, and its pods have {has}: the API server refuses it");
            let report = Report::at(workload, format!("/spec/selector/matchLabels/{}", escape(key)), message);
            let report = report.related(workload, "/spec/template/metadata", "the labels of its pods");
            let at = format!("/spec/template/metadata/labels/{}", escape(key));
            let edits = vec![(workload, EditOp::Set(at, value.into()))];
            sink.push(report.fix(format!("give its pods {key}: {value}"), false, edits));
        }
    }
}
