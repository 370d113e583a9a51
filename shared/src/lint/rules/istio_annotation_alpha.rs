//! # istio-annotation-alpha
//!
//! ## What it finds
//!
//! An annotation that belongs to a feature of Istio in the alpha phase. Most annotations do, also those that everybody uses;
//! so this rule must be asked for.
//!
//! ## Why it is bad
//!
//! It may change, or go, with any version, and support for it may be missing.
//!
//! ## How to mend it
//!
//! Know that you use it, and look for it in the notes of the next version of Istio.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Annotated, World, items};
use crate::istio::Annotation;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "istio-annotation-alpha",
    severity: Severity::Info,
    summary: "an annotation of a feature in the alpha phase",
    istio: &["IST0136"],
    kiali: &[],
    status: Status::Preview("0.1.0"),
    fixes: false,
    source: include_str!("istio_annotation_alpha.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for one in world.istio_annotations() {
        let Some(row) = Annotation::find(one.key).filter(|row| row.alpha) else { continue };
        if row.is_written_by_cni() && is_bare_pod_of_cni(one) {
            continue;
        }
        let message = format!("{} belongs to a feature of Istio in the alpha phase", one.key);
        let report = Report::at(one.manifest, one.pointer(), message);
        sink.push(if one.is_seen { report } else { report.beyond() });
    }
}

/// A pod as it runs, without Istio's own init container: its CNI plugin has written there.
fn is_bare_pod_of_cni(one: &Annotated<'_>) -> bool {
    let is_init = |container: &serde_json::Value| container["name"] == "istio-init";
    one.manifest.id.group_kind.is("", "Pod")
        && !items(&one.manifest.object, "/spec/initContainers").any(|(_, container)| is_init(container))
}
