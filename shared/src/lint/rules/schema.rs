//! # schema
//!
//! ## What it finds
//!
//! An object that the API server would refuse: a field of the wrong type, a missing field, a value out of range, a rule of
//! the kind (CEL) that is not met, a version that is not served. Judged by the schemas of Istio, ASM and Kubernetes that
//! the program carries; a kind that it has no schema for is not judged. CRDs before Istio 1.24 have no rules: there istiod's
//! webhook refuses what the newest ones do, and it is judged by their rules.
//!
//! ## Why it is bad
//!
//! The object is refused when it is applied, and everything that needs it waits.
//!
//! ## How to mend it
//!
//! As the message says. The kind's reference: `kubectl explain KIND.FIELD`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::schema::{Verdict, ViolationKind};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "schema",
    severity: Severity::Error,
    summary: "an object that the API server would refuse",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("schema.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for (manifest, verdict) in world.refused() {
        match verdict {
            Verdict::UnknownKind => {}
            Verdict::UnknownVersion(known) => {
                let message = format!("{} {} is not known", manifest.api_version, manifest.id.group_kind.kind);
                let other = world.other_schema(manifest).map(|note| format!("; {note}")).unwrap_or_default();
                let hint = format!("Known versions: {}{other}", known.join(", "));
                sink.push(Report::at(manifest, "/apiVersion", message).hint(hint));
            }
            Verdict::Judged(violations) => {
                let refused = violations.iter().filter(|found| found.kind != ViolationKind::UnknownField);
                for found in refused {
                    let report = Report::at(manifest, found.pointer.clone(), found.message.clone());
                    sink.push(report.hints(world.other_schema(manifest)));
                }
            }
        }
    }
}
