//! # annotation-place
//!
//! ## What it finds
//!
//! Annotations of the cloud controller in `metadata.annotations` of an IstioGateway, or in its `podAnnotations`; on a Service
//! that is not of type LoadBalancer; and `asm.alibabacloud.com/managed-by-asm` in `serviceAnnotations` or `podAnnotations`.
//!
//! ## Why it is bad
//!
//! The controller reads annotations of the Service, and the Service of a gateway gets those of `spec.serviceAnnotations` only.
//! The load balancer is made without the setting, and nothing reports it.
//!
//! ## How to mend it
//!
//! Move it to `spec.serviceAnnotations`, or give the Service the type LoadBalancer.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::asm::annotations::find;
use crate::asm::gateway::MANAGED_BY_ASM;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-place",
    severity: Severity::Warning,
    summary: "an annotation for the load balancer stands where nobody reads it",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("annotation_place.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for manifest in world.of_kind(ASM, "IstioGateway") {
        for base in ["/metadata/annotations", "/spec/podAnnotations"] {
            move_all(manifest, base, "/spec/serviceAnnotations", |key| find(key).is_some(), sink);
        }
        for base in ["/spec/serviceAnnotations", "/spec/podAnnotations"] {
            move_all(manifest, base, "/metadata/annotations", |key| key == MANAGED_BY_ASM, sink);
        }
    }
    for front in world.fronts().iter().filter(|front| !front.generated && !front.is_load_balancer()) {
        for setting in front.settings.iter().filter(|setting| setting.row.is_some()) {
            let message =
                format!("a Service of type {} has no load balancer: nobody reads {}", front.kind, setting.key);
            let report = Report::at(front.manifest, &*setting.pointer, message);
            let edit = (front.manifest, removal(front.manifest, &setting.pointer));
            let report = report.hint("Give it type: LoadBalancer, or take the annotation away");
            sink.push(report.fix("take the annotation away", false, vec![edit]));
        }
    }
}

fn move_all<'a>(manifest: &'a Manifest, from: &str, to: &str, is_wrong: impl Fn(&str) -> bool, sink: &mut Sink<'a>) {
    let annotations = manifest.object.at(from).and_then(Value::as_object);
    for (key, value) in annotations.into_iter().flatten().filter(|(key, _)| is_wrong(key)) {
        let pointer = format!("{from}/{}", escape(key));
        let there = to.trim_start_matches('/').replace('/', ".");
        let message = format!("{key} is read in {there} only");
        let report = Report::at(manifest, &*pointer, message);
        let target = format!("{to}/{}", escape(key));
        let add = match manifest.object.at(to) {
            // What stands there counts already.
            Some(all) if all.get(key).is_some() => None,
            Some(_) => Some(EditOp::Set(target, value.clone())),
            None => {
                let only = [(key.clone(), value.clone())].into_iter().collect();
                Some(EditOp::Set(to.to_owned(), Value::Object(only)))
            }
        };
        let remove = removal(manifest, &pointer);
        let edits = add.into_iter().chain([remove]).map(|op| (manifest, op)).collect();
        sink.push(report.fix(format!("move it to {there}"), false, edits));
    }
}
