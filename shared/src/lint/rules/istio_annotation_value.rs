//! # istio-annotation-value
//!
//! ## What it finds
//!
//! A value that an annotation of Istio cannot have: a port that is none, a range of addresses with a blank behind the comma, an
//! `interceptionMode` in lower case, a memory limit in `MB`, a `proxy.istio.io/config` that is no map.
//!
//! ## Why it is bad
//!
//! The injector of sidecars refuses the pod: where sidecars are injected, no new pod of the workload is made.
//!
//! ## How to mend it
//!
//! Write what the message says, in quotes.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::istio::Annotation;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "istio-annotation-value",
    severity: Severity::Warning,
    summary: "an annotation of Istio has a value that it cannot have",
    istio: &["IST0125"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("istio_annotation_value.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for one in world.istio_annotations() {
        let row = Annotation::find(one.key).filter(|row| row.belongs_on(one.kind) && !row.is_for_any());
        let Some((row, value)) = row.zip(one.value.as_str()) else { continue };
        let Some(fault) = row.fault(value) else { continue };
        let message = format!("{} cannot be `{value}`: {fault}", one.key);
        let report = Report::at(one.manifest, one.pointer(), message);
        let report = if one.is_seen { report } else { report.beyond() };
        sink.push(match meant(row, value) {
            Some(meant) => {
                let edit = (one.manifest, EditOp::Set(one.pointer(), meant.clone().into()));
                report.hint(format!("Write \"{meant}\"")).fix(format!("write {meant}"), true, vec![edit])
            }
            None => report,
        });
    }
}

/// The same without blanks, in upper case: if that is a value.
fn meant(row: &Annotation, value: &str) -> Option<String> {
    let bare: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    let all = [bare.to_uppercase(), bare.to_lowercase(), bare];
    all.into_iter().find(|text| !text.is_empty() && text != value && row.fault(text).is_none())
}
