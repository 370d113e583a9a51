//! The comparison as one document for machines.

use super::Comparison;
use crate::error::CommandError;
use crate::output::{self, Document};
use asm_shared::diff::{ObjectChange, TargetCounts, UnknownObject};
use asm_shared::fleet::Target;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What differs between two states of the fleet, or between Git and what runs.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FleetDiff<'a> {
    /// What the left side is: a commit, or `live`.
    before: &'a str,
    /// What the right side is.
    after: &'a str,
    /// How many objects of each target are concerned.
    targets: &'a [TargetCounts],
    /// The changes, in order of targets, kind, namespace, name.
    changes: &'a [ObjectChange],
    /// Targets that are no longer in fleet.yaml.
    left: Vec<&'a str>,
    /// Objects about which nothing can be said, because one side of them cannot be read.
    unknown: &'a [UnknownObject],
    /// Targets that could not be read, with --live.
    unreachable: Vec<Unreachable<'a>>,
}

impl Document for FleetDiff<'_> {
    const KIND: &'static str = "FleetDiff";
}

/// A target that could not be read.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Unreachable<'a> {
    /// `mesh` or a cluster's name.
    target: &'a str,
    /// Its kubeconfig context.
    context: &'a str,
    /// Why.
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
    output::of(&FleetDiff {
        before: &comparison.before,
        after: &comparison.after,
        targets: &diff.targets,
        changes: &diff.changes,
        left: diff.left.iter().map(Target::name).collect(),
        unknown: &diff.unknown,
        unreachable: unreachable.collect(),
    })
}
