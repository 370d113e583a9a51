//! The comparison as one document for machines.

use super::Comparison;
use crate::error::CommandError;
use crate::output;
use asm_shared::diff::{ObjectChange, TargetCounts, UnknownObject};
use asm_shared::fleet::Target;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    before: &'a str,
    after: &'a str,
    targets: &'a [TargetCounts],
    changes: &'a [ObjectChange],
    /// Targets that are no longer in fleet.yaml.
    left: Vec<&'a str>,
    unknown: &'a [UnknownObject],
    unreachable: Vec<Unreachable<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unreachable<'a> {
    target: &'a str,
    context: &'a str,
    error: String,
}

/// The document.
pub(super) fn of(comparison: &Comparison) -> Result<Value, CommandError> {
    let unreachable = comparison.unreached.iter().map(|unreached| Unreachable {
        target: unreached.name.target.name(),
        context: &unreached.name.kube_context,
        error: unreached.error.to_string(),
    });
    let diff = &comparison.diff;
    output::document(
        "FleetDiff",
        Body {
            before: &comparison.before,
            after: &comparison.after,
            targets: &diff.targets,
            changes: &diff.changes,
            left: diff.left.iter().map(Target::name).collect(),
            unknown: &diff.unknown,
            unreachable: unreachable.collect(),
        },
    )
}
