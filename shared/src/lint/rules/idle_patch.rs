//! # idle-patch
//! ## What it finds
//!
//! A file in `clusters/<name>/patches/` after which the object is as its group has it.
//!
//! ## Why it is bad
//!
//! Whoever reads it believes that the cluster is different. Mostly the group has got the same value since, or the field stands somewhere
//! else than the patch thinks.
//!
//! ## How to mend it
//!
//! Remove the patch, or correct the place of the field.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::Sink;
use super::super::world::World;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "idle-patch",
    severity: Severity::Warning,
    summary: "a patch changes nothing",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("idle_patch.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for idle in &world.state().idle_patches {
        let message = format!("this patch changes nothing: {} is so without it", idle.object);
        let hint = "Remove it, or correct the place of the field".to_owned();
        sink.push_at(idle.position.clone(), message, hint, Vec::new(), idle.target.clone());
    }
}
