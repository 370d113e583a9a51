//! # unknown-field
//!
//! ## What it finds
//!
//! A field that the kind does not have, in objects of Istio, ASM and Kubernetes.
//!
//! ## Why it is bad
//!
//! Server-side apply refuses it; `kubectl apply` without strict validation drops it without a word, and what was meant does
//! not happen.
//!
//! ```yaml
//! port:
//!   number: 80
//!   protcol: HTTP # the port has no protocol now
//! ```
//!
//! ## How to mend it
//!
//! Correct the name, or the place: one level of indentation too many is the usual reason.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::object::At as _;
use crate::schema::{Verdict, Violation, ViolationKind};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "unknown-field",
    severity: Severity::Error,
    summary: "a field that the kind does not have",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("unknown_field.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for (manifest, verdict) in world.refused() {
        let Verdict::Judged(violations) = verdict else { continue };
        for found in violations.iter().filter(|found| found.kind == ViolationKind::UnknownField) {
            let report = Report::at(manifest, found.pointer.clone(), found.message.clone());
            sink.push(match renamed(found) {
                Some((meant, pointer)) => {
                    // Where both are there, the wrong one goes and gives its value.
                    let value = || manifest.object.at(&found.pointer).cloned().unwrap_or_default();
                    let edits = if manifest.object.at(&pointer).is_some() {
                        vec![
                            (manifest, EditOp::Set(pointer, value())),
                            (manifest, EditOp::Remove(found.pointer.clone())),
                        ]
                    } else {
                        vec![(manifest, EditOp::Rename(found.pointer.clone(), meant.to_owned()))]
                    };
                    let report = report.hint(format!("Did you mean `{meant}`?"));
                    report.fix(format!("name the field `{meant}`"), false, edits)
                }
                None => {
                    let report =
                        report.hint("Is it indented as it should be? The reference: kubectl explain KIND.FIELD");
                    report.hints(world.other_schema(manifest))
                }
            });
        }
    }
}

/// The name that is meant, and the pointer to the field under that name.
fn renamed(found: &Violation) -> Option<(&str, String)> {
    let meant = found.meant.as_deref()?;
    let (parent, _) = found.pointer.rsplit_once('/')?;
    Some((meant, format!("{parent}/{meant}")))
}
