//! # istio-annotation-place
//!
//! ## What it finds
//!
//! An annotation of Istio on an object of another kind than those that Istio reads it of. Mostly one for pods that stands in
//! `metadata` of a Deployment, and not in `spec.template.metadata`.
//!
//! ## Why it is bad
//!
//! It has no effect, and nobody says so.
//!
//! ## How to mend it
//!
//! Move it to the pods' template, or to the kind that the message names.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Annotated, World, addition, removal};
use crate::fleet::{Manifest, pods};
use crate::istio::Annotation;
use crate::object::At as _;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "istio-annotation-place",
    severity: Severity::Warning,
    summary: "an annotation of Istio is on the wrong kind of object",
    istio: &["IST0107"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("istio_annotation_place.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for one in world.istio_annotations().iter().filter(|one| !one.is_handed_on()) {
        let Some(row) = Annotation::find(one.key).filter(|row| !row.belongs_on(one.kind)) else { continue };
        let message = format!("Istio reads {} of {} only, and not of {}", one.key, row.on.join(", "), called(one));
        let report = Report::at(one.manifest, one.pointer(), message);
        let report = if one.is_seen { report } else { report.beyond() };
        sink.push(match to_the_pods(one, row) {
            Some(edits) => {
                let report = report.hint("Move it to spec.template.metadata.annotations");
                report.fix("move it to the pods", false, edits)
            }
            None => report.hint("Move it there, or take it away"),
        });
    }
}

fn called(one: &Annotated<'_>) -> String {
    match (one.kind, &*one.manifest.id.group_kind.kind) {
        ("Pod", own) if own != "Pod" => "pods".to_owned(),
        ("Service", own) if own != "Service" => "Services".to_owned(),
        (kind, _) => format!("a {kind}"),
    }
}

/// The move from a workload to its pods, where they have nothing of this name.
fn to_the_pods<'a>(one: &Annotated<'a>, row: &Annotation) -> Option<Vec<(&'a Manifest, EditOp)>> {
    let manifest = one.manifest;
    let metadata = format!("{}/metadata", pods::template_at(manifest).filter(|at| !at.is_empty())?);
    let map = format!("{metadata}/annotations");
    let there = manifest.object.at(&metadata)?;
    let is_free = there.get("annotations").is_none_or(|all| all.get(one.key).is_none());
    (row.belongs_on("Pod") && one.base == "/metadata/annotations" && is_free).then(|| {
        vec![
            (manifest, addition(manifest, &map, one.key, one.value.clone())),
            (manifest, removal(manifest, &one.pointer())),
        ]
    })
}
