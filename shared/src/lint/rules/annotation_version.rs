//! # annotation-version
//!
//! ## What it finds
//!
//! An annotation that the cloud controller reads from a version on that the cluster's `cloudControllerVersion` in `fleet.yaml`
//! has not reached. Nothing is said of clusters without that field.
//!
//! ## Why it is bad
//!
//! An older controller ignores it without an event.
//!
//! ## How to mend it
//!
//! Upgrade the controller of that cluster, or do without; correct `fleet.yaml` if it is out of date.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::asm::annotations::at_least;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-version",
    severity: Severity::Warning,
    summary: "an annotation is newer than the cloud controller",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("annotation_version.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        let Some(version) = front.controller() else { continue };
        for setting in &front.settings {
            let Some((row, since)) = setting.row.and_then(|row| Some((row, row.since?))) else { continue };
            if at_least(version, since) != Some(false) {
                continue;
            }
            let message =
                format!("{} is read from cloud controller {since} on, and fleet.yaml says {version}", row.name);
            sink.push(Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]));
        }
    }
}
