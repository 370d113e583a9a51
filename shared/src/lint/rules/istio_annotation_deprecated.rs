//! # istio-annotation-deprecated
//!
//! ## What it finds
//!
//! An annotation that Istio has given up, at the version of the mesh in `fleet.yaml`; at the newest that lint knows where the fleet
//! does not say. `sidecar.istio.io/inject` is fine beside the label of the same name.
//!
//! ## Why it is bad
//!
//! Some later version ignores it.
//!
//! ## How to mend it
//!
//! Write what took its place; for `sidecar.istio.io/inject` the label.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Annotated, World, addition, removal};
use crate::fleet::Manifest;
use crate::istio::Annotation;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "istio-annotation-deprecated",
    severity: Severity::Info,
    summary: "Istio has given an annotation up",
    istio: &["IST0135"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("istio_annotation_deprecated.rs"),
    check,
};

const INJECT: &str = "sidecar.istio.io/inject";

/// What took their place.
const INSTEAD: [(&str, &str); 6] = [
    (INJECT, "Write the label sidecar.istio.io/inject on the pods"),
    ("sidecar.istio.io/discoveryAddress", "Write discoveryAddress into proxy.istio.io/config"),
    ("sidecar.istio.io/statsInclusionPrefixes", "Write proxyStatsMatcher into proxy.istio.io/config"),
    ("sidecar.istio.io/statsInclusionSuffixes", "Write proxyStatsMatcher into proxy.istio.io/config"),
    ("sidecar.istio.io/statsInclusionRegexps", "Write proxyStatsMatcher into proxy.istio.io/config"),
    ("traffic.sidecar.istio.io/kubevirtInterfaces", "Write istio.io/reroute-virtual-interfaces"),
];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let version = world.istio_version();
    for one in world.istio_annotations() {
        let given_up = |row: &&Annotation| row.is_in(version) && row.is_deprecated_in(version);
        if Annotation::find(one.key).filter(given_up).is_none() || (one.key == INJECT && labels(one).is_some_and(has)) {
            continue;
        }
        let report = Report::at(one.manifest, one.pointer(), format!("Istio has given {} up", one.key));
        let report = if one.is_seen { report } else { report.beyond() };
        let instead = INSTEAD.iter().find(|(key, _)| *key == one.key).map(|(_, instead)| (*instead).to_owned());
        let report = report.hints(instead);
        sink.push(match to_a_label(one) {
            // In a namespace without injection the label alone brings a sidecar, which the annotation does not.
            Some(edits) => report.fix("make it a label", false, edits),
            None => report,
        });
    }
}

/// The labels beside the annotations.
fn labels<'a>(one: &Annotated<'a>) -> Option<&'a Value> {
    one.manifest.object.at(&one.base.replace("/annotations", "/labels"))
}

fn has(labels: &Value) -> bool {
    labels.get(INJECT).is_some()
}

fn to_a_label<'a>(one: &Annotated<'a>) -> Option<Vec<(&'a Manifest, EditOp)>> {
    let labels = one.base.strip_suffix("/annotations").map(|metadata| format!("{metadata}/labels"))?;
    (one.key == INJECT && one.kind == "Pod").then(|| {
        vec![
            (one.manifest, addition(one.manifest, &labels, INJECT, one.value.clone())),
            (one.manifest, removal(one.manifest, &one.pointer())),
        ]
    })
}
