//! # annotation-twice
//!
//! ## What it finds
//!
//! The same setting under `service.beta.kubernetes.io/alibaba-cloud-` and the older `service.beta.kubernetes.io/alicloud-`, with
//! different values.
//!
//! ## Why it is bad
//!
//! The controller reads the older key only when the newer one is absent, even if the newer one is empty. Whoever changes the
//! other one changes nothing, and nobody is told.
//!
//! ## How to mend it
//!
//! Take the older one away.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Setting, World, removal};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-twice",
    severity: Severity::Warning,
    summary: "a setting stands under both prefixes with different values",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("annotation_twice.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts() {
        for old in front.settings.iter().filter(|setting| setting.is_legacy()) {
            let Some(row) = old.row else { continue };
            let same = |new: &&Setting<'_>| !new.is_legacy() && new.row.is_some_and(|other| other.name == row.name);
            let Some(new) = front.settings.iter().find(same).filter(|new| new.value != old.value) else { continue };
            let told = |setting: &Setting<'_>| {
                setting.value.as_str().filter(|text| !text.is_empty()).unwrap_or("empty").to_owned()
            };
            let message =
                format!("{} is {} here and {} under the newer prefix, which wins", row.name, told(old), told(new));
            let report = Report::at(front.manifest, &*old.pointer, message).related(
                front.manifest,
                &new.pointer,
                "this one counts",
            );
            let edit = (front.manifest, removal(front.manifest, &old.pointer));
            sink.push(report.targets([front.target.clone()]).fix("take the older key away", true, vec![edit]));
        }
    }
}
